"""What each leg of the retrieval gave each passage of an answer."""

from dataclasses import replace

import pytest

from indexes.collection import Collection
from indexes.types import SearchResult
from rag import RAG
from rag.reranking import Reranker
from rag.retrieval.plan import plan_of
from rag.scores import Scores, scores_of
from rag.types import Answer, Trace, Usage
from tests.served_models import running

TEXTS = [
    "Karl von Frisch decoded the waggle dance of the bees.",
    "Who asked? A bee inspector asked who decoded what, and whose waggle it was.",
    "Honey keeps for years.",
]
QUESTION = "Who decoded the waggle dance?"


def passage(rank: int, start: int, score: float, source: str = "/a.md") -> SearchResult:
    return SearchResult(
        rank, score, f"c{start}", source, "", None, (), start, start + 10, "x" * 10, {},
        dense=0.5, lexical=2.0,
    )  # fmt: skip


def answer(contexts: tuple[SearchResult, ...], *steps: Trace) -> Answer:
    return Answer("?", "", "no_model", (), contexts, "", "p", "c", 1, Usage(), {}, steps=steps)


def test_all_legs_of_a_real_retrieval(collection: Collection) -> None:
    collection.add_texts(TEXTS, None, ["/a.md", "/b.md", "/c.md"])
    with running() as served:
        reranker = Reranker(served.url, "words", candidates=3)
        found = RAG(collection, lambda: None, reranker).ask(
            QUESTION, k=2, plan=replace(plan_of("default"), rerank="served")
        )
    results = {r.source: r for r in collection.search(QUESTION, 3).results}
    scores = scores_of(found)
    assert [one.number for one in scores] == [1, 2]
    for one, context in zip(scores, found.contexts, strict=True):
        alone = results[context.source]
        assert (one.dense, one.lexical, one.fused) == (alone.dense, alone.lexical, alone.score)
        assert one.dense is not None
        assert one.reranked == context.score != one.fused


def test_without_a_reranker_there_is_no_such_score(collection: Collection) -> None:
    collection.add_texts(TEXTS, None, ["/a.md", "/b.md", "/c.md"])
    found = RAG(collection, lambda: None).ask(QUESTION, k=2, plan="plain")
    assert [one.reranked for one in scores_of(found)] == [None, None]
    assert [one.fused for one in scores_of(found)] == [c.score for c in found.contexts]


@pytest.mark.parametrize("step", ["interleave", "diversify"])
def test_steps_that_only_put_in_order_give_no_score(step: str) -> None:
    first = Trace("retrieve", "", (passage(1, 0, 0.8), passage(2, 50, 0.7)), 0.1)
    later = Trace(step, "", (passage(1, 50, 1.0), passage(2, 0, 0.5)), 0.1)
    assert [s.fused for s in scores_of(answer((passage(1, 50, 1.0),), first, later))] == [0.7]


def test_a_widened_passage_has_the_best_of_its_parts() -> None:
    parts = (passage(1, 20, 0.9), passage(2, 30, 0.4), passage(3, 20, 0.95, "/other.md"))
    steps = (
        Trace("retrieve", "one", parts, 0.1),
        Trace("retrieve", "two", (passage(1, 30, 0.6),), 0.1),
        Trace("fuse", "", (passage(1, 30, 1.0), passage(2, 20, 0.8)), 0.0),
        Trace("rerank", "", (passage(1, 20, 0.3), passage(2, 30, 0.2)), 0.0),
    )
    wide = replace(passage(1, 0, 0.3), end=100)
    assert scores_of(answer((wide,), *steps)) == (Scores(1, 0.5, 2.0, 1.0, 0.3),)


def test_a_passage_that_was_looked_up_later_has_its_own_score() -> None:
    steps = (Trace("retrieve", "", (passage(1, 0, 0.9),), 0.1),)
    late = passage(2, 300, 0.6)
    assert [s.fused for s in scores_of(answer((passage(1, 0, 0.9), late), *steps))] == [0.9, 0.6]
