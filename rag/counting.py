"""Questions about the documents themselves, answered by counting all of them.

A small grammar recognises them: a question is one only if every word of it has a part in the
grammar. Whatever is in doubt is an ordinary question, for a wrong count is worse than a search.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from indexes.collection import Collection
from indexes.counting import Match
from indexes.folding import fold
from indexes.types import SearchResult, chunk_id
from rag.types import Citation

Kind = Literal["count", "list"]
What = Literal["documents", "passages"]

_NAMED = 20
_LONGEST = 300
"""Characters of a question; what is longer is not read, for it could take long."""
_FORMATS = {
    "pdf": ("pdf",), "word": ("docx", "doc", "odt"), "docx": ("docx",), "excel": ("xlsx", "ods"),
    "xlsx": ("xlsx",), "powerpoint": ("pptx", "odp"), "pptx": ("pptx",), "markdown": ("md",),
    "html": ("html",), "csv": ("csv",), "epub": ("epub",), "text": ("txt",),
}  # fmt: skip
_LANGUAGES = {
    "chinese": "zh",
    "english": "en",
    "中文": "zh",
    "汉语": "zh",
    "英文": "en",
    "英语": "en",
}
_COMPARED = {
    "from": "=", "in": "=", "of": "=", "since": ">=", "before": "<", "after": ">", "until": "<=",
    "以来": ">=", "以后": ">", "之后": ">", "以前": "<", "之前": "<", "": "=",
}  # fmt: skip
_YEAR = r"(?:19|20)\d\d"
_QUOTED = r"[\"“”«»„‘’'「」『』《》]"
_PATH = r"[\"“「«]?(?P<path>[^\s\"“”「」«»,，]*/[^\s\"“”「」«»,，]*)[\"”」»]?"

_FORMAT = r"(?P<format>pdf|word|docx|excel|xlsx|powerpoint|pptx|markdown|html|csv|epub|text)"
_EN_NOUN = (
    rf"(?:all\s+)?(?:of\s+)?(?:the\s+|my\s+|our\s+)?(?:(?P<adjective>chinese|english)\s+)?"
    rf"(?:(?P<what>passages)|(?:{_FORMAT}\s+)?(?:documents|files|docs)|(?P<pdfs>pdfs))"
)
_EN_CONDITION = (
    rf"(?:(?:that|which)\s+)?(?:are\s+)?(?:dated\s+)?(?:(?P<touched>modified|changed|edited)\s+)?"
    rf"(?:(?P<compared>from|in|since|before|after|until)\s+(?P<year>{_YEAR})"
    rf"|(?:in|written\s+in)\s+(?P<lang>chinese|english)"
    rf"|(?:under|below|inside|in)\s+{_PATH}"
    rf"|between\s+(?P<first>{_YEAR})\s+and\s+(?P<last>{_YEAR}))"
)
_EN_MENTION = (
    r"(?:that\s+|which\s+)?(?:mention(?:s|ed|ing)?|(?P<holds>contain(?:s|ing)?))\s+"
    r"(?:the\s+(?P<said>word|phrase|term|name)s?\s+)?(?P<phrase>.+)"
)
_EN_HERE = r"(?:in\s+(?:the|this|my|our)\s+(?:collection|index)|here|in\s+total|altogether)"
_EN_BARE = (
    rf"(?:are\s+there|(?:do|can)\s+(?:you|we|i)\s+have|exist|(?:are|is|have\s+been)\s+indexed)"
    rf"(?:\s+{_EN_HERE})?|are\s+{_EN_HERE}"
)
_EN_START: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(rf"how\s+many\s+{_EN_NOUN}(?=\s|$)", re.I), "count"),
    (re.compile(rf"(?:which|what)\s+{_EN_NOUN}(?=\s|$)", re.I), "list"),
    (re.compile(rf"(?:please\s+)?(?:list|show)\s+(?:me\s+)?{_EN_NOUN}(?=\s|$)", re.I), "list"),
    (re.compile(rf"(?:please\s+)?count\s+{_EN_NOUN}(?=\s|$)", re.I), "count"),
)
_EN_PARTS = re.compile(rf"\s+{_EN_CONDITION}(?=\s|$)", re.I)
_EN_END = re.compile(rf"(?:\s+(?:{_EN_BARE}))?(?:\s+(?:and\s+)?{_EN_MENTION})?", re.I)
_EN_THERE = re.compile(r"\s+are\s+there", re.I)
_EN_LISTED = re.compile(r"\s+(?:are\s+)?(?:pdfs|pdf\s+files)", re.I)

_ZH_UNIT = "(?:个|份|篇|条|段)?"
_ZH_NOUN = rf"(?P<what>段落)|(?:{_FORMAT}\s*)?(?:文档|文件)|(?P<pdfs>pdf)"
_ZH_PATH = r"[\"“「«]?(?P<path>[^\s\"“”「」«»,，]*?/[^\s\"“”「」«»,，]*?)[\"”」»]?"
_ZH_CONDITION = (
    rf"在?\s*(?:(?P<year>{_YEAR})\s*年?(?P<compared>以来|以后|之后|以前|之前|)"
    rf"|(?P<first>{_YEAR})\s*年?[到至](?P<last>{_YEAR})\s*年?|(?P<lang>中文|汉语|英文|英语)"
    rf"|{_ZH_PATH}\s*(?:目录|文件夹)?(?:下面|下|里面|里|中))(?:(?P<touched>修改|改动))?(?:过)?的?\s*"
)
_ZH_SAYS = r"(?:都?(?:提到|提及)过?了?|(?P<holds>包含|含有))\s*"
_ZH_MENTION = rf"{_ZH_SAYS}(?P<phrase>.+?)"
_ZH_HERE = r"(?:集合里|索引里|库里|这里|我的|我们的)?"
_ZH_ASKED = rf"(?:一共|总共|共)?(?:有)?(?:多少|几){_ZH_UNIT}"
_ZH_CONDITIONS = rf"(?:{re.sub(r'[?]P<[a-z]+>', '?:', _ZH_CONDITION)})"
_ZH_ANY = rf"{_ZH_HERE}(?P<conditions>{_ZH_CONDITIONS}*)"
_ZH_WITH = rf"(?P<conditions>{_ZH_CONDITIONS}*)(?:{_ZH_NOUN})\s*"
_ZH_OF = rf"{_ZH_ANY}(?:{_ZH_MENTION}的)?\s*(?:{_ZH_NOUN})\s*"
_ZH_COUNTS = (
    rf"{_ZH_HERE}{_ZH_ASKED}\s*{_ZH_WITH}(?:{_ZH_MENTION})?",
    rf"{_ZH_ANY}{_ZH_ASKED}\s*(?:{_ZH_NOUN})\s*(?:{_ZH_MENTION})?",
    rf"{_ZH_OF}(?:一共|总共|共)?有?(?:多少|几){_ZH_UNIT}",
)
_ZH_LISTS = (
    rf"(?:有)?哪些\s*{_ZH_WITH}{_ZH_MENTION}",
    rf"{_ZH_OF}有哪些",
    rf"(?:请)?(?:列出|列举)(?:所有|全部)?(?:的)?\s*{_ZH_OF}",
    rf"(?:有)?哪些\s*(?:{_ZH_NOUN})是\s*(?P<conditions>{_ZH_CONDITIONS}+)",
)
_ZH_SHAPES: tuple[tuple[re.Pattern[str], Kind], ...] = (
    *((re.compile(shape, re.I), "count") for shape in _ZH_COUNTS),
    *((re.compile(shape, re.I), "list") for shape in _ZH_LISTS),
)
_ZH_PART = re.compile(_ZH_CONDITION, re.I)
_EN_OPEN = re.compile(
    r"\b(?:and|or|that|which|who|whose|how|why|when|where|whether|it|this|these|those|them|"
    r"him|her|you|your|me|my|to|if|is|are|was|most|least|more|not|any|every|each)\b|[,;:?!]", re.I
)  # fmt: skip
_ZH_OPEN = re.compile(
    "[，、；：？和与或及]|还是|什么|怎么|怎样|如何|为什么|哪|谁|需要|必须|应该|可以|是否|最"
)
_LONGEST_EN, _LONGEST_ZH = 4, 8


@dataclass(frozen=True, slots=True)
class CountQuery:
    """What is to be counted or listed; ``where`` is a filter as in `indexes.where`, ``lang`` the
    language of the question."""

    kind: Kind
    what: What
    where: str | None
    mentions: str | None
    lang: Literal["en", "zh"] = "en"


@dataclass(frozen=True, slots=True)
class CountAnswer:
    """The answer as a sentence, which names the first documents, and all that it stands on.

    ``documents`` and ``passages`` are the exact numbers. Where a phrase was asked for, the quote of
    each match is ``document.text[start:end]`` of its source, the first place that mentions it.
    """

    query: CountQuery
    text: str
    documents: int
    passages: int
    matches: tuple[Match, ...]


def count_query(question: str) -> CountQuery | None:
    """The counting that ``question`` asks for, or nothing where it may ask for something else."""
    asked = question.strip().rstrip("?？.。!！ \n")
    if len(asked) > _LONGEST:
        return None
    return _english(asked) or _chinese(asked)


def answer_count(query: CountQuery, collection: Collection) -> CountAnswer:
    """Count over the whole collection. Raises what `Collection.matching` raises."""
    found = collection.matching(query.where, query.mentions)
    passages = sum(match.passages for match in found)
    text = _sentence(query, found, passages)
    return CountAnswer(query, text, len(found), passages, found)


# -- English -------------------------------------------------------------------------------------


def _english(asked: str) -> CountQuery | None:
    starts = ((pattern.match(asked), kind) for pattern, kind in _EN_START)
    start, kind = next((found for found in starts if found[0]), (None, "count"))
    if start is None:
        return None
    conditions = _noun_conditions(start)
    at = start.end()
    if not conditions and (listed := _EN_LISTED.fullmatch(asked, at)):
        at, conditions = listed.end(), [_format("pdf")]
    there = _EN_THERE.match(asked, at)
    if there and _EN_PARTS.match(asked, there.end()):
        at = there.end()
    while part := _EN_PARTS.match(asked, at):
        conditions.append(_condition(part))
        at = part.end()
    end = _EN_END.fullmatch(asked, at)
    if end is None:
        return None
    said = end["phrase"]
    phrase = _phrase(said, bool(end["said"]), bool(end["holds"]), "en") if said else None
    whole = bool(conditions or end[0] or asked.lower().startswith(("list", "show", "count")))
    if (said and not phrase) or not whole or (start["what"] and not phrase):
        return None
    return _query(kind, start["what"], conditions, phrase, "en")


def _noun_conditions(match: "re.Match[str]") -> list[str]:
    conditions = []
    if name := match["format"] or (match["pdfs"] and "pdf"):
        conditions.append(_format(name.lower()))
    if adjective := match.groupdict().get("adjective"):
        conditions.append(f'lang = "{_LANGUAGES[adjective.lower()]}"')
    return conditions


# -- Chinese -------------------------------------------------------------------------------------


def _chinese(asked: str) -> CountQuery | None:
    shapes = ((pattern.fullmatch(asked), kind) for pattern, kind in _ZH_SHAPES)
    match, kind = next((found for found in shapes if found[0]), (None, "count"))
    if match is None:
        return None
    parts = match.groupdict()
    said = parts.get("phrase")
    phrase = _phrase(said, False, bool(parts.get("holds")), "zh") if said else None
    if (said and not phrase) or (match["what"] and not phrase):
        return None
    read = list(_ZH_PART.finditer(match["conditions"]))
    if "".join(part[0] for part in read) != match["conditions"]:
        return None
    conditions = [_condition(part) for part in read]
    return _query(kind, match["what"], _noun_conditions(match) + conditions, phrase, "zh")


# -- both ----------------------------------------------------------------------------------------


def _query(
    kind: Kind, passages: str | None, conditions: Sequence[str], phrase: str | None, lang: str
) -> CountQuery:
    return CountQuery(
        kind,
        "passages" if passages else "documents",
        " and ".join(conditions) or None,
        phrase,
        "zh" if lang == "zh" else "en",
    )


def _format(name: str) -> str:
    formats = _FORMATS[name]
    if len(formats) == 1:
        return f'format = "{formats[0]}"'
    return "format in ({})".format(", ".join(f'"{one}"' for one in formats))


def _condition(part: "re.Match[str]") -> str:
    if part["year"]:
        sign, year = _COMPARED[(part["compared"] or "").lower()], int(part["year"])
        return _modified(sign, year) if part["touched"] else f"year {sign} {year}"
    if part["lang"]:
        return f'lang = "{_LANGUAGES[part["lang"].lower()]}"'
    if part["first"]:
        return f"year >= {part['first']} and year <= {part['last']}"
    path = re.sub(r"([\\\"])", r"\\\1", part["path"].rstrip("/").removeprefix("./"))
    return f'source like "{path}/*"'


def _modified(sign: str, year: int) -> str:
    """ISO times are compared as text: a year stands for all of its days."""
    bounds = {
        "=": f'modified >= "{year}" and modified < "{year + 1}"',
        ">=": f'modified >= "{year}"', "<": f'modified < "{year}"',
        ">": f'modified >= "{year + 1}"', "<=": f'modified < "{year + 1}"',
    }  # fmt: skip
    return bounds[sign]


def _phrase(said: str, named: bool, holds: bool, lang: str) -> str | None:
    """What is to be mentioned: what stands in quotation marks, else a few words that can be nothing
    but a name or term."""
    said = said.strip()
    quoted = re.fullmatch(
        rf"{_QUOTED}([^\"“”«»「」『』《》]+){_QUOTED}(?:\s*(?:这个词|一词))?", said
    )
    if quoted:
        return quoted[1].strip() if fold(quoted[1]).text else None
    if re.search(_QUOTED.replace("'", "").replace("’", ""), said) or (holds and not named):
        return None
    plain = re.sub(r"^(?:the|an?)\s+", "", said, flags=re.I)
    long = len(plain) > _LONGEST_ZH if lang == "zh" else len(plain.split()) > _LONGEST_EN
    if long or (_ZH_OPEN if lang == "zh" else _EN_OPEN).search(plain) or not fold(plain).text:
        return None
    return plain


def _sentence(query: CountQuery, found: Sequence[Match], passages: int) -> str:
    names = _names(found[:_NAMED])
    rest = len(found) - len(names)
    number = passages if query.what == "passages" else len(found)
    if query.lang == "zh":
        noun = "个段落" if query.what == "passages" else "份文档"
        does = f"提到「{query.mentions}」" if query.mentions else "符合条件"
        listed = "、".join(names) + (f"，另有 {rest} 份" if rest else "")
        if not number:
            return f"没有文档{does}。" if query.mentions or query.where else "集合里没有文档。"
        if query.what == "passages":
            return f"有 {number} {noun}{does}，在 {len(found)} 份文档里：{listed}。"
        if not (query.mentions or query.where):
            return f"共有 {number} {noun}：{listed}。"
        return f"有 {number} {noun}{does}：{listed}。"
    one = number == 1
    noun = query.what[:-1] if one else query.what
    does = f"mention{'s' if one else ''} «{query.mentions}»" if query.mentions else "match"
    listed = ", ".join(names) + (f" and {rest} more" if rest else "")
    if not number:
        nothing = f"mentions «{query.mentions}»" if query.mentions else "matches"
        return f"No document {nothing}." if query.mentions or query.where else "No documents."
    if query.what == "passages":
        where = "1 document" if len(found) == 1 else f"{len(found)} documents"
        return f"{number} {noun} {does}, in {where}: {listed}."
    if not query.mentions:
        return f"{number} {noun}: {listed}."
    return f"{number} {noun} {does}: {listed}."


def _names(found: Sequence[Match]) -> list[str]:
    """The last part of each source, or all of it where two end alike."""
    short = [PurePath(match.document.source).name or match.document.source for match in found]
    return [
        match.document.source if short.count(name) > 1 else name
        for match, name in zip(found, short, strict=True)
    ]


def context_of(number: int, match: Match) -> SearchResult:
    """A document that was counted, as the passage that made it count."""
    document = match.document
    return SearchResult(
        number, 1.0, chunk_id(document.source, match.start, match.quote), document.source,
        document.title, match.page, (), match.start, match.end, match.quote,
        {"format": document.format, "lang": document.lang, **document.metadata},
        page_starts=document.page_starts,
    )  # fmt: skip


def mention_of(context: SearchResult) -> Citation:
    """The citation of a document that was counted."""
    return Citation(
        context.rank, context.text, context.source, context.title, context.page, context.start,
        context.end, context.text, "verbatim",
    )  # fmt: skip
