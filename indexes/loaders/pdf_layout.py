"""Reading order of a page: columns one after the other, lines from top to bottom, tables in place.

PDFium gives the lines in the order in which the file draws them. That is the reading order in most
files and in some it is not, so the places on the page decide.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from indexes.loaders.lines import starts_item, units
from indexes.loaders.pdf_page import NEITHER, Face, PageContent, Word
from indexes.loaders.pdf_tables import Table, aligned_cells, take_tables
from indexes.loaders.tables import markdown_table

MARGIN = 0.12  # of a page's height, where running heads and feet stand
_BIN = 2.0  # points
_NARROWEST_GUTTER = 6.0
_MIN_LINES = 4
_MIN_UNITS = 16  # of a line of prose; an ideograph counts two
_MAX_DEPTH = 4
_LEADER = re.compile(r"(?:[.·…] ?){5,}")


@dataclass(slots=True)
class Line:
    """One line of a page. ``left`` and ``right`` bound the column that it stands in, ``size`` is
    that of its type; all in points. ``split`` tells that wide gaps part it. A table is one line,
    with line breaks in its ``text``."""

    text: str
    x0: float
    top: float
    x1: float
    bottom: float
    size: float
    left: float
    right: float
    face: Face = NEITHER
    split: bool = False
    table: bool = False


@dataclass(slots=True)
class _Piece:
    """Words of one line without a wide gap between them, or a whole table."""

    words: list[Word]
    x0: float
    top: float
    x1: float
    bottom: float
    line: int
    table: str = ""

    @property
    def text(self) -> str:
        return self.table or " ".join(word.text for word in self.words)

    @property
    def height(self) -> float:
        return self.bottom - self.top


def arrange(content: PageContent) -> list[Line]:
    """The lines of a page in reading order."""
    tables, words = take_tables(content.words, content.rules)
    pieces = _pieces(words) + [_placed(table) for table in tables]
    head, body, foot = _margins(pieces, content.top, content.bottom)
    columns = [head, *_columns(body, _MAX_DEPTH), foot]
    page = _sides(pieces)
    return [
        line
        for column in columns
        for line in _lines(column, _sides(column) if len(column) > 2 else page)
    ]


def _sides(pieces: Sequence[_Piece]) -> tuple[float, float]:
    """Where lines begin and where full ones end."""
    ends = sorted(p.x1 for p in pieces)
    return min((p.x0 for p in pieces), default=0.0), ends[len(ends) * 9 // 10] if ends else 0.0


def _margins(
    pieces: list[_Piece], top: float, bottom: float
) -> tuple[list[_Piece], list[_Piece], list[_Piece]]:
    """The running head, the body and the running foot: they belong to no column."""
    pieces = sorted(pieces, key=lambda p: p.top)
    steps = [b.top - a.top for a, b in pairwise(pieces) if b.top - a.top > 1]
    if not steps:
        return [], pieces, []
    margin, apart = MARGIN * (bottom - top), 1.5 * median(steps)
    first, last = 0, len(pieces)
    reach = pieces[0].bottom
    for index, (above, below) in enumerate(pairwise(pieces), 1):
        reach = max(reach, above.bottom)
        if below.top - above.top < apart or below.top < reach:
            continue
        if reach < top + margin and not first:
            first = index
        if below.top > bottom - margin:
            last = index
            break
    return pieces[:first], pieces[first:last], pieces[last:]


def _placed(table: Table) -> _Piece:
    return _Piece([], table.x0, table.top, table.x1, table.bottom, -1, table.text)


def _pieces(words: Sequence[Word]) -> list[_Piece]:
    pieces: list[_Piece] = []
    for word in words:
        last = pieces[-1] if pieces else None
        if last is not None and last.line == word.line and not _apart(last.words[-1], word):
            last.words.append(word)
            last.x0, last.x1 = min(last.x0, word.x0), max(last.x1, word.x1)
            last.top, last.bottom = min(last.top, word.top), max(last.bottom, word.bottom)
        else:
            pieces.append(_Piece([word], word.x0, word.top, word.x1, word.bottom, word.line))
    return pieces


def _apart(last: Word, word: Word) -> bool:
    """Whether there is more than a word space between them, in either direction of writing."""
    gap = word.x0 - last.x1 if word.x0 >= last.x0 else last.x0 - word.x1
    return gap > max(last.size, word.size)


def _columns(pieces: list[_Piece], depth: int) -> list[list[_Piece]]:
    """Sets of pieces to be read one after the other, each from top to bottom."""
    middle = _gutter(pieces) if depth else None
    if middle is None:
        return [pieces] if pieces else []
    # What crosses the gutter (titles, wide figures) ends the columns above it.
    crossing = sorted((p for p in pieces if p.x0 < middle < p.x1), key=lambda p: p.top)
    beside = [p for p in pieces if not p.x0 < middle < p.x1]
    ordered: list[list[_Piece]] = []
    wide: list[_Piece] = []
    for limit in [*crossing, None]:
        above = [p for p in beside if limit is None or p.top + p.bottom < limit.top + limit.bottom]
        if above:
            ordered.append(wide)
            wide = []
            for side in (
                [p for p in above if p.x1 <= middle],
                [p for p in above if p.x0 >= middle],
            ):
                ordered.extend(_columns(side, depth - 1))
            taken = set(map(id, above))
            beside = [p for p in beside if id(p) not in taken]
        if limit is not None:
            wide.append(limit)
    return [column for column in [*ordered, wide] if column]


def _gutter(pieces: list[_Piece]) -> float | None:
    """The x at which two columns of prose are apart, if the pieces form any."""
    if len(pieces) < 4:
        return None
    start = min(p.x0 for p in pieces)
    cover = _coverage(pieces, start)
    best: tuple[float, float] | None = None
    for low, high in _valleys(cover):
        middle = start + (low + high) / 2 * _BIN
        left = [p for p in pieces if p.x1 <= middle]
        right = [p for p in pieces if p.x0 >= middle]
        width = (high - low) * _BIN
        if (best is None or width > best[0]) and _are_columns(left, right):
            best = width, middle
    return best[1] if best else None


def _coverage(pieces: Sequence[_Piece], start: float) -> list[float]:
    """For each stripe of the page, how much of its height text takes."""
    bins = int((max(p.x1 for p in pieces) - start) / _BIN) + 1
    steps = [0.0] * (min(bins, 5000) + 1)
    for piece in pieces:
        if not piece.table:
            first = min(int((piece.x0 - start) / _BIN), len(steps) - 2)
            last = min(int((piece.x1 - start) / _BIN) + 1, len(steps) - 1)
            steps[first] += piece.height
            steps[last] -= piece.height
    cover, total = [], 0.0
    for step in steps[:-1]:
        total += step
        cover.append(total)
    return cover


def _valleys(cover: list[float]) -> list[tuple[int, int]]:
    """The stripes, as (first, last + 1), that few lines cross and many stand beside."""
    high = max(cover)
    valleys: list[tuple[int, int]] = []
    start = None
    for index, value in enumerate([*cover, high]):
        if value <= 0.35 * high:
            start = index if start is None else start
        elif start is not None:
            low = min(cover[start:index])
            inside = [i for i in range(start, index) if cover[i] <= low + 0.02 * high]
            if start and (inside[-1] + 1 - inside[0]) * _BIN >= _NARROWEST_GUTTER:
                valleys.append((inside[0], inside[-1] + 1))
            start = None
    return valleys


def _are_columns(left: list[_Piece], right: list[_Piece]) -> bool:
    """Whether both are prose that stands side by side, and not the cells of a table."""
    if not left or not right:
        return False
    top = max(min(p.top for p in side) for side in (left, right))
    bottom = min(max(p.bottom for p in side) for side in (left, right))
    # A table is drawn row by row, and its cells leave their column's end blank.
    sides = [s for _, s in sorted([(p.line, 0) for p in left] + [(p.line, 1) for p in right])]
    changes = sum(a != b for a, b in pairwise(sides))
    drawn_apart = changes == 1
    least = 2 if drawn_apart else _MIN_LINES
    if not (_is_prose(left, least) and _is_prose(right, least)):
        return False
    if bottom - top < (least - 1) * median(p.height for p in left):
        return False
    width = max(p.x1 for p in left) - min(p.x0 for p in left)
    by_rows = changes > 0.8 * min(len(left), len(right))
    return drawn_apart or not by_rows or median(p.x1 - p.x0 for p in left) > 0.8 * width


def _is_prose(side: list[_Piece], least: int) -> bool:
    side = [p for p in side if not p.table]
    if len(side) < least:
        return False
    return sum(min(units(p.text), 60) for p in side) / len(side) >= _MIN_UNITS


def _lines(column: list[_Piece], sides: tuple[float, float]) -> list[Line]:
    left, right = sides
    lines: list[Line] = []
    rows = _rows(column)
    while rows:
        table, used = _open_table(rows)
        if table:
            lines.append(_table(table, [p for row in rows[:used] for p in row], left, right))
        elif rows[0][0].table:
            lines.append(_table(rows[0][0].table, rows[0], left, right))
        else:
            lines.append(_line(rows[0], left, right))
        rows = rows[max(used, 1) :]
    return lines


def _table(text: str, pieces: list[_Piece], left: float, right: float) -> Line:
    return Line(text, *_box(pieces), size=0.0, left=left, right=right, table=True)


def _line(row: list[_Piece], left: float, right: float) -> Line:
    words = [word for piece in row for word in piece.words]
    sizes = sorted(word.size for word in words for _ in word.text)
    size = sizes[len(sizes) // 2]
    gaps = (b.x0 - a.x1 for a, b in pairwise(row))
    return Line(
        " ".join(piece.text for piece in row),
        *_box(row),
        size=size,
        left=left,
        right=right,
        face=Face(*map(min, words[0].face, words[-1].face)),
        split=any(gap > 2 * size for gap in gaps),
    )


def _box(pieces: list[_Piece]) -> tuple[float, float, float, float]:
    return (
        min(p.x0 for p in pieces),
        min(p.top for p in pieces),
        max(p.x1 for p in pieces),
        max(p.bottom for p in pieces),
    )


def _rows(column: list[_Piece]) -> list[list[_Piece]]:
    """The pieces on one height form a row; PDFium's own lines stay together and in order."""
    groups: dict[int, list[_Piece]] = {}
    for number, piece in enumerate(column):
        groups.setdefault(piece.line if piece.line >= 0 else -1 - number, []).append(piece)
    units_ = sorted(groups.values(), key=lambda g: (g[0].top + g[0].bottom, g[0].x0))
    rows: list[list[_Piece]] = []
    for unit in units_:
        if rows and _same_row(rows[-1], unit):
            rows[-1] = sorted([*rows[-1], *unit], key=lambda p: p.x0)
        else:
            rows.append(unit)
    return rows


def _same_row(row: list[_Piece], unit: list[_Piece]) -> bool:
    last, new = row[0], unit[0]
    if last.table or new.table:
        return False
    shift = abs((last.top + last.bottom) - (new.top + new.bottom)) / 2
    beside = all(a.x1 <= b.x0 + 1 or b.x1 <= a.x0 + 1 for a in row for b in unit)
    return beside and shift <= 0.4 * min(last.height, new.height)


def _open_table(rows: list[list[_Piece]]) -> tuple[str, int]:
    """A table without lines at the head of ``rows``: its Markdown and how many rows it takes."""
    used = 0
    for row in rows:
        if len(row) < 2 or _is_plain(row):
            break
        used += 1
    while used >= 3:
        cells = aligned_cells([w for row in rows[:used] for p in row for w in p.words], 1, 2)
        if cells:
            return markdown_table(cells), used
        used -= 1
        if used < len(rows) - 1 and used > 12:
            break  # a long run that does not align is no table; trying on costs time
    return "", 0


def _is_plain(row: list[_Piece]) -> bool:
    """A list item, or a line of a table of contents."""
    return any(p.table or _LEADER.search(p.text) for p in row) or starts_item(row[0].text + " ")
