r"""Rich Text Format, version 1.9: control words, ``\'hh`` bytes in the font's charset, ``\uN``."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from indexes.loaders.draft import Draft

_TOKEN = re.compile(
    r"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])"
    r"|([{}])|[\r\n]+|([^\\{}\r\n]+)"
)
# Groups whose text belongs to no page.
_DESTINATIONS = frozenset({
    "fonttbl", "colortbl", "stylesheet", "listtable", "listoverridetable", "rsidtbl", "generator",
    "pict", "object", "themedata", "colorschememapping", "datastore", "latentstyles", "xmlnstbl",
    "header", "footer", "headerl", "headerr", "headerf", "footerl", "footerr", "footerf", "filetbl",
    "revtbl", "fldinst", "bkmkstart", "bkmkend", "info", "listtext", "pntext", "mmathPr",
    "wgrffmtfilter", "panose", "falt", "nonshppict", "template", "comment",
})  # fmt: skip
_MARKS = {
    "par": "\n\n", "line": "\n", "page": "\n\n", "sect": "\n\n", "tab": "\t", "cell": "\t",
    "row": "\n", "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’",
    "ldblquote": "“", "rdblquote": "”", "emspace": " ", "enspace": " ",
}  # fmt: skip
# \fcharset to code page, from the specification's table.
_CHARSETS = {
    0: "cp1252", 128: "cp932", 129: "cp949", 134: "gb18030", 136: "cp950", 161: "cp1253",
    162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251",
    222: "cp874", 238: "cp1250",
}  # fmt: skip
_MAX_DEPTH = 1000


@dataclass(frozen=True, slots=True)
class _State:
    """What a closing brace restores."""

    skip: bool = False
    charset: str = ""
    unicode_skip: int = 1


def read_rtf(data: bytes) -> Draft:
    """The text of an RTF document; rows of a table are lines with tabs."""
    source = data.decode("latin-1")  # RTF is ASCII; the rare raw byte keeps its value
    text = "".join(_Reader(source).pieces())
    title = _info(source, "title")
    if not any(map(str.isalnum, title)):
        title = ""  # "????": what an old program made of a title outside its code page
    metadata = {"author": _info(source, "author")}
    return Draft((re.sub(r"\n{3,}", "\n\n", text),), "text", "rtf", title=title, metadata=metadata)


def _info(source: str, field: str) -> str:
    value = r"((?:[^{}\\]|\\'[0-9a-fA-F]{2}|\\u-?\d+ ?){1,500})"
    group = re.search(rf"\{{\\{field} {value}\}}", source[:65_536])
    return "".join(_Reader(group.group(1), _code_page(source)).pieces()) if group else ""


def _code_page(source: str) -> str:
    match = re.search(r"\\ansicpg(\d{1,5})", source[:4096])
    number = match.group(1) if match else "1252"
    return {"936": "gb18030", "65001": "utf-8"}.get(number, f"cp{number}")


def _known(charset: str) -> str:
    try:
        "".encode(charset)
    except LookupError:
        return "cp1252"
    return charset


class _Reader:
    def __init__(self, source: str, code_page: str = "") -> None:
        self._source = source
        self._default = _known(code_page or _code_page(source))
        self._fonts = _font_charsets(source)
        self._pending = bytearray()  # bytes of characters that the charset spreads over several
        self._state = _State(charset=self._default)

    def pieces(self) -> Iterator[str]:
        stack: list[_State] = []
        ignore = 0  # characters after \uN that stand in for it in old readers
        starred = False
        for match in _TOKEN.finditer(self._source):
            word, number, byte, symbol, brace, plain = match.groups()
            if byte is not None:
                if ignore:
                    ignore -= 1
                elif not self._state.skip:
                    self._pending.append(int(byte, 16))
                continue
            if plain is not None:
                cut, ignore = min(ignore, len(plain)), max(0, ignore - len(plain))
                if not self._state.skip:
                    # Where raw text follows a lone lead byte, it holds the trail byte.
                    self._pending += plain[cut:].encode("latin-1", errors="replace")
                continue
            yield self._flush()
            if brace == "{" and len(stack) < _MAX_DEPTH:
                stack.append(self._state)
            elif brace == "}" and stack:
                self._state = stack.pop()
                ignore = 0
            elif symbol == "*":
                starred = True
                continue
            elif symbol is not None and not self._state.skip:
                yield {"~": " ", "_": "-", "\n": "\n\n", "\r": "\n\n"}.get(
                    symbol, symbol if symbol in "\\{}" else ""
                )
            elif word is not None:
                if word == "u" and number and not self._state.skip:
                    yield chr(int(number) % 65536)
                    ignore = self._state.unicode_skip
                elif not self._state.skip:
                    yield _MARKS.get(word, "")
                self._control(word, number, starred)
            starred = False
        yield self._flush()

    def _flush(self) -> str:
        text = self._pending.decode(self._state.charset, errors="replace")
        self._pending.clear()
        return text

    def _control(self, word: str, number: str | None, starred: bool) -> None:
        if word in _DESTINATIONS or starred:
            self._state = replace(self._state, skip=True)
        elif word in ("f", "af") and number:
            charset = self._fonts.get(number, self._default)
            if word == "f":
                self._state = replace(self._state, charset=charset)
        elif word == "uc" and number:
            self._state = replace(self._state, unicode_skip=max(0, min(int(number), 8)))
        elif word == "plain":
            self._state = replace(self._state, charset=self._default)


def _font_charsets(source: str) -> dict[str, str]:
    """Font number to charset, from the font table."""
    start = source.find("{\\fonttbl")
    if start < 0:
        return {}
    table = source[start : start + 200_000]
    fonts = re.finditer(
        r"\{\\f(\d{1,5})(?:\\[a-z]{1,20}-?\d{0,10} ?){0,12}?\\fcharset(\d{1,3})", table
    )
    return {m.group(1): _CHARSETS[int(m.group(2))] for m in fonts if int(m.group(2)) in _CHARSETS}
