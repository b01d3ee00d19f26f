"""One list of passages out of several."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from indexes.types import SearchResult
from rag.retrieval.types import Passages

_RRF_K = 60


def distinct(results: Iterable[SearchResult]) -> Passages:
    """Each text once, where it stands first: a passage may stand in several documents."""
    first: dict[str, SearchResult] = {}
    for result in results:
        first.setdefault(result.text, result)
    return tuple(first.values())


def fused(lists: Sequence[Passages]) -> Passages:
    """Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009): the sum of 1 / (60 + rank)
    over the lists decides, and among equals the earlier list.

    A passage keeps the scores of the legs from the list in which it stands highest; its score is
    1 where it leads every list. A single list stays as it is.
    """
    if len(lists) == 1:
        return lists[0]
    best: dict[str, tuple[int, SearchResult]] = {}
    scores: dict[str, float] = {}
    for passages in lists:
        for rank, passage in enumerate(passages, 1):
            scores[passage.text] = scores.get(passage.text, 0.0) + 1.0 / (_RRF_K + rank)
            if passage.text not in best or rank < best[passage.text][0]:
                best[passage.text] = rank, passage
    order = sorted(scores, key=lambda text: -scores[text])
    top = len(lists) / (_RRF_K + 1)
    return tuple(
        replace(best[text][1], rank=rank, score=round(scores[text] / top, 6))
        for rank, text in enumerate(order, 1)
    )


def interleaved(lists: Sequence[Passages]) -> Passages:
    """The best of each list in turn, for lists that answer different questions: a passage that only
    one of them holds is then no worse than one that stands in all. The scores say no more than the
    order."""
    rows = (row for rank in range(max(map(len, lists), default=0)) for row in _row(lists, rank))
    order = distinct(rows)
    return tuple(
        replace(passage, rank=rank, score=round(1 - (rank - 1) / len(order), 6))
        for rank, passage in enumerate(order, 1)
    )


def _row(lists: Sequence[Passages], rank: int) -> Passages:
    return tuple(passages[rank] for passages in lists if rank < len(passages))


def ranks_of(passages: Passages, lists: Sequence[Passages]) -> str:
    """For each passage a line with its rank, and its rank in each list."""
    places = [{passage.text: rank for rank, passage in enumerate(one, 1)} for one in lists]
    return "\n".join(
        f"{rank} ← {' '.join(str(place.get(passage.text, '–')) for place in places)}"
        for rank, passage in enumerate(passages, 1)
    )
