"""From a document that holds tables to columns with names and types."""

import contextlib
import csv
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from indexes.cleaning import clean, one_line
from indexes.errors import LoadError
from indexes.loaders.office import workbook_rows
from indexes.loaders.registry import read_bytes
from indexes.loaders.tables import separated_rows
from indexes.types import Document

Kind = Literal["INTEGER", "REAL", "TEXT"]
Value = int | float | str | None
Rows = Sequence[Sequence[str]]

FORMATS: Final = frozenset({"csv", "tsv", "xlsx"})

_MISSING: Final = frozenset({"", "-", "–", "—", "n/a", "na", "null", "none", "#n/a"})
_NUMBER: Final = re.compile(
    r"(?P<sign>[+-]?)(?P<before>[$€£¥]?) ?(?P<digits>\d{1,3}(?:,\d{3})+|\d+)"
    r"(?P<rest>(?:\.\d+)?(?:[eE][+-]?\d{1,3})?) ?(?P<after>[%元]?)"
)
_DATE: Final = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_YEAR: Final = re.compile(r"(?:19|20)\d\d年?")
_MOST_DIGITS: Final = 15  # longer ones are names of things, and a REAL would round them
_NAME_LENGTH: Final = 60


@dataclass(frozen=True, slots=True)
class Column:
    """``name`` can stand in SQL as it is; ``header`` is what the document has. ``unit`` is the sign
    of a currency or of percent that stood at each of its numbers."""

    name: str
    header: str
    kind: Kind
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns, and equally long rows."""

    columns: tuple[Column, ...]
    rows: Sequence[tuple[Value, ...]]


def sheet_names(document: Document) -> list[str]:
    """The names of a workbook's sheets, in order; one empty name for any other document. Needs the
    document's text."""
    if document.format != "xlsx":
        return [""]
    return [page.partition("\n")[0].removeprefix("## ").strip() for page in _pages(document)]


def sheets_of(document: Document) -> list[Rows]:
    """The rows of each of a document's sheets: those of the file, where it is still the one that
    was indexed, else those of the stored text."""
    data = _original(document)
    try:
        if data is None:
            return [_written_rows(page) for page in _pages(document)]
        if document.format == "xlsx":
            return [rows for _, rows in workbook_rows(data)]
        return [separated_rows(data, document.format)]
    except (csv.Error, LoadError):
        return [_written_rows(page) for page in _pages(document)]


def _original(document: Document) -> bytes | None:
    """The bytes that were indexed: their parser has met them before, within its limits."""
    try:
        data = read_bytes(Path(document.source))
    except (LoadError, ValueError):
        return None
    return data if hashlib.sha256(data).hexdigest() == document.sha256 else None


def _pages(document: Document) -> list[str]:
    starts = document.page_starts or (0,)
    ends = [*starts[1:], len(document.text)]
    return [document.text[start:end] for start, end in zip(starts, ends, strict=True)]


