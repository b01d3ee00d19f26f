"""Which of the passages come first."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from indexes.embedding.base import Embedder
from rag.prompting.library import PromptLibrary
from rag.reranking import Reranker
from rag.retrieval.prompting import object_for
from rag.retrieval.replies import Order
from rag.retrieval.types import Outcome, Passages
from rag.steps import Steps, work
from rag.types import Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from rag.retrieval.cross_encoder import CrossEncoder

_WINDOW = 10
_STRIDE = 5


def scored(
    reranker: "Reranker | CrossEncoder", question: str, passages: Passages, k: int
) -> Steps[Outcome[Passages]]:
    """The ``k`` best by a model that reads question and passage together."""
    best = tuple((yield from work(lambda: reranker.rerank(question, passages, k))))
    return Outcome(best, reranker.model, best)


def listwise(
    chat: "BaseChatModel", prompts: PromptLibrary, question: str, passages: Passages
) -> Steps[Outcome[Passages]]:
    """RankGPT (Sun et al. 2023, https://arxiv.org/abs/2304.09542): the chat model sorts ten
    passages at a time, the last ones first, so that the best climb from window to window.

    Passages that it leaves out come after those it names, in the order they had. The scores say no
    more than the order.
    """
    order, usage = list(passages), Usage()
    last = max(0, len(order) - _WINDOW)
    for start in sorted({*range(last, 0, -_STRIDE), 0}, reverse=True):
        window = tuple(order[start : start + _WINDOW])
        reply = yield from object_for(Order, "search-order", chat, prompts, question, found=window)
        order[start : start + _WINDOW] = _in_order(window, reply.value.passages)
        usage += reply.usage
    count = len(order)
    best = tuple(
        replace(passage, rank=place + 1, score=round(1 - place / count, 6))
        for place, passage in enumerate(order)
    )
    return Outcome(best, found=best, usage=usage)


def _in_order(window: Passages, numbers: list[int]) -> Passages:
    known = [number - 1 for number in numbers if 0 < number <= len(window)]
    return tuple(window[place] for place in dict.fromkeys([*known, *range(len(window))]))


def diverse(
    embedder: Embedder, passages: Passages, diversity: float, count: int
) -> Steps[Outcome[Passages]]:
    """Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): each next passage is the
    one with the most of (1 - ``diversity``) × its score - ``diversity`` × its cosine to the nearest
    passage before it. The scores are put on a scale from 0 to 1 first."""
    if len(passages) < 2:
        return Outcome(passages, found=passages)
    vectors = yield from work(lambda: embedder.encode([passage.text for passage in passages]))
    scores = np.asarray([passage.score for passage in passages], dtype=np.float64)
    span = float(scores.max() - scores.min())
    relevance = (scores - scores.min()) / span if span > 0 else np.ones(len(passages))
    cosines = np.asarray(vectors @ vectors.T, dtype=np.float64)
    nearest = np.zeros(len(passages))
    chosen: list[int] = []
    while len(chosen) < min(count, len(passages)):
        worth = (1 - diversity) * relevance - diversity * nearest
        worth[chosen] = -np.inf
        best = int(worth.argmax())
        nearest = np.maximum(nearest, cosines[best]) if chosen else cosines[best]
        chosen.append(best)
    best_first = tuple(passages[place] for place in chosen)
    return Outcome(best_first, found=best_first)
