"""What of a text may be quoted: whole sentences, table rows, lines of code.

A claim's numbers must stand in one of these, together with what the claim says of them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from indexes.splitting.outline import SENTENCE
from indexes.splitting.sentences import prose_cuts

Kind = Literal["prose", "row", "heading", "code"]

_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_FENCE = re.compile(r"[ \t]*(?:```|~~~)")
_HEADING = re.compile(r"#{1,6}[ \t]")
_ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,3}[.)、])[ \t]")
_RULE = re.compile(r"[|\s:-]+\Z")
# A row of a long table: «hive: Bramble; mites: 5.7»
_NAMED_CELLS = re.compile(r"[^:;\n.。]{1,60}: [^;\n]{1,300}; [^:;\n]{1,60}: ")


@dataclass(frozen=True, slots=True)
class Span:
    """``text[start:end]`` without white space around it; ``head`` is the index of the row that
    names the columns of a table."""

    start: int
    end: int
    kind: Kind
    head: int | None = None


def spans(text: str, *, code: bool = False) -> list[Span]:
    """The quotable spans of ``text``, in order, none overlapping."""
    found: list[Span] = []
    for start, end, kind in _blocks(text, code):
        if kind == "prose":
            starts = [c.start for c in prose_cuts(text, start, end) if c.cost <= SENTENCE]
        else:
            starts = [start]
        for first, last in zip(starts, [*starts[1:], end], strict=True):
            trimmed = _trimmed(text, first, last)
            if trimmed[0] < trimmed[1] and not _RULE.match(text, *trimmed):
                found.append(Span(*trimmed, kind, _head(text, found, trimmed[0], kind)))
    return found


def _head(text: str, found: list[Span], start: int, kind: Kind) -> int | None:
    if kind != "row" or not text.startswith("|", start) or not found:
        return None
    above = found[-1]
    if above.kind != "row" or text.count("\n\n", above.end, start):
        return None
    return len(found) - 1 if above.head is None else above.head


def _blocks(text: str, code: bool) -> Iterator[tuple[int, int, Kind]]:
    """Rows, headings and lines of code one by one; lines of prose together."""
    begin = 0
    fenced = False
    for match in _LINES.finditer(text):
        start, end = match.span()
        is_fence = bool(_FENCE.match(text, start))
        kind = "code" if code or fenced or is_fence else _kind(text, start, end)
        fenced ^= is_fence
        if kind != "prose":
            yield begin, start, "prose"
            yield start, end, kind
            begin = end
        elif _ITEM.match(text, start):
            yield begin, start, "prose"
            begin = start
    yield begin, len(text), "prose"


def _kind(text: str, start: int, end: int) -> Kind:
    if text[start:end].lstrip(" \t").startswith("|") or _NAMED_CELLS.match(text, start, end):
        return "row"
    return "heading" if _HEADING.match(text, start) else "prose"


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    return start, start + len(piece.strip())
