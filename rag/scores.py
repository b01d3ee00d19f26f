"""The score of each passage of an answer in each leg of its retrieval."""

from collections.abc import Iterator
from dataclasses import dataclass

from indexes.types import SearchResult
from rag.types import Answer

_FUSED = ("retrieve", "fuse")
_RERANKED = ("rerank",)


@dataclass(frozen=True, slots=True)
class Scores:
    """Those of the passage ``number``: the cosine of its embedding and the question's, its BM25
    score, what the search made of both, and what the reranker gave it; ``None`` where that leg was
    not asked. The last two compare passages of one answer only."""

    number: int
    dense: float | None
    lexical: float | None
    fused: float | None
    reranked: float | None


def scores_of(answer: Answer) -> tuple[Scores, ...]:
    """One for each passage. A widened one has the scores of the best passage that went into it, and
    one that a technique looked up on its way those of that search."""
    return tuple(_scores(answer, number, c) for number, c in enumerate(answer.contexts, 1))


def _scores(answer: Answer, number: int, context: SearchResult) -> Scores:
    fused = list(_given(answer, context, _FUSED))
    reranked = list(_given(answer, context, _RERANKED))
    seen = any(_same(context, found) for step in answer.steps for found in step.found)
    return Scores(
        number,
        context.dense,
        context.lexical,
        fused[-1] if fused else None if seen else context.score,
        reranked[-1] if reranked else None,
    )


def _given(answer: Answer, context: SearchResult, names: tuple[str, ...]) -> Iterator[float]:
    """The score that each of the steps gave the passage, or the best of what it is made of."""
    for step in answer.steps:
        own = [found.score for found in step.found if _same(context, found)]
        if step.step in names and own:
            yield max(own)


def _same(context: SearchResult, found: SearchResult) -> bool:
    overlaps = found.start < context.end and context.start < found.end
    return found.source == context.source and overlaps
