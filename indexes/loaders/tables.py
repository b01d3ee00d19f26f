"""Rows and columns as text in which each row can be found and understood alone."""

import csv
import io
from collections.abc import Sequence

from indexes.decoding import decode
from indexes.loaders.draft import MAX_CHARACTERS, Draft

Row = Sequence[str]

# A longer table is cut into several passages, and only the first would hold the header.
_SHORT = 15
# One long row would make every other row as long.
_MAX_CELLS = 10_000_000


def render(rows: Sequence[Row]) -> str:
    """A short table in Markdown; a long one as a line ``column: value; …`` for each row."""
    kept = [[" ".join(cell.split()) for cell in row] for row in rows]
    kept = [row for row in kept if any(row)]
    if not kept:
        return ""
    if len(kept) > 2 and kept[0][0] and not any(kept[0][1:]) and any(kept[1][1:]):
        return f"{kept[0][0]}\n\n{render(kept[1:])}"  # a title above the table
    width = max(len(row) for row in kept)
    if width * len(kept) > _MAX_CELLS:
        return "\n".join("; ".join(cell for cell in row if cell) for row in kept)
    kept = [row + [""] * (width - len(row)) for row in kept]
    used = [i for i in range(width) if any(row[i] for row in kept)]
    kept = [[row[i] for i in used] for row in kept]
    if len(used) == 1:
        return "\n".join(row[0] for row in kept)
    if len(kept) <= _SHORT:
        return markdown_table(kept)
    if not _is_header(kept[0]):
        return "\n".join("; ".join(cell for cell in row if cell) for row in kept)
    header = kept[0]
    return "\n".join(
        "; ".join(f"{name}: {cell}" for name, cell in zip(header, row, strict=True) if cell)
        for row in kept[1:]
    )


def markdown_table(rows: list[list[str]]) -> str:
    """Equally long rows as a pipe table; the first row is its head."""
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in escaped]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines)


def _is_header(row: list[str]) -> bool:
    return all(row) and len(set(row)) == len(row) and not any(_numeric(cell) for cell in row)


def _numeric(cell: str) -> bool:
    try:
        float(cell.replace(",", "").rstrip("%"))
    except ValueError:
        return False
    return True


def read_csv(data: bytes) -> Draft:
    """Comma-separated values; semicolons, tabs and bars are recognised as well."""
    text = decode(data)
    return _separated(text, _delimiter(text), "csv")


def read_tsv(data: bytes) -> Draft:
    """Tab-separated values."""
    return _separated(decode(data), "\t", "tsv")


def separated_rows(data: bytes, found: str) -> list[list[str]]:
    """The rows of a file whose format is ``"csv"`` or ``"tsv"``. Raises ``csv.Error``."""
    text = decode(data)
    return _rows(text, "\t" if found == "tsv" else _delimiter(text))


def _separated(text: str, delimiter: str, found: str) -> Draft:
    try:
        body = render(_rows(text, delimiter))
    except csv.Error:
        body = text.replace("\0", "")
    return Draft((body,), "markdown" if "| --- |" in body else "text", found)


def _rows(text: str, delimiter: str) -> list[list[str]]:
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    csv.field_size_limit(MAX_CHARACTERS)
    return list(csv.reader(io.StringIO(text), delimiter=delimiter))


def _delimiter(text: str) -> str:
    """The separator that cuts the first lines into the most equal number of fields."""
    lines = [line for line in text.splitlines()[:20] if line.strip()]

    def fit(delimiter: str) -> tuple[int, int]:
        counts = [line.count(delimiter) for line in lines]
        common = max(set(counts), key=counts.count) if counts else 0
        return (counts.count(common) if common else 0, common)

    return max((",", ";", "\t", "|"), key=fit)
