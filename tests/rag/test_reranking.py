"""A reranker behind a server reorders what the search found."""

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from indexes.collection import Collection
from indexes.errors import EndpointError
from indexes.types import SearchResult
from rag.answering import RAG
from rag.reranking import Reranker, reranker_of
from rag.settings import RerankSettings
from rag.types import Answer
from tests.served_models import ModelServer, running

QUESTION = "who taught the bees to dance"
TEXTS = ["the hive stands in a garden", "who", "the bees who dance", "nothing here", "who taught"]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with running() as served:
        yield served


def passages() -> list[SearchResult]:
    return [
        SearchResult(
            rank=rank, score=1.0 / rank, chunk_id=str(rank), source="s", title="t", page=None,
            heading=(), start=0, end=len(text), text=text, metadata={},
        )
        for rank, text in enumerate(TEXTS, 1)
    ]  # fmt: skip


@pytest.mark.parametrize("lacks", [(), ("/v1/rerank",)])
def test_the_best_come_first(server: ModelServer, lacks: tuple[str, ...]) -> None:
    server.lacks = lacks
    found = Reranker(server.url, "words", "key").rerank(QUESTION, passages(), 3)
    assert [result.text for result in found] == ["the bees who dance", "who taught", TEXTS[0]]
    assert [result.rank for result in found] == [1, 2, 3]
    assert [result.score for result in found] == [4.0, 2.0, 1.0]
    assert server.asked[-1][2] == "Bearer key"


def test_equal_ones_keep_the_order_of_the_search(server: ModelServer) -> None:
    found = Reranker(server.url, "words").rerank("unrelated", passages(), 9)
    assert [result.text for result in found] == TEXTS


def test_nothing_is_asked_about_nothing() -> None:
    assert Reranker("http://127.0.0.1:9/v1", "words").rerank(QUESTION, [], 3) == []


@pytest.mark.parametrize(
    "garbage",
    [[], {}, {"results": 5}, {"results": []}, {"results": [{"index": 0}]},
     {"results": [{"index": 0, "relevance_score": "high"}] * 5}],
)  # fmt: skip
def test_garbage_is_named(server: ModelServer, garbage: Any) -> None:
    server.garbage = garbage
    with pytest.raises(EndpointError, match=r"words at .* one score for each passage"):
        Reranker(server.url, "words").rerank(QUESTION, passages(), 3)


def test_a_failing_server_is_named(server: ModelServer) -> None:
    server.failures = [500]
    with pytest.raises(EndpointError, match="HTTP 500"):
        Reranker(server.url, "words").scores(QUESTION, TEXTS)
    with pytest.raises(EndpointError, match=r"does not work.*\[rerank\]"):
        Reranker("http://127.0.0.1:9/v1", "words").scores(QUESTION, TEXTS)


def test_the_settings_name_it() -> None:
    assert reranker_of(RerankSettings()) is None
    assert reranker_of(RerankSettings(url="http://a/v1")) is None
    made = reranker_of(RerankSettings(url="http://a/v1/", model="m", candidates=7))
    assert made is not None
    assert (made.url, made.model, made.candidates) == ("http://a/v1", "m", 7)


def asked(collection: Collection, reranker: Reranker | None) -> Answer:
    texts = ["Honey is stored by bees", "what is it and who is it made by"]
    collection.add_texts(texts, sources=["honey", "words"])
    chat = GenericFakeChatModel(messages=iter([AIMessage("Honey is stored by bees. [1]")]))
    return RAG(collection, chat, reranker).ask("what is honey and who is it made by", k=1)


def test_an_answer_leans_on_the_passages_that_the_reranker_prefers(
    server: ModelServer, collection: Collection
) -> None:
    plain = asked(collection, None)
    answer = asked(collection, Reranker(server.url, "words"))
    assert [context.source for context in plain.contexts] == ["honey"]
    assert [(c.source, c.rank) for c in answer.contexts] == [("words", 1)]
    assert "rerank" in answer.timings_ms
    (sent,) = [body for path, body, _ in server.asked if path == "/v1/rerank"]
    assert len(sent["documents"]) == 2


def test_without_its_server_the_search_decides_and_the_answer_says_so(
    collection: Collection,
) -> None:
    answer = asked(collection, Reranker("http://127.0.0.1:9/v1", "words"))
    assert [context.source for context in answer.contexts] == ["honey"]
    assert len(answer.notices) == 1
    assert "reranker words" in answer.notices[0]
