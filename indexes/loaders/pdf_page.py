"""What PDFium tells of one page: words with their places, and ruling lines.

Coordinates are in points, x to the right and y *down* along the direction in which the page's text
is read, whatever way the page is turned.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

# PDFium joins two lines, even over a column's end, where a hyphen ends the first: its sign for
# such a hyphen ends a line here.
_SOFT_HYPHEN = "\ufffe\x02"
_WORD = re.compile(rf"[^\s{_SOFT_HYPHEN}]+[{_SOFT_HYPHEN}]?|[{_SOFT_HYPHEN}]")
_MONO = re.compile(rb"(?i)mono|courier|consol|typewriter|cmtt|menlo")
_FIXED_PITCH = 1  # PDF 32000-1, table 123
_BREAK = re.compile(rf"[\n{_SOFT_HYPHEN}]")
_BOLD = re.compile(rb"(?i)bold|black|heavy|demi|simhei|heiti")
# A page of vector art has tens of thousands of paths, and no table that these would draw.
_MAX_OBJECTS = 20_000
_MAX_SEGMENTS = 2_000
_MAX_EDGES = 10_000
_SHORTEST_EDGE = 4.0

Point = tuple[float, float]


class Face(NamedTuple):
    """What kind of type a word is set in."""

    bold: bool
    mono: bool


NEITHER = Face(bold=False, mono=False)


@dataclass(slots=True)
class Word:
    """A run of characters without space; ``line`` numbers the lines as PDFium groups them. ``top``
    and ``bottom`` follow from base line and ``size`` of the type, so that fonts do not matter.
    Words between two of one kind on a line count as of that kind."""

    text: str
    x0: float
    top: float
    x1: float
    bottom: float
    size: float
    line: int
    face: Face = NEITHER


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight horizontal or vertical line."""

    x0: float
    top: float
    x1: float
    bottom: float

    @property
    def horizontal(self) -> bool:
        return self.x1 - self.x0 >= self.bottom - self.top


@dataclass(frozen=True, slots=True)
class PageContent:
    """``top`` and ``bottom`` bound the page; ``words`` are in PDFium's order."""

    words: list[Word]
    rules: list[Rule]
    top: float
    bottom: float


def read_page(page: Any) -> PageContent:
    """The words and rules of a ``pypdfium2.PdfPage``."""
    text_page = page.get_textpage()
    try:
        raw = _raw_words(text_page)
    finally:
        text_page.close()
    turn = _turn(raw, page.get_rotation())
    words = [_word(item, turn) for item in raw]
    rules = [Rule(*_turned(turn, *edge)) for edge in _edges(page)] if words else []
    _, page_top, _, page_bottom = _turned(turn, *page.get_mediabox())
    return PageContent(words, rules, page_top, page_bottom)


Box = tuple[float, float, float, float]
"""left, bottom, right, top in the page's own coordinates; x0, top, x1, bottom once turned."""


class _Type(NamedTuple):
    """How a character is set; ``origin`` is where it stands on its base line."""

    origin: Point
    size: float
    face: Face


class _Raw(NamedTuple):
    """A word as PDFium gives it, with the boxes of its first and last character."""

    text: str
    line: int
    first: Box
    last: Box
    type: _Type


def _word(raw: _Raw, turn: int) -> Word:
    x0, _, x1, _ = _turned(turn, *raw.first)
    other0, _, other1, _ = _turned(turn, *raw.last)
    origin, size, face = raw.type
    base = _turned(turn, *origin, *origin)[1]
    top, bottom = base - 0.8 * size, base + 0.2 * size
    return Word(raw.text, min(x0, other0), top, max(x1, other1), bottom, size, raw.line, face)


def _raw_words(text_page: Any) -> list[_Raw]:
    import pypdfium2.raw as pdfium

    text: str = text_page.get_text_range()
    handle = text_page.raw
    same = len(text) == text_page.count_chars()

    def index(place: int) -> int:
        # Characters without a Unicode value have boxes, but are no text.
        found: int = place if same else pdfium.FPDFText_GetCharIndexFromTextIndex(handle, place)
        return max(found, 0)

    words: list[_Raw] = []
    for number, line in enumerate(_lines(text)):
        starts = [index(match.start()) for match in line]
        for match, start, kind in zip(line, starts, _types(handle, starts), strict=True):
            end = index(match.end() - 1)
            first = _char_box(handle, start)
            last = _char_box(handle, end) if end != start else first
            words.append(_Raw(match.group(), number, first, last, kind))
    return words


