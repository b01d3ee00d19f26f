"""What both grammars of questions about the documents share: the query, conditions, phrases.

What stands in quotation marks is one sign, of a range for private use, while a question is read:
so no rule of the grammar looks into it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from indexes.folding import fold

Kind = Literal["count", "list"]
What = Literal["documents", "passages", "mentions"]
How = Literal["mention", "lack", "both", "either"]

FORMATS = {
    "pdf": ("pdf",), "word": ("docx", "doc", "odt"), "docx": ("docx",), "excel": ("xlsx", "ods"),
    "xlsx": ("xlsx",), "powerpoint": ("pptx", "odp"), "pptx": ("pptx",), "markdown": ("md",),
    "html": ("html",), "csv": ("csv",), "epub": ("epub",), "text": ("txt",),
}  # fmt: skip
LANGUAGES = {
    "chinese": "zh",
    "english": "en",
    "中文": "zh",
    "汉语": "zh",
    "英文": "en",
    "英语": "en",
}
COMPARED = {
    "from": "=", "in": "=", "of": "=", "since": ">=", "before": "<", "after": ">", "until": "<=",
    "以来": ">=", "以后": ">", "之后": ">", "以前": "<", "之前": "<", "": "=",
}  # fmt: skip
YEAR = r"(?:19|20)\d\d"
FORMAT = r"(?P<format>pdf|word|docx|excel|xlsx|powerpoint|pptx|markdown|html|csv|epub|text)"
SIGN = "[\ue000-\uf8ff]"
"""Stands for what was in quotation marks."""
PATH = rf"(?P<path>{SIGN}|[^\s,，/]*+(?:/[^\s,，/]*+)++)"
FILE = (
    r"(?P<file>[^\s,，/\ue000-\uf8ff]+"
    r"\.(?:pdf|docx?|odt|xlsx|ods|pptx|odp|md|html?|csv|epub|txt))"
)

_QUOTED = re.compile(
    r"\"[^\"]+\"|“[^“”]+”|”[^”]+”|„[^„“”]+[“”]|«[^«»]+»|»[^«»]+«|「[^「」]+」|『[^『』]+』|《[^《》]+》"
    r"|(?<![A-Za-z\d])'(?:[^']|(?<=[A-Za-z])'(?=[A-Za-z]))+'(?![A-Za-z\d])|‘(?:[^‘’]|(?<=[A-Za-z])’(?=[A-Za-z]))+’"
)
_STRAY = re.compile('["“”«»„‘「」『』《》]')
_A_SIGN = re.compile(SIGN)


@dataclass(frozen=True, slots=True)
class CountQuery:
    """What is to be counted or listed; ``where`` is a filter as in `indexes.where`, ``lang`` the
    language of the question, ``within`` the words of a condition that stood behind the phrase.

    ``how`` tells which documents: those that mention the phrase, lack it, or mention both or either
    of it and ``other``. Of ``mentions``, every place in a text is counted.
    """

    kind: Kind
    what: What
    where: str | None
    mentions: str | None
    lang: Literal["en", "zh"] = "en"
    how: How = "mention"
    other: str | None = None
    within: str = ""


@dataclass(frozen=True, slots=True)
class Masked:
    """A question in which signs stand for what is ``quoted``, and each space is a single one."""

    text: str
    quoted: tuple[str, ...]

    @classmethod
    def of(cls, asked: str) -> "Masked | None":
        """Nothing where a quotation mark has no partner, or the signs are in use."""
        quoted: list[str] = []

        def sign(match: "re.Match[str]") -> str:
            quoted.append(match[0][1:-1].strip())
            return chr(0xE000 + len(quoted) - 1)

        text = re.sub(r"\s+", " ", _QUOTED.sub(sign, asked))
        return None if _STRAY.search(text) or _A_SIGN.search(asked) else cls(text, tuple(quoted))

    def open(self, text: str) -> str | None:
        """What was in the quotation marks that ``text`` is; nothing if it is anything else."""
        if not re.fullmatch(SIGN, text):
            return None
        inner = self.quoted[ord(text) - 0xE000]
        return inner if fold(inner).text else None

    def words(self, text: str) -> str:
        """The text with what was in quotation marks, but not these."""
        return _A_SIGN.sub(lambda match: self.quoted[ord(match[0]) - 0xE000], text)

    def condition(self, part: Mapping[str, str | None]) -> str | None:
        """The filter of a condition; nothing for a path that is none."""
        if year := part["year"]:
            sign = COMPARED[(part["compared"] or "").lower()]
            return _modified(sign, int(year)) if part["touched"] else f"year {sign} {year}"
        if lang := part["lang"]:
            return f'lang = "{LANGUAGES[lang.lower()]}"'
        if part["first"]:
            return f"year >= {part['first']} and year <= {part['last']}"
        if file := part.get("file"):
            return f'source like "{_escaped(file)}"'
        path = part["path"] or ""
        if _A_SIGN.search(path):
            path = self.open(path) or ""
        if "/" not in path:
            return None
        return f'source like "{_escaped(path.rstrip("/").removeprefix("./"))}/*"'


def _escaped(text: str) -> str:
    return re.sub(r"([\\\"])", r"\\\1", text)


def of_format(name: str) -> str:
    """The filter of a format by the name that people give it."""
    formats = FORMATS[name]
    if len(formats) == 1:
        return f'format = "{formats[0]}"'
    return "format in ({})".format(", ".join(f'"{one}"' for one in formats))


def of_noun(match: "re.Match[str]") -> list[str]:
    """The filters that a noun stands for: «English PDFs»."""
    conditions = []
    if name := match["format"] or (match["pdfs"] and "pdf"):
        conditions.append(of_format(name.lower()))
    if adjective := match.groupdict().get("adjective"):
        conditions.append(f'lang = "{LANGUAGES[adjective.lower()]}"')
    return conditions


def together(conditions: Sequence[str | None]) -> list[str] | None:
    """The filters; nothing where one is missing, or a document cannot fulfil two of them."""
    known = [condition for condition in conditions if condition]
    one_of = ("lang = ", "year = ")
    clash = any(len({one for one in known if one.startswith(name)}) > 1 for name in one_of)
    return None if clash or len(known) < len(conditions) else known


def unnamed(pattern: str) -> str:
    """The pattern without the names of its groups, so that it may stand in another twice."""
    return re.sub(r"[?]P<[a-z]+>", "?:", pattern)


def _modified(sign: str, year: int) -> str:
    """ISO times are compared as text: a year stands for all of its days."""
    bounds = {
        "=": f'modified >= "{year}" and modified < "{year + 1}"',
        ">=": f'modified >= "{year}"', "<": f'modified < "{year}"',
        ">": f'modified >= "{year + 1}"', "<=": f'modified < "{year + 1}"',
    }  # fmt: skip
    return bounds[sign]
