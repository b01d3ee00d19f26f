"""A reranker behind a server reorders what the search found."""

import math
import select
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
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
from tests.rag.scripted_server import Script, reply, scripted_server
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
     {"results": [{"index": 0, "relevance_score": "high"}] * 5},
     {"results": [{"index": n, "relevance_score": math.nan} for n in range(5)]},
     {"results": [{"index": [], "relevance_score": 1}] * 5}],
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


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted_server() as served:
        yield served


def scores(handler: BaseHTTPRequestHandler) -> None:
    entries = [{"index": n, "relevance_score": n} for n in range(len(TEXTS))]
    reply(200, {"results": entries})(handler)


def test_its_questions_share_a_connection(script: Script) -> None:
    asked_from = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        asked_from.append(handler.client_address)
        scores(handler)

    script.routes["/v1/rerank"] = respond
    reranker = Reranker(script.url, "words")
    for _ in range(3):
        assert reranker.scores(QUESTION, TEXTS) == [0, 1, 2, 3, 4]
    assert len(set(asked_from)) == 1


def test_a_connection_that_the_server_has_closed_is_made_anew(script: Script) -> None:
    closed = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        scores(handler)
        handler.close_connection = True
        closed.append(handler.client_address)

    script.routes["/v1/rerank"] = respond
    reranker = Reranker(script.url, "words")
    for _ in range(3):
        assert reranker.scores(QUESTION, TEXTS) == [0, 1, 2, 3, 4]
        time.sleep(0.1)
    assert len(set(closed)) == 3


def test_passages_are_cut_where_the_server_refuses_long_ones(script: Script) -> None:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        if script.bodies[-1].get("truncate_prompt_tokens") == -1:
            scores(handler)
        else:
            reply(400, {"error": {"message": "maximum context length is 512 tokens"}})(handler)

    script.routes["/v1/rerank"] = respond
    reranker = Reranker(script.url, "words")
    for _ in range(2):
        assert reranker.scores(QUESTION, TEXTS) == [0, 1, 2, 3, 4]
    assert len(script.bodies) == 3


def test_a_server_that_cannot_cut_is_heard_at_its_first_word(script: Script) -> None:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        known = "truncate_prompt_tokens" not in script.bodies[-1]
        reply(400, {"error": "too long" if known else "extra field"})(handler)

    script.routes["/v1/rerank"] = respond
    with pytest.raises(EndpointError, match=r"HTTP 400 .*too long"):
        Reranker(script.url, "words").scores(QUESTION, TEXTS)


def drips(handler: BaseHTTPRequestHandler) -> None:
    """Never silent, and never done."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not select.select([handler.connection], [], [], 0.1)[0]:
        handler.wfile.write(b" ")


def garbage(handler: BaseHTTPRequestHandler) -> None:
    reply(200, b"[" * 200_000)(handler)


@pytest.mark.parametrize(
    ("respond", "sentence"),
    [(drips, "nothing but single bytes"), (garbage, "one score for each passage")],
)
def test_an_answer_without_end_is_not_waited_for(
    script: Script,
    respond: Callable[[BaseHTTPRequestHandler], None],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rag.reranking._SECONDS", 0.5)
    script.routes["/v1/rerank"] = respond
    began = time.monotonic()
    with pytest.raises(EndpointError, match=sentence):
        Reranker(script.url, "words").scores(QUESTION, TEXTS)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("url", ["not an address", "http://", "http://a\udc80/v1", "http://[/v1"])
def test_an_address_that_is_none_is_a_sentence(url: str) -> None:
    with pytest.raises(EndpointError, match=r"does not work.*\[rerank\]"):
        Reranker(url, "words").scores(QUESTION, TEXTS)


def test_a_password_in_the_address_is_not_shown() -> None:
    with pytest.raises(EndpointError, match=r"at http://127\.0\.0\.1:9/v1 does"):
        Reranker("http://me:secret@127.0.0.1:9/v1", "words").scores(QUESTION, TEXTS)


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
