"""A question becomes the passages that it is answered from."""

from collections.abc import Sequence

from indexes.errors import ModelError
from rag.retrieval import rewriting
from rag.retrieval.choosing import diverse, listwise, scored
from rag.retrieval.fusing import distinct, fused, interleaved, ranks_of
from rag.retrieval.plan import RetrievalPlan
from rag.retrieval.trail import Trail
from rag.retrieval.types import Outcome, Passages, Retrieval, Tools, Turn
from rag.retrieval.widening import widened
from rag.steps import Steps, work
from rag.types import Trace

__all__ = ["Retrieval", "Tools", "Trace", "Turn", "retrieve"]

_AGAIN = 3
"""Rewordings that are searched for where the passages do not suffice."""


def retrieve(
    tools: Tools,
    question: str,
    plan: RetrievalPlan,
    *,
    k: int,
    where: str | None = None,
    history: Sequence[Turn] = (),
) -> Steps[Retrieval]:
    """The ``k`` best passages by the techniques of ``plan``, among those that the filter ``where``
    lets through. ``history`` is the conversation so far, the latest turn last.

    A step that needs a model which is not there, or fails, is left out, and the notices say so.
    Raises `UsageError` for an empty question, a ``k`` below 1 or a filter that cannot be read.
    """
    trail = Trail(tools, plan, k, where)
    alone = yield from _condensed(trail, question, history)
    queries = yield from _queries(trail, alone)
    pool = yield from _searched(trail, queries)
    pool = yield from _followed(trail, alone, pool)
    contexts = yield from _chosen(trail, alone, pool)
    if plan.sufficient and (more := (yield from _lacking(trail, alone, contexts))):
        pool = yield from _searched_on(trail, more, pool)
        contexts = yield from _chosen(trail, alone, pool)
    return trail.retrieval(alone, contexts)


def _condensed(trail: Trail, question: str, history: Sequence[Turn]) -> Steps[str]:
    """The question as it stands without the conversation."""
    if not trail.plan.condense or not history:
        return question
    way = trail.ask("condense", question, rewriting.condensed, question, history)
    return (yield from way)


def _queries(trail: Trail, question: str) -> Steps[list[str]]:
    """What is searched for: the question, and what the plan makes of it."""
    plan, nothing = trail.plan, list[str]()
    queries = [question]
    if plan.rewordings:
        way = trail.ask("reword", nothing, rewriting.reworded, question, plan.rewordings)
        queries += yield from way
    if plan.hypothetical:
        queries += yield from trail.ask("hypothetical", nothing, rewriting.hypothetical, question)
    if plan.step_back:
        queries += yield from trail.ask("step-back", nothing, rewriting.stepped_back, question)
    return list(dict.fromkeys(queries))


def _searched(trail: Trail, queries: Sequence[str]) -> Steps[Passages]:
    """What the queries, which mean the same, find together."""
    lists = []
    for query in queries:
        lists.append((yield from trail.step("retrieve", _search(trail, query))))
    best = fused(lists)[: trail.wanted]
    if len(lists) > 1:
        trail.record("fuse", ranks_of(best, lists), best)
    return best


def _searched_on(trail: Trail, queries: Sequence[str], pool: Passages) -> Steps[Passages]:
    """The passages so far, and in between what the queries find, which look for something else."""
    lists = [pool, (yield from _searched(trail, queries))]
    best = interleaved(lists)[: trail.wanted]
    trail.record("interleave", ranks_of(best, lists), best)
    return best


def _search(trail: Trail, query: str) -> Steps[Outcome[Passages]]:
    collection = trail.tools.collection
    response = yield from work(lambda: collection.search(query, trail.wanted, where=trail.where))
    trail.generation = response.generation
    found = distinct(response.results)
    return Outcome(found, query, found)


def _followed(trail: Trail, question: str, pool: Passages) -> Steps[Passages]:
    """Decomposition of multi-hop questions: each next question is made from what was found (Trivedi
    et al. 2022, https://arxiv.org/abs/2212.10509)."""
    searched = {question, ""}
    for _ in range(1, trail.plan.hops):
        if not pool:
            break
        seen = pool[: trail.k]
        query = yield from trail.ask("next", "", rewriting.next_question, question, seen)
        if query in searched:
            break
        searched.add(query)
        pool = yield from _searched_on(trail, [query], pool)
    return pool


def _chosen(trail: Trail, question: str, pool: Passages) -> Steps[Passages]:
    """The passages as the answer reads them: reranked, the near-duplicates set back, widened."""
    plan, collection, k = trail.plan, trail.tools.collection, trail.k
    # Widened passages that come to overlap are one, which makes room for more.
    count = k if plan.expand == "none" else len(pool)
    pool = yield from _reranked(trail, question, pool, len(pool) if plan.diversity else count)
    if plan.diversity:
        way = diverse(collection.embedder, pool, plan.diversity, count)
        pool = yield from trail.step("diversify", way)
    if plan.expand != "none":
        pool = yield from trail.step("widen", widened(collection, pool, plan.expand, k))
    return pool[:k]


def _reranked(trail: Trail, question: str, pool: Passages, count: int) -> Steps[Passages]:
    """The passages in the order of a reranker. One that fails is done without: an answer from the
    order of the search is better than none."""
    if pool and trail.plan.rerank == "chat":
        return (yield from trail.ask("rerank", pool, listwise, question, pool))
    if not pool or trail.reranker is None:
        return pool
    try:
        return (yield from trail.step("rerank", scored(trail.reranker, question, pool, count)))
    except ModelError as error:
        trail.note(str(error))
        return pool


def _lacking(trail: Trail, question: str, contexts: Passages) -> Steps[list[str]]:
    """What else to search for where the passages do not suffice; nothing where they do."""
    if not contexts:
        return []
    lacks = yield from trail.ask("suffice", "", rewriting.missing, question, contexts)
    if not lacks:
        return []
    nothing = list[str]()
    more = f"{question} {lacks}"
    others = yield from trail.ask("reword", nothing, rewriting.reworded, more, _AGAIN)
    return list(dict.fromkeys([lacks, *others]))
