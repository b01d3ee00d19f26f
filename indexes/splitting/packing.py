"""Choosing the cuts: leaves into chunks near the target size, cut where it costs least."""

from dataclasses import dataclass

from indexes.splitting.counting import Sizes
from indexes.splitting.outline import CHARACTER, PARAGRAPH, SENTENCE, Cut
from indexes.splitting.sentences import finer_cuts, keeps_characters_whole

Span = tuple[int, int]

# Leaves of a chunk are at most about this many, which bounds the work of ``pack``: fewer where
# the cuts between them are poor, more where they are good ones.
_LEAVES_PER_CHUNK = 32
_SHORT_PARAGRAPHS_PER_CHUNK = 64
# Words are joined into runs of an eighth of a chunk: where prose offers no better cut, a finer
# choice is worth nothing.
_RUNS_PER_CHUNK = 8


@dataclass(frozen=True, slots=True)
class Leaf:
    """Text that is not cut. ``cost`` is that of a cut before it, ``size`` is in tokens."""

    start: int
    end: int
    cost: float
    size: int


def make_leaves(text: str, cuts: list[Cut], sizes: Sizes, limit: int) -> list[Leaf]:
    """Leaves that tile ``text`` between ``cuts``, each of at most ``limit`` tokens."""
    leaves: list[Leaf] = []
    for leaf in _measured(text, cuts, len(text), sizes):
        leaves.extend([leaf] if leaf.size <= limit else _divided(text, leaf, sizes, limit, 0))
    return leaves


def pack(leaves: list[Leaf], target: int) -> list[list[Leaf]]:
    """Consecutive leaves as chunks of at most ``target`` tokens (a larger leaf stays alone).

    The sum of two costs is minimal: that of each cut, and the square of the share of the target
    that each chunk leaves unused (as in Knuth and Plass, Breaking Paragraphs into Lines, 1981).
    """
    leaves = _coalesced(leaves, target // _LEAVES_PER_CHUNK, SENTENCE)
    leaves = _coalesced(leaves, target // _SHORT_PARAGRAPHS_PER_CHUNK)
    best, previous = [0.0], [0]
    for end in range(1, len(leaves) + 1):
        size, lowest, begin = 0, float("inf"), end - 1
        for first in range(end - 1, -1, -1):
            size += leaves[first].size
            if size > target and first < end - 1:
                break
            unused = max(0, target - size) / target
            cost = best[first] + unused * unused + (leaves[first].cost if first else 0.0)
            if cost < lowest:
                lowest, begin = cost, first
        best.append(lowest)
        previous.append(begin)
    return _traced(leaves, previous)


def divide(text: str, span: Span, sizes: Sizes, limit: int, target: int) -> list[Span]:
    """A span that proved too large, cut at lines, clauses or words."""
    whole = Leaf(*span, cost=0.0, size=limit + 1)
    parts = _divided(text, whole, sizes, limit, 0)
    return [(chunk[0].start, chunk[-1].end) for chunk in pack(parts, target)]


def _traced(leaves: list[Leaf], previous: list[int]) -> list[list[Leaf]]:
    chunks = []
    end = len(leaves)
    while end:
        chunks.append(leaves[previous[end] : end])
        end = previous[end]
    return chunks[::-1]


def _measured(text: str, cuts: list[Cut], end: int, sizes: Sizes) -> list[Leaf]:
    ends = [cut.start for cut in cuts[1:]] + [end]
    texts = [text[cut.start : stop] for cut, stop in zip(cuts, ends, strict=True)]
    found = zip(cuts, ends, sizes.of(texts), strict=True)
    return [Leaf(cut.start, stop, cut.cost, size) for cut, stop, size in found]


def _divided(text: str, leaf: Leaf, sizes: Sizes, limit: int, level: int) -> list[Leaf]:
    cuts = finer_cuts(text, leaf.start, leaf.end, level)
    if cuts is None:
        return _characters(text, leaf, sizes, limit)
    cuts[0] = Cut(leaf.start, leaf.cost)
    parts: list[Leaf] = []
    for part in _measured(text, cuts, leaf.end, sizes):
        fits = part.size <= limit
        parts.extend([part] if fits else _divided(text, part, sizes, limit, level + 1))
    return _coalesced(parts, limit // _RUNS_PER_CHUNK)


def _characters(text: str, leaf: Leaf, sizes: Sizes, limit: int) -> list[Leaf]:
    """An unbroken string in the longest prefixes that fit."""
    parts = []
    start, cost = leaf.start, leaf.cost
    while start < leaf.end:
        end = _longest_prefix(text, start, leaf.end, sizes, limit)
        parts.append(Leaf(start, end, cost, sizes.of([text[start:end]])[0]))
        start, cost = end, CHARACTER
    return parts


def _longest_prefix(text: str, start: int, end: int, sizes: Sizes, limit: int) -> int:
    fits, too_long = start + 1, min(end, start + limit) + 1
    while too_long <= end and sizes.of([text[start:too_long]])[0] <= limit:
        fits, too_long = too_long, start + 2 * (too_long - start)
    too_long = min(too_long, end + 1)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if sizes.of([text[start:middle]])[0] <= limit:
            fits = middle
        else:
            too_long = middle
    whole = (at for at in range(fits, start, -1) if at == end or keeps_characters_whole(text, at))
    return next(whole, fits)


def _coalesced(leaves: list[Leaf], limit: int, cost: float = PARAGRAPH) -> list[Leaf]:
    """Neighbours joined where they stay within ``limit`` and a cut costs ``cost`` or more."""
    joined: list[Leaf] = []
    for leaf in leaves:
        last = joined[-1] if joined else None
        if last is not None and leaf.cost >= cost and last.size + leaf.size <= limit:
            joined[-1] = Leaf(last.start, leaf.end, last.cost, last.size + leaf.size)
        else:
            joined.append(leaf)
    return joined