def _written_rows(text: str) -> Rows:
    """The rows that `indexes.loaders.tables.render` has written down."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("## ")]
    if any(line.startswith("| --- |") for line in lines):
        rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("|")]
        read = [[cell.strip().replace("\\|", "|") for cell in row] for row in rows]
        return [row for row in read if not all(cell == "---" for cell in row)]
    parts = [line.split("; ") for line in lines]
    named = Counter(part.partition(": ")[0] for row in parts for part in row if ": " in part)
    header = [name for name, count in named.items() if count > 1]
    if not header:
        return parts
    return [header, *(_by_name(row, header) for row in parts)]


def _by_name(parts: Sequence[str], header: Sequence[str]) -> list[str]:
    """``column: value`` in the order of the header; the value may hold the separator."""
    values: dict[str, str] = {}
    last = ""
    for part in parts:
        name, _, value = part.partition(": ")
        if name in header:
            values[name], last = value, name
        elif last:
            values[last] += f"; {part}"
    return [values.get(name, "") for name in header]


def table_of(rows: Rows) -> Table | None:
    """Types and names for ``rows``; ``None`` where nothing is in them."""
    kept = [[" ".join(clean(cell).split()) for cell in row] for row in rows]
    kept = [row for row in kept if any(row)]
    while len(kept) > 2 and kept[0][0] and not any(kept[0][1:]) and any(kept[1][1:]):
        kept = kept[1:]  # a title above the table
    if not kept:
        return None
    width = max(len(row) for row in kept)
    kept = [row + [""] * (width - len(row)) for row in kept]
    has_header = len(kept) > 1 and _is_header(kept[0])
    header, body = (kept[0], kept[1:]) if has_header else ([""] * width, kept)
    used = [i for i in range(width) if header[i] or any(row[i] for row in body)]
    named = zip(used, _names([header[i] for i in used]), strict=True)
    columns: list[Column] = []
    values: list[list[Value]] = []
    for i, name in named:
        kind, unit, read = _typed([row[i] for row in body])
        columns.append(Column(name, header[i], kind, unit))
        values.append(read)
    return Table(tuple(columns), list(zip(*values, strict=True)))


def _is_header(row: Sequence[str]) -> bool:
    """Names of columns; a year may be one of them."""
    return bool(row) and not any(_NUMBER.fullmatch(_plain(cell)) for cell in _unlike_years(row))


def _unlike_years(row: Sequence[str]) -> Iterator[str]:
    mixed = any(cell and not _NUMBER.fullmatch(_plain(cell)) for cell in row)
    yield from (cell for cell in row if not (mixed and _YEAR.fullmatch(cell)))


def _names(header: Sequence[str]) -> list[str]:
    """A name for each column that SQL takes without quotation marks, each another."""
    names: list[str] = []
    for n, cell in enumerate(header, start=1):
        names.append(unique(bare(cell) or f"column_{n}", names))
    return names


def bare(text: str) -> str:
    """``text`` as a name of SQL that needs no quotation marks; empty where nothing is left."""
    name = re.sub(r"\W+", "_", one_line(text, _NAME_LENGTH)).strip("_")
    if name[:1].isdecimal():
        name = f"_{name}"
    return f"{name}_" if name and _reserved(name) else name


@cache
def _reserved(name: str) -> bool:
    """Whether SQL takes the name for something else."""
    import apsw

    with contextlib.closing(apsw.Connection(":memory:")) as connection:
        try:
            found = connection.execute(f'SELECT {name} FROM (SELECT 7 AS "{name}")').get
        except apsw.SQLError:
            return True
    return bool(found != 7)


def unique(name: str, taken: Sequence[str]) -> str:
    """``name``, with a number behind it where it is taken."""
    known = {one.casefold() for one in taken}
    numbered = (f"{name}_{n}" for n in range(2, len(known) + 3))
    return next(one for one in (name, *numbered) if one.casefold() not in known)


def _plain(cell: str) -> str:
    return cell if cell.isascii() else unicodedata.normalize("NFKC", cell)


def _typed(cells: Sequence[str]) -> tuple[Kind, str, list[Value]]:
    """The column's type, the unit of its numbers, and its values."""
    plain = [_plain(cell) for cell in cells]
    present = [cell for cell in plain if cell.casefold() not in _MISSING]
    if present and (unit := _common_unit(present)) is not None:
        read = [None if cell.casefold() in _MISSING else _number(cell) for cell in plain]
        whole = all(isinstance(value, int) for value in read if value is not None)
        if whole:
            return "INTEGER", unit, list(read)
        return "REAL", unit, [None if value is None else float(value) for value in read]
    if present and all(_DATE.fullmatch(cell) for cell in present):
        return "TEXT", "", [_date(cell) for cell in plain]
    return "TEXT", "", [cell or None for cell in cells]


def _common_unit(cells: Sequence[str]) -> str | None:
    """The unit of numbers, empty where they have none; ``None`` where one is no number, or has
    another unit than the rest."""
    units: set[str] = set()
    for cell in cells:
        match = _NUMBER.fullmatch(cell)
        if match is None or _is_code(match["digits"]):
            return None
        units.add(match["before"] or match["after"])
        if len(units) > 1:
            return None
    return units.pop()


def _is_code(digits: str) -> bool:
    """Whether these digits are a name, such as a postal code, and no amount."""
    return len(digits) > _MOST_DIGITS or (len(digits) > 1 and digits.startswith("0"))


def _number(cell: str) -> int | float:
    match = _NUMBER.fullmatch(cell)
    assert match is not None
    written = match["sign"] + match["digits"].replace(",", "") + match["rest"]
    return float(written) if match["rest"] else int(written)


def _date(cell: str) -> str | None:
    match = _DATE.fullmatch(cell)
    return "{}-{:0>2}-{:0>2}".format(*match.groups()) if match else None
