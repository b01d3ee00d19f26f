"""Tables of a page: grids of ruling lines, and rows whose cells stand below each other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from indexes.loaders.pdf_page import Rule, Word
from indexes.loaders.tables import markdown_table

_NEAR = 3.0
_MAX_RULES = 400
_LONGEST_CELL = 40  # mean characters of a cell where no line says that it is one


@dataclass(frozen=True, slots=True)
class Table:
    """A table in Markdown and the place that it takes on the page."""

    text: str
    x0: float
    top: float
    x1: float
    bottom: float


def take_tables(words: list[Word], rules: Sequence[Rule]) -> tuple[list[Table], list[Word]]:
    """The tables that ``rules`` draw, and the words outside of them."""
    level = _merged([r for r in rules if r.horizontal], lambda r: (r.top, r.x0, r.x1))
    upright = _merged([r for r in rules if not r.horizontal], lambda r: (r.x0, r.top, r.bottom))
    if len(level) + len(upright) > _MAX_RULES:
        return [], words
    tables = []
    for group in _connected(level, upright):
        inside = [w for w in words if group.holds(w)]
        table = _grid(inside, group) if group.xs else _open_table(inside, group)
        if table is not None:
            tables.append(table)
            taken = set(map(id, inside))
            words = [w for w in words if id(w) not in taken]
    return tables, words


# A line as (position, begin, end): y, x0, x1 where it is horizontal, x, top, bottom where not.
_Line = tuple[float, float, float]


def _merged(rules: Iterable[Rule], line: Callable[[Rule], _Line]) -> list[_Line]:
    """Collinear pieces joined: programs draw a table cell by cell."""
    merged: list[_Line] = []
    group: list[_Line] = []
    for here in sorted(map(line, rules)):
        if group and here[0] - group[0][0] > _NEAR:
            merged.extend(_joined(group))
            group = []
        group.append(here)
    return merged + _joined(group)


def _joined(group: list[_Line]) -> list[_Line]:
    joined: list[_Line] = []
    for position, begin, end in sorted(group, key=lambda line: line[1:]):
        if joined and begin <= joined[-1][2] + _NEAR:
            joined[-1] = joined[-1][0], joined[-1][1], max(end, joined[-1][2])
        else:
            joined.append((position, begin, end))
    return joined


@dataclass(slots=True)
class _Group:
    """Lines that touch each other; ``xs`` and ``ys`` are where they stand."""

    xs: list[float]
    ys: list[float]
    x0: float
    x1: float
    top: float
    bottom: float

    def holds(self, word: Word) -> bool:
        x, y = (word.x0 + word.x1) / 2, (word.top + word.bottom) / 2
        return self.x0 <= x <= self.x1 and self.top <= y <= self.bottom


def _connected(level: list[_Line], upright: list[_Line]) -> list[_Group]:
    parent = list(range(len(level) + len(upright)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for i, (y, x0, x1) in enumerate(level):
        for j, (x, top, bottom) in enumerate(upright, len(level)):
            if x0 - _NEAR <= x <= x1 + _NEAR and top - _NEAR <= y <= bottom + _NEAR:
                parent[root(i)] = root(j)
        for j, (_, other0, other1) in enumerate(level[:i]):
            # Tables with horizontal lines only: the lines are equally long.
            if abs(x0 - other0) <= _NEAR and abs(x1 - other1) <= _NEAR:
                parent[root(i)] = root(j)
    members: dict[int, list[int]] = {}
    for index in range(len(parent)):
        members.setdefault(root(index), []).append(index)
    groups = []
    for indices in members.values():
        ys = [level[i] for i in indices if i < len(level)]
        xs = [upright[i - len(level)] for i in indices if i >= len(level)]
        if len(ys) + len(xs) > 2:
            groups.append(_group(xs, ys))
    return groups


def _group(xs: list[_Line], ys: list[_Line]) -> _Group:
    x_ends = [x for x, _, _ in xs] + [x for y in ys for x in y[1:]]
    y_ends = [y for y, _, _ in ys] + [y for x in xs for y in x[1:]]
    box = min(x_ends), max(x_ends), min(y_ends), max(y_ends)
    # Outer lines may be missing: the others end where the table does.
    columns = _distinct([x for x, _, _ in xs] + [box[0], box[1]]) if xs else []
    return _Group(columns, _distinct([y for y, _, _ in ys] + [box[2], box[3]]), *box)


def _distinct(values: Iterable[float]) -> list[float]:
    kept: list[float] = []
    for value in sorted(values):
        if not kept or value - kept[-1] > _NEAR:
            kept.append(value)
    return kept


def _grid(words: list[Word], group: _Group) -> Table | None:
    """The words in the cells of a grid; ``None`` for a frame, a chart's axes or an empty form."""
    xs, ys = group.xs, group.ys
    if len(xs) < 3 or len(ys) < 3:
        return None
    cells: dict[tuple[int, int], list[Word]] = {}
    for word in words:
        row = _interval(ys, (word.top + word.bottom) / 2)
        column = _interval(xs, (word.x0 + word.x1) / 2)
        cells.setdefault((row, column), []).append(word)
    rows = [
        [cell_text(cells.get((i, j), [])) for j in range(len(xs) - 1)] for i in range(len(ys) - 1)
    ]
    rows = [row for row in rows if any(row)]
    filled = sum(1 for row in rows for cell in row if cell)
    used = [j for j in range(len(xs) - 1) if any(row[j] for row in rows)]
    if len(rows) < 2 or len(used) < 2 or filled * 3 < len(rows) * len(used):
        return None
    text = markdown_table([[row[j] for j in used] for row in rows])
    return Table(text, group.x0, group.top, group.x1, group.bottom)


