"""Passages with what stands around them: found by a few sentences, read with their context."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from indexes.collection import Collection
from indexes.errors import UnknownSourceError
from indexes.splitter import outline_of
from indexes.types import Document, SearchResult, chunk_id, page_at
from rag.retrieval.plan import Expansion
from rag.retrieval.types import Outcome, Passages
from rag.steps import Steps, work

WINDOW = 400
"""Characters of whole sentences that a window adds on each side."""
PARENT = 2000
"""Characters of the longest section that is given whole."""
_DENSE = 3
"""A character of Chinese, Japanese or Korean says about as much as three letters."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Place:
    """A document, and where it may be cut: ``cuts`` ascend, from 0 to the end of the text."""

    document: Document
    cuts: tuple[int, ...]
    sections: tuple[Span, ...]


def widened(
    collection: Collection, passages: Passages, expand: Expansion, k: int
) -> Steps[Outcome[Passages]]:
    """The first ``k`` passages with what stands around them, each the exact span of its document.

    Those of one document that then overlap become one, in the place of the better. A passage whose
    document has changed meanwhile stays as it is.
    """
    wide = yield from work(lambda: _all_widened(collection, passages, expand, k))
    return Outcome(wide, expand, wide)


def _all_widened(collection: Collection, passages: Passages, expand: Expansion, k: int) -> Passages:
    places: dict[str, _Place | None] = {}
    found: list[SearchResult] = []
    for passage in passages:
        if len(found) == k:
            break
        if passage.source not in places:
            places[passage.source] = _place(collection, passage.source)
        place = places[passage.source]
        if place is None or place.document.text[passage.start : passage.end] != passage.text:
            found.append(passage)
        else:
            wide = _cut_out(passage, place.document, _span(place, passage, expand))
            found = _merged(found, wide, place.document)
    return tuple(replace(passage, rank=rank) for rank, passage in enumerate(found, 1))


def _place(collection: Collection, source: str) -> _Place | None:
    try:
        document = collection.document(source)
    except UnknownSourceError:
        return None
    outline = outline_of(document)
    cuts = sorted({0, *(cut.start for cut in outline.cuts), len(document.text)})
    sections = ((scope.start, scope.end) for scope in outline.scopes)
    return _Place(document, tuple(cuts), tuple(sections))


def _span(place: _Place, passage: SearchResult, expand: Expansion) -> Span:
    text, span = place.document.text, (passage.start, passage.end)
    share = _DENSE if place.document.lang in ("zh", "ja", "ko") else 1
    if expand == "window":
        return _grown(place.cuts, span, (0, len(text)), WINDOW // share, WINDOW // share)
    most = PARENT // share
    around = [s for s in (*place.sections, (0, len(text))) if s[0] <= span[0] and span[1] <= s[1]]
    around.sort(key=lambda section: section[1] - section[0])
    fitting = [section for section in around if section[1] - section[0] <= most]
    if fitting:
        return fitting[-1]
    room = max(0, most - (span[1] - span[0]))
    start, _ = _grown(place.cuts, span, around[0], room // 2, 0)
    return start, _grown(place.cuts, span, around[0], 0, room - (span[0] - start))[1]


def _grown(cuts: Sequence[int], span: Span, bounds: Span, before: int, after: int) -> Span:
    """``span`` with whole sentences within ``bounds``, up to that many characters on each side."""
    first = cuts[bisect_left(cuts, max(bounds[0], span[0] - before))]
    last = cuts[bisect_right(cuts, min(bounds[1], span[1] + after)) - 1]
    return min(first, span[0]), max(last, span[1])


def _merged(
    found: Sequence[SearchResult], wide: SearchResult, document: Document
) -> list[SearchResult]:
    """``found`` with one more passage, or with it joined to those that it overlaps."""
    if any(one.text == wide.text for one in found):
        return list(found)
    touched = [one for one in found if _overlaps(one, wide)]
    if not touched:
        return [*found, wide]
    span = min(p.start for p in (*touched, wide)), max(p.end for p in (*touched, wide))
    heading = _common([p.heading for p in (*touched, wide)])
    best = replace(_cut_out(touched[0], document, span), heading=heading)
    return [best if one is touched[0] else one for one in found if one not in touched[1:]]


def _overlaps(one: SearchResult, other: SearchResult) -> bool:
    return one.source == other.source and one.start < other.end and other.start < one.end


def _common(headings: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The headings that stand above all of them."""
    same = 0
    for names in zip(*headings, strict=False):
        if len(set(names)) > 1:
            break
        same += 1
    return headings[0][:same]


def _cut_out(passage: SearchResult, document: Document, span: Span) -> SearchResult:
    """The passage as the ``span`` of its document, without white space around it."""
    text = document.text[slice(*span)]
    start = span[0] + len(text) - len(text.lstrip())
    text = text.strip()
    return replace(
        passage,
        chunk_id=chunk_id(passage.source, start, text),
        page=page_at(document.page_starts, start),
        start=start,
        end=start + len(text),
        text=text,
    )
