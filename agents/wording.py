"""How places, spans, passages and sizes are written for people."""

from pathlib import Path

from agents.screen import one_line
from indexes.errors import UsageError
from indexes.i18n import t
from indexes.types import SearchResult
from rag.types import Citation

_PREVIEW = 300


def place(result: SearchResult) -> str:
    """Where a passage stands: file, page, headings."""
    parts = [short(result.source)]
    if result.page is not None:
        parts.append(t("p. {page}", page=result.page))
    return one_line(" › ".join([" ".join(parts), *result.heading]))


def span(citation: Citation) -> str:
    """The citation's source and span, as ``show SOURCE --span`` takes them."""
    page = f" {t('p. {page}', page=citation.page)}" if citation.page is not None else ""
    return f"{short(citation.source)}:{citation.start}:{citation.end}{page}"


def parse_span(text: str, length: int) -> tuple[int, int]:
    """``A:B`` within a document of ``length`` characters. Raises `UsageError` for anything else."""
    start, colon, end = text.partition(":")
    # The length is checked first: Python refuses to read numbers of thousands of digits.
    short_enough = max(len(start), len(end)) <= len(str(length))
    if colon and start.isdecimal() and end.isdecimal() and short_enough:
        a, b = int(start), int(end)
        if a <= b <= length:
            return a, b
    raise UsageError(
        t(
            "«{span}» is no span of this document: write A:B with 0 ≤ A ≤ B ≤ {length}.",
            span=text,
            length=length,
        )
    )


def short(source: str) -> str:
    """A path as one would type it from the working folder, where that is shorter."""
    try:
        return str(Path(source).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return source


def preview(text: str) -> str:
    """The beginning of a passage, on one line."""
    line = one_line(text)
    return line if len(line) <= _PREVIEW else line[: _PREVIEW - 1] + "…"


def bytes_text(count: int) -> str:
    """A number of bytes for people, in decimal units."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError
