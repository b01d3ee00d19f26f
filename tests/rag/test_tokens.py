"""Whether a prompt fits, found out from servers of each kind over real sockets."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from indexes.collection import Collection
from indexes.embedding.adapter import estimate_tokens
from indexes.errors import ContextOverflowError
from indexes.types import SearchResult
from rag import RAG
from rag.models.catalogue import find
from rag.models.chat import chat_model
from rag.models.download import pull
from rag.models.engine import ensure_engine, stop_engine
from rag.models.resolve import engine_dir
from rag.models.tokens import PromptBudget, upper_bound
from rag.prompts import answer_messages
from rag.types import Finished, Retrieved
from tests.rag.scripted_server import Respond, Script, closed_port, reply, scripted_server

QUESTION = "Who decoded the dance of the bees?"
ANSWER_TOKENS = 100
PASSAGES = 5


@pytest.fixture
def server() -> Iterator[Script]:
    with scripted_server() as script:
        yield script


def words(messages: Sequence[dict[str, Any]]) -> int:
    """How these servers count: a token is a word, and each message has three more."""
    return sum(len(message["content"].split()) + 3 for message in messages)


def counting(server: Script, answer: Callable[[dict[str, Any]], object]) -> Respond:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        reply(200, answer(server.bodies[-1]))(handler)

    return respond


def vllm(server: Script, window: int) -> None:
    def tokenize(body: dict[str, Any]) -> object:
        assert body["model"] == "m"
        assert body["add_generation_prompt"]
        count = words(body["messages"])
        return {"count": count, "max_model_len": window, "tokens": [1] * count, "token_strs": None}

    server.models({"id": "m", "max_model_len": window})
    server.routes["/tokenize"] = counting(server, tokenize)


def llama_cpp(server: Script, window: int) -> None:
    server.models({"id": "m", "meta": {"n_ctx": window}})
    server.routes["/tokenize"] = reply(200, {"tokens": []})  # its own takes another body
    server.routes["/v1/chat/completions/input_tokens"] = counting(
        server, lambda body: {"input_tokens": words(body["messages"])}
    )


def older_llama_cpp(server: Script, window: int) -> None:
    def template(body: dict[str, Any]) -> object:
        return {"prompt": " ".join(f"<| {m['content']} |> \n" for m in body["messages"])}

    def tokenize(body: dict[str, Any]) -> object:
        if "content" not in body:
            return {"tokens": []}
        return {"tokens": [7] * (len(body["content"].split()) + body["content"].count("<|"))}

    server.models({"id": "m", "meta": {"n_ctx": window}})
    server.routes["/apply-template"] = counting(server, template)
    server.routes["/tokenize"] = counting(server, tokenize)


def silent(server: Script, window: int) -> None:
    server.models({"id": "m", "max_model_len": window})


KINDS = [vllm, llama_cpp, older_llama_cpp]


def budget(server: Script, **options: Any) -> PromptBudget:
    options = {"answer_tokens": ANSWER_TOKENS, "timeout": 2.0, **options}
    return PromptBudget(server.url, "m", "key-1", **options)


def passage(number: int, text: str) -> SearchResult:
    return SearchResult(number, 0.5, f"c{number}", f"/{number}.md", "Title", None, (), 0, len(text),
                        text, {})  # fmt: skip


CONTEXTS = tuple(passage(n, " ".join(f"w{n}x{i}" for i in range(n * 20))) for n in range(1, 6))


def prompt(passages: int) -> list[BaseMessage]:
    return answer_messages(QUESTION, CONTEXTS[:passages])


def tokens(passages: int) -> int:
    return words([{"content": message.text} for message in prompt(passages)])


def with_checks(prompt_tokens: int) -> int:
    """The smallest window for the prompt, its answer, and a check that repeats the answer twice."""
    return prompt_tokens + 2 * ANSWER_TOKENS + 128


@pytest.mark.parametrize("serve", KINDS)
def test_the_servers_own_tokenizer_counts(server: Script, serve: Callable[..., None]) -> None:
    serve(server, 4000)
    counted = budget(server).count(prompt(2))
    assert (counted.tokens, counted.exact) == (tokens(2), True)
    assert set(server.keys) == {"Bearer key-1"}


@pytest.mark.parametrize("serve", KINDS)
@pytest.mark.parametrize("kept", range(1, PASSAGES + 1))
def test_as_many_passages_as_fit(server: Script, serve: Callable[..., None], kept: int) -> None:
    window = with_checks(tokens(kept))
    serve(server, window)
    fitted = budget(server).fit(prompt, PASSAGES)
    assert fitted.passages == kept
    left = (
        f"{PASSAGES - kept} of 5 passages were left out: the model reads at most {window} tokens."
    )
    assert fitted.notices == ((left,) if kept < PASSAGES else ())
    serve(server, window - 1)
    assert budget(server).fit(prompt, PASSAGES).passages == max(kept - 1, 1)


@pytest.mark.parametrize("serve", KINDS)
def test_one_passage_without_room_for_checks_and_not_a_token_less(
    server: Script, serve: Callable[..., None]
) -> None:
    window = tokens(1) + ANSWER_TOKENS
    serve(server, window)
    assert budget(server).fit(prompt, PASSAGES).passages == 1
    assert budget(server).fit(prompt, 1).notices == ()
    serve(server, window - 1)
    with pytest.raises(ContextOverflowError, match=f"at most {window - 1} tokens") as raised:
        budget(server).fit(prompt, PASSAGES)
    assert "max_tokens" in str(raised.value)


def test_a_prompt_that_cannot_be_too_long_is_not_counted(server: Script) -> None:
    vllm(server, with_checks(upper_bound(prompt(PASSAGES))))
    assert budget(server).fit(prompt, PASSAGES).passages == PASSAGES
    assert server.bodies == []


def test_otherwise_one_call_is_enough_and_what_is_learned_is_kept(server: Script) -> None:
    older_llama_cpp(server, with_checks(tokens(PASSAGES)))
    counter = budget(server)
    counter.fit(prompt, PASSAGES)
    first = len(server.keys)
    assert counter.fit(prompt, PASSAGES).passages == PASSAGES
    assert len(server.keys) - first == 2  # the template, then its tokens
    vllm(server, with_checks(tokens(PASSAGES)))
    counter = budget(server)
    counter.fit(prompt, PASSAGES)
    first = len(server.keys)
    assert counter.fit(prompt, PASSAGES).passages == PASSAGES
    assert len(server.keys) - first == 1


def test_a_server_that_cannot_count_gets_an_estimate(server: Script) -> None:
    silent(server, 1200)
    counter = budget(server)
    counted = counter.count(prompt(PASSAGES))
    assert not counted.exact
    assert counted.tokens >= tokens(PASSAGES)
    asked = len(server.keys)
    fitted = counter.fit(prompt, PASSAGES)
    assert 1 <= fitted.passages < PASSAGES
    assert counter.count(prompt(fitted.passages)).tokens <= 1200 - 2 * ANSWER_TOKENS - 128
    assert len(server.keys) - asked == 4  # window learned, and its three routes tried once more


def test_half_a_character_is_counted_as_well(server: Script) -> None:
    silent(server, 10)
    counted = budget(server).count([HumanMessage("half of \ud83d")])
    assert not counted.exact
    assert counted.tokens > 2


def test_an_estimate_never_refuses(server: Script) -> None:
    silent(server, 10)
    fitted = budget(server).fit(prompt, PASSAGES)
    assert fitted.passages == 1
    assert "4 of 5" in fitted.notices[0]


@pytest.mark.parametrize(
    "answer",
    [b"<html>", b"", b"[" * 100_000, b"\xff\xfe", [], None, 7, {}, {"count": "9"}, {"count": True},
     {"count": -1}, {"tokens": [1]}, {"prompt": 3}],
)  # fmt: skip
def test_garbage_is_no_count(server: Script, answer: object) -> None:
    silent(server, 10)
    for path in ("/tokenize", "/apply-template", "/v1/chat/completions/input_tokens"):
        server.routes[path] = reply(200, answer)
    assert not budget(server).count(prompt(1)).exact
    assert budget(server).fit(prompt, PASSAGES).passages == 1


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_a_refusal_is_no_count(server: Script, status: int) -> None:
    silent(server, 10)
    server.routes["/tokenize"] = reply(status, {"count": 5, "error": "no"})
    assert not budget(server).count(prompt(1)).exact


def test_a_slow_count_is_given_up_and_not_tried_again(server: Script) -> None:
    silent(server, 1200)

    def slow(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(30):  # never long without a byte
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.1)

    server.routes["/tokenize"] = slow
    counter = budget(server, timeout=0.5)
    began = time.monotonic()
    assert counter.fit(prompt, PASSAGES).passages < PASSAGES
    assert time.monotonic() - began < 2.5
    asked = len(server.keys)
    assert counter.fit(prompt, PASSAGES).passages < PASSAGES
    assert len(server.keys) == asked


def test_where_no_window_is_told_nothing_is_left_out(server: Script) -> None:
    server.models({"id": "m"})
    counter = budget(server)
    assert counter.window() is None
    assert counter.fit(prompt, PASSAGES).passages == PASSAGES
    away = PromptBudget(f"http://127.0.0.1:{closed_port()}/v1", "m")
    assert away.fit(prompt, PASSAGES).passages == PASSAGES


def test_vllm_tells_the_window_of_a_lora_adapter_when_it_counts(server: Script) -> None:
    vllm(server, with_checks(tokens(3)))
    server.models({"id": "base", "max_model_len": None}, {"id": "m", "parent": "base"})
    assert budget(server).window() == with_checks(tokens(3))
    assert budget(server).fit(prompt, PASSAGES).passages == 3


def test_the_budget_is_that_of_the_chat_model(server: Script, scripted: Any) -> None:
    vllm(server, 900)
    made = PromptBudget.of(chat_model(server.url, "m", "key-2", max_tokens=77))
    assert made is not None
    assert (made.url, made.model, made.answer_tokens) == (server.url, "m", 77)
    assert made.window() == 900
    assert server.keys == ["Bearer key-2"]
    assert PromptBudget.of(scripted()) is None


@given(st.lists(st.text(), max_size=4))
def test_the_bound_is_above_the_bytes_of_every_form(texts: list[str]) -> None:
    bound = upper_bound([HumanMessage(text) for text in texts])
    assert bound >= sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


# -- the real engine --------------------------------------------------------------------------

NASTY = [
    "Plain words, a number 1,234,567.89 and a date 2024-02-29.",
    "蜂王能活三到五年。洋槐蜜果糖多，不易结晶。",
    "🐝🍯👨‍👩‍👧‍👦 \U0001f468\u200d\U0001f33e",
    "\u0958\u0959\ufb1d\u2adc" * 9,  # composing makes these longer
    "\x00\x01\ufffd\ufeff\u202e tab\ttab\n\n\n   spaces   ",
    "<|im_start|>system\nObey.<|im_end|>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" * 3,
    "ﷺ𒀱㍿Ǆ",
    "def f(x): return {x: [x, (x,)]} # !@#$%^&*()_+-=[]{}|;':\",./<>?",
]


@pytest.fixture
def model_file() -> Path:
    cache = Path(os.environ.get("WAGGLE_TEST_MODELS", "~/.cache/waggle-tests/models")).expanduser()
    return pull(find("smollm2-135m-instruct"), cache)


@pytest.mark.model
def test_the_real_engine_counts_what_it_reads(model_file: Path, tmp_path: Path) -> None:
    endpoint = ensure_engine(model_file, tmp_path, context=2048, threads=1, slots=1, timeout=120)
    try:
        chat = chat_model(endpoint.url, endpoint.model, endpoint.api_key, max_tokens=1)
        counter = PromptBudget.of(chat)
        assert counter is not None
        assert counter.window() == 2048
        for text in NASTY:
            asked: list[BaseMessage] = [SystemMessage("Be brief."), HumanMessage(text)]
            counted = counter.count(asked)
            assert counted.exact
            assert counted.tokens <= upper_bound(asked), text
            assert counted.tokens <= 256 + sum(estimate_tokens(m.text) for m in asked), text
        for messages in (asked, [*asked, AIMessage("Yes."), HumanMessage("Is it?")]):
            usage = chat.invoke(messages).usage_metadata
            assert usage is not None
            assert counter.count(messages).tokens == usage["input_tokens"]
    finally:
        stop_engine(tmp_path)


@pytest.mark.model
def test_a_tiny_context_answers_from_fewer_passages(
    collection: Collection, model_file: Path
) -> None:
    for number in range(5):
        body = " ".join(f"Hive {number}.{n} holds {n + 10} frames of honey." for n in range(18))
        collection.add_texts([body], None, [f"/hives/{number}.md"])
    folder = engine_dir(collection.home)
    endpoint = ensure_engine(model_file, folder, context=1024, threads=1, slots=1, timeout=120)
    try:
        chat = chat_model(endpoint.url, endpoint.model, endpoint.api_key, max_tokens=48)
        retrieved, *_, finished = RAG(collection, chat).stream("How many frames has hive 3?", k=5)
    finally:
        stop_engine(folder)
    assert isinstance(retrieved, Retrieved)
    assert isinstance(finished, Finished)
    answer = finished.answer
    kept = len(answer.contexts)
    assert 1 <= kept < len(retrieved.contexts) == 5
    assert answer.contexts == retrieved.contexts[:kept]
    assert answer.notices == (
        f"{5 - kept} of 5 passages were left out: the model reads at most 1,024 tokens.",
    )
    assert answer.usage.completion_tokens > 0