def _interval(edges: list[float], value: float) -> int:
    return max(0, min(bisect_right(edges, value) - 1, len(edges) - 2))


def _open_table(words: list[Word], group: _Group) -> Table | None:
    """A table with horizontal lines only, as books and papers have it."""
    if len(group.ys) < 3:
        return None
    rows = aligned_cells(words, 0.7, 0.7)
    text = markdown_table(rows) if rows else ""
    return Table(text, group.x0, group.top, group.x1, group.bottom) if text else None


def cell_text(words: Sequence[Word]) -> str:
    """The words of one cell, line by line."""
    return " ".join(w.text for row in visual_rows(words) for w in row).strip()


def visual_rows(words: Sequence[Word]) -> list[list[Word]]:
    """The words grouped by the height at which they stand, from top to bottom."""
    rows: list[list[Word]] = []
    for word in sorted(words, key=lambda w: (w.top + w.bottom, w.x0)):
        middle = (word.top + word.bottom) / 2
        if rows and middle < rows[-1][0].bottom - (rows[-1][0].bottom - rows[-1][0].top) * 0.25:
            rows[-1].append(word)
        else:
            rows.append([word])
    return [sorted(row, key=lambda w: w.x0) for row in rows]


def aligned_cells(words: Sequence[Word], gap: float, only_gap: float) -> list[list[str]]:
    """Rows of cells, separated where blank space runs down through all the rows: ``gap`` wide, in
    sizes of the type, or ``only_gap`` where there is just one. ``[]`` where the words are prose or
    one column."""
    rows = visual_rows(words)
    if len(rows) < 2:
        return []
    size = sorted(w.bottom - w.top for w in words)[len(words) // 2]
    gaps = _blank_columns(words, size * gap)
    if len(gaps) < 2:
        gaps = _blank_columns(words, size * only_gap)
    if not gaps:
        return []
    table = [[cell_text([w for w in row if _interval_of(gaps, w) == j])
              for j in range(len(gaps) + 1)] for row in rows]  # fmt: skip
    cells = [cell for row in table for cell in row if cell]
    full = sum(1 for row in table if sum(map(bool, row)) >= 2)
    if full < 0.6 * len(table) or sum(map(len, cells)) > _LONGEST_CELL * len(cells):
        return []
    return table


def _blank_columns(words: Sequence[Word], least: float) -> list[float]:
    """The middles of the blank stripes between columns, at least ``least`` points wide."""
    gaps: list[float] = []
    reach: float | None = None
    for word in sorted(words, key=lambda w: w.x0):
        if reach is not None and word.x0 - reach >= least:
            gaps.append((word.x0 + reach) / 2)
        reach = word.x1 if reach is None else max(reach, word.x1)
    return gaps


def _interval_of(gaps: list[float], word: Word) -> int:
    return bisect_right(gaps, (word.x0 + word.x1) / 2)