def _lines(text: str) -> Iterator[list[re.Match[str]]]:
    """The words of each line."""
    line: list[re.Match[str]] = []
    for match in _WORD.finditer(text):
        if line and _BREAK.search(text, line[-1].start(), match.start()):
            yield line
            line = []
        line.append(match)
    if line:
        yield line


def _types(handle: Any, starts: list[int]) -> list[_Type]:
    """How the words of one line are set: as the first one, where the last one is set like it."""
    first = _type(handle, starts[0])
    last = _type(handle, starts[-1]) if len(starts) > 1 else first
    level = min(abs(a - b) for a, b in zip(first.origin, last.origin, strict=True)) < 0.5
    if level and abs(first.size - last.size) < 0.1:
        return [first] * (len(starts) - 1) + [last]
    return [first, *(_type(handle, start) for start in starts[1:])]


def _type(handle: Any, index: int) -> _Type:
    return _Type(_origin(handle, index), _size(handle, index), _face(handle, index))


def _char_box(handle: Any, index: int) -> Box:
    import pypdfium2.raw as pdfium

    box = pdfium.FS_RECTF()
    pdfium.FPDFText_GetLooseCharBox(handle, index, box)
    return box.left, box.bottom, box.right, box.top


def _origin(handle: Any, index: int) -> Point:
    import pypdfium2.raw as pdfium

    x, y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharOrigin(handle, index, x, y)
    return x.value, y.value


def _size(handle: Any, index: int) -> float:
    """The size of the type in points: files may set size 1 and scale it."""
    import pypdfium2.raw as pdfium

    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFText_GetMatrix(handle, index, matrix)
    size: float = pdfium.FPDFText_GetFontSize(handle, index)
    return abs(size) * math.hypot(matrix.c, matrix.d)


def _face(handle: Any, index: int) -> Face:
    import pypdfium2.raw as pdfium

    name, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(handle, index, name, len(name), flags)
    bold = bool(_BOLD.search(name.value)) or pdfium.FPDFText_GetFontWeight(handle, index) >= 650
    return Face(bold, bool(flags.value & _FIXED_PITCH or _MONO.search(name.value)))


def _turn(words: list[_Raw], rotation: int) -> int:
    """By how many degrees the reading direction is turned against the page's x axis."""
    along = across = 0.0
    rising = 0.0
    for word in words:
        dx, dy = word.last[0] - word.first[0], word.last[1] - word.first[1]
        along += abs(dx)
        across += abs(dy)
        rising += dy
    if across > 2 * along:
        return 90 if (rising > 0 if rising else rotation == 90) else 270
    return 180 if rotation == 180 and across <= along else 0


def _turned(turn: int, left: float, bottom: float, right: float, top: float) -> Box:
    if turn == 90:
        return bottom, left, top, right
    if turn == 270:
        return -top, -right, -bottom, -left
    if turn == 180:
        return -right, bottom, -left, top
    return left, -top, right, -bottom


def _edges(page: Any) -> list[Box]:
    """The straight edges of the paths that are drawn directly on the page."""
    import pypdfium2.raw as pdfium

    edges: list[Box] = []
    for index in range(min(pdfium.FPDFPage_CountObjects(page.raw), _MAX_OBJECTS)):
        item = pdfium.FPDFPage_GetObject(page.raw, index)
        if pdfium.FPDFPageObj_GetType(item) != pdfium.FPDF_PAGEOBJ_PATH:
            continue
        if pdfium.FPDFPath_CountSegments(item) <= _MAX_SEGMENTS:
            edges.extend(_path_edges(item))
        if len(edges) > _MAX_EDGES:
            return []
    return edges


def _path_edges(item: Any) -> Iterator[Box]:
    for (x0, y0), (x1, y1) in _segments(item):
        width, height = abs(x1 - x0), abs(y1 - y0)
        if max(width, height) >= _SHORTEST_EDGE and min(width, height) <= 1:
            yield min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _segments(item: Any) -> Iterator[tuple[Point, Point]]:
    """The straight segments of a path, in the page's coordinates."""
    import pypdfium2.raw as pdfium

    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFPageObj_GetMatrix(item, matrix)
    x, y = ctypes.c_float(), ctypes.c_float()
    begin: Point = (0.0, 0.0)
    here: Point = (0.0, 0.0)
    for index in range(pdfium.FPDFPath_CountSegments(item)):
        segment = pdfium.FPDFPath_GetPathSegment(item, index)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        there = (
            matrix.a * x.value + matrix.c * y.value + matrix.e,
            matrix.b * x.value + matrix.d * y.value + matrix.f,
        )
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            begin = there
        elif kind == pdfium.FPDF_SEGMENT_LINETO:
            yield here, there
        if pdfium.FPDFPathSegment_GetClose(segment):
            yield there, begin
        here = there
