"""The chat client against a server that misbehaves on purpose, on the loopback."""

import asyncio
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from indexes.errors import ContextOverflowError, EndpointError, ModelError
from rag.models.chat import (
    as_endpoint_error,
    chat_model,
    context_window,
    endpoint_errors,
    list_models,
    model_name,
)
from tests.rag.scripted_server import (
    Respond,
    Script,
    closed_port,
    delta,
    events,
    reply,
    scripted_server,
    whole,
)


@pytest.fixture
def server() -> Iterator[Script]:
    with scripted_server() as script:
        yield script


def chat(server: Script, **options: Any) -> Any:
    options = {"idle_seconds": 1.0, "max_retries": 0, **options}
    return chat_model(server.url, "m", "key-1", **options)


def test_the_models_are_listed_with_the_key(server: Script) -> None:
    server.models({"id": "a"}, {"id": "b", "object": "model"}, {"id": 7})
    assert list_models(server.url, "secret") == ["a", "b"]
    assert list_models(server.url + "/") == ["a", "b"]
    assert server.keys == ["Bearer secret", None]


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, "WAGGLE_CHAT_API_KEY"), (403, "WAGGLE_CHAT_API_KEY"), (404, "/v1"), (429, "overloaded"),
     (500, "HTTP 500"), (302, "HTTP 302")],
)  # fmt: skip
def test_a_bad_status_says_what_to_do(server: Script, status: int, expected: Any) -> None:
    server.routes["/v1/models"] = reply(status, {"error": "no"})
    with pytest.raises(EndpointError, match=expected) as raised:
        list_models(server.url, "very-secret")
    assert server.url in str(raised.value)
    assert "very-secret" not in str(raised.value)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>hello</html>", b"null", b"[]", b"7", b'{"data": null}', b'{"data": [1]}',
     b'{"data": {"id": 1}}', b'{"models": []}', b"\xff\xfe", b"[" * 100_000],
)  # fmt: skip
def test_what_is_not_the_protocol_is_named(server: Script, body: Any) -> None:
    server.routes["/v1/models"] = reply(200, body)
    with pytest.raises(EndpointError, match="does not speak OpenAI's protocol"):
        list_models(server.url)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.binary(max_size=40)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["data", "id", "meta", "n_ctx"]), inner, max_size=3)
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_body_gives_names_or_one_clear_error(server: Script, body: Any) -> None:
    server.routes["/v1/models"] = reply(200, body)
    try:
        names = list_models(server.url)
    except EndpointError:
        return
    assert names
    assert all(isinstance(name, str) for name in names)
    tokens = context_window(server.url)
    assert tokens is None or tokens > 0


def test_a_server_without_models_is_named(server: Script) -> None:
    server.models()
    with pytest.raises(EndpointError, match="offers no model"):
        list_models(server.url)


def test_a_list_without_end_is_cut_off(server: Script) -> None:
    server.routes["/v1/models"] = reply(200, b" " * (5 << 20))
    with pytest.raises(EndpointError, match="does not speak"):
        list_models(server.url)


def test_nobody_there() -> None:
    with pytest.raises(EndpointError, match=r"No model server answers at .*\[chat\] url"):
        list_models(f"http://127.0.0.1:{closed_port()}/v1")


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "ftp://x/v1", "http://", "http://[::1", "http://\x00/v1", "http://a:99999/v1"],
)
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(EndpointError):
        list_models(url)


def test_a_silent_server_is_given_up(server: Script) -> None:
    server.routes["/v1/models"] = lambda handler: time.sleep(2)
    began = time.monotonic()
    with pytest.raises(EndpointError, match="did not answer in time"):
        list_models(server.url, timeout=0.3)
    assert time.monotonic() - began < 1.5


def test_a_dripping_server_is_given_up(server: Script) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(40):
            handler.wfile.write(b" ")
            time.sleep(0.1)

    server.routes["/v1/models"] = drip
    began = time.monotonic()
    with pytest.raises(EndpointError, match="did not answer in time"):
        list_models(server.url, timeout=0.5)
    assert time.monotonic() - began < 2


def test_a_password_in_the_address_is_not_shown() -> None:
    url = f"http://user:hunter2@127.0.0.1:{closed_port()}/v1?token=hunter2"
    with pytest.raises(EndpointError) as raised:
        list_models(url)
    assert "hunter2" not in str(raised.value)


def test_the_loopback_is_not_reached_through_a_proxy(
    server: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    server.models({"id": "m"})
    server.answers(reply(200, whole(content="Hi.")))
    assert list_models(server.url) == ["m"]
    assert chat(server).invoke("Hello").text == "Hi."


@pytest.mark.parametrize(
    ("entry", "props", "expected"),
    [
        ({"max_model_len": 4096}, None, 4096),
        ({"meta": {"n_ctx": 2048, "n_ctx_train": 8192}}, None, 2048),
        ({"meta": {"n_ctx_train": 8192}}, {"default_generation_settings": {"n_ctx": 1024}}, 1024),
        ({"meta": {"n_ctx_train": 8192}}, None, 8192),
        ({"meta": {"n_ctx_train": 8192}}, ["garbage"], 8192),
        ({"max_model_len": "4096", "meta": "?"}, None, None),
        ({"max_model_len": True}, None, None),
        ({}, None, None),
    ],
)
def test_the_context_window_is_read(server: Script, entry: Any, props: Any, expected: Any) -> None:
    server.models({"id": "other", "max_model_len": 7}, {"id": "m", **entry})
    if props is not None:
        server.routes["/props"] = reply(200, props)
    assert context_window(server.url, None, "m") == expected


def test_an_answer_comes_with_its_usage(server: Script) -> None:
    server.answers(reply(200, whole(content="Hello there.")))
    answer = chat(server, max_tokens=33).invoke("Hi")
    assert answer.text == "Hello there."
    assert answer.usage_metadata["output_tokens"] == 2
    assert server.bodies[0]["max_tokens"] == 33
    assert "max_completion_tokens" not in server.bodies[0]
    assert server.bodies[0]["temperature"] == 0
    assert server.keys == ["Bearer key-1"]


def test_one_call_may_ask_for_fewer_tokens(server: Script) -> None:
    server.answers(reply(200, whole(content="Yes")))
    chat(server, max_tokens=33).invoke("Hi", max_tokens=4)
    assert server.bodies[0]["max_tokens"] == 4


def test_the_key_of_another_service_is_never_sent(
    server: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-yours")
    server.answers(reply(200, whole(content="Hi.")))
    chat_model(server.url, "m", None).invoke("Hi")
    assert server.keys == ["Bearer none"]


def test_the_first_model_offered_is_the_default(server: Script) -> None:
    server.models({"id": "first"}, {"id": "second"})
    model = chat_model(server.url)
    assert model_name(model) == "first"


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_is_kept_apart(server: Script, name: str) -> None:
    server.answers(reply(200, whole(content="Four.", **{name: "2 + 2"})))
    answer = chat(server).invoke("?")
    assert answer.text == "Four."
    assert answer.additional_kwargs["reasoning_content"] == "2 + 2"
    server.answers(
        events(
            delta(role="assistant", content=""),
            delta(**{name: "2 +"}),
            delta(**{name: " 2"}),
            delta(content="Fo"),
            delta(content="ur."),
        )
    )
    first, *rest = chat(server).stream("?")
    total = sum(rest, start=first)
    assert total.text == "Four."
    assert total.additional_kwargs["reasoning_content"] == "2 + 2"


def test_a_stream_asks_for_usage_and_gets_it(server: Script) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    server.answers(events(delta(content="Hi"), {**delta(), "choices": [], "usage": usage}))
    chunks = list(chat(server).stream("?"))
    assert server.bodies[0]["stream_options"] == {"include_usage": True}
    assert [c.usage_metadata["total_tokens"] for c in chunks if c.usage_metadata] == [5]


OVERFLOWS = [
    {"error": {"code": 400, "type": "exceed_context_size_error", "message": "request (9031 tokens) "
               "exceeds the available context size (4096 tokens), try increasing it"}},
    {"object": "error", "type": "BadRequestError", "code": 400, "message": "This model's maximum "
     "context length is 4096 tokens. However, you requested 9000 tokens"},
    {"error": {"message": "The decoder prompt (length 5000) is longer than the maximum model "
               "length of 4096.", "type": "BadRequestError", "code": 400}},
    {"error": {"message": "too long", "code": "context_length_exceeded"}},
]  # fmt: skip


@pytest.mark.parametrize("body", OVERFLOWS)
def test_a_prompt_too_long_has_its_own_error(server: Script, body: Any) -> None:
    server.answers(reply(400, body))
    with pytest.raises(ContextOverflowError, match="too long"):
        chat(server).invoke("word")
    with pytest.raises(ContextOverflowError, match="too long"):
        list(chat(server).stream("word"))


@pytest.mark.parametrize(
    ("respond", "expected"),
    [
        (reply(401, {"error": {"message": "Invalid API Key key-1"}}), "refuses the key"),
        (reply(404, {"error": {"message": "no such model"}}), "does not know that model"),
        (reply(429, {"error": {"message": "slow down"}}), "overloaded"),
        (reply(500, {"error": {"message": "CUDA error"}}), "could not do it: CUDA error"),
        (reply(503, b"<html>gateway</html>", "text/html"), "is not ready: HTTP 503"),
        (reply(503, {"error": {"message": "Loading model"}}), "is not ready: Loading model"),
        (reply(400, {"error": {"message": "bad grammar"}}), "could not do it: bad grammar"),
        (reply(200, b"<html>hi</html>", "text/html"), "does not speak"),
        (reply(200, b'{"half": ', "application/json"), "does not speak|broke off|could not"),
        (reply(200, {"choices": None}), "does not speak"),
        (reply(200, {"choices": [{"message": None}]}), "does not speak"),
        (reply(200, {"choices": []}), "does not speak"),
        (reply(200, [1, 2]), "does not speak"),
    ],
)
def test_what_goes_wrong_while_answering(server: Script, respond: Respond, expected: Any) -> None:
    server.answers(respond)
    with pytest.raises(EndpointError, match=expected) as raised:
        chat(server).invoke("Hi")
    assert server.url in str(raised.value)
    assert "key-1" not in str(raised.value)


@pytest.mark.parametrize(
    ("respond", "expected"),
    [
        (events(delta(content="Hal"), end="break"), "broke off in the middle"),
        (events(delta(content="Hal"), end="hang"), "fell silent in the middle"),
        (events(delta(content="Hal"), b'{"garbage'), "unreadable in the middle"),
        (events(delta(content="Hal"), {"choices": [7]}), "unreadable in the middle"),
        (events(delta(content="Hal"), {"error": {"message": "engine died"}}), "engine died"),
    ],
)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_goes_wrong_in_the_middle_of_a_stream(
    server: Script, respond: Respond, expected: Any, asynchronous: bool
) -> None:
    server.answers(respond)
    got: list[str] = []

    def read() -> None:
        for chunk in chat(server).stream("Hi"):
            got.append(chunk.text)

    async def aread() -> None:
        async for chunk in chat(server).astream("Hi"):
            got.append(chunk.text)

    with pytest.raises(EndpointError, match=expected) as raised:
        asyncio.run(aread()) if asynchronous else read()
    assert "Hal" in got
    assert server.url in str(raised.value)


def test_a_stream_without_anything_is_named(server: Script) -> None:
    server.answers(events())
    with pytest.raises(EndpointError, match="does not speak"):
        list(chat(server).stream("Hi"))


def test_nobody_there_when_asked() -> None:
    url = f"http://127.0.0.1:{closed_port()}/v1"
    with pytest.raises(EndpointError, match="No model server answers"):
        chat_model(url, "m", max_retries=0).invoke("Hi")


def test_a_whole_answer_may_take_longer_than_a_pause(server: Script) -> None:
    def slow(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.8)
        reply(200, whole(content="Done."))(handler)

    server.answers(slow)
    assert chat(server, idle_seconds=0.3).invoke("Hi").text == "Done."
    with pytest.raises(EndpointError, match="in time"):
        chat(server, whole_answer_seconds=0.3).invoke("Hi")


def test_a_reader_who_leaves_the_stream_sees_no_error(server: Script) -> None:
    server.answers(events(*[delta(content=str(n)) for n in range(50)]))
    stream = chat(server).stream("Hi")
    next(stream)
    stream.close()


def test_other_clients_get_the_same_errors(server: Script) -> None:
    from langchain_openai import ChatOpenAI

    server.answers(reply(401, {"error": {"message": "no"}}))
    other = ChatOpenAI(base_url=server.url, model="m", api_key=SecretStr("x"), max_retries=0)
    with (
        pytest.raises(EndpointError, match=f"{server.url} refuses the key"),
        endpoint_errors(other),
    ):
        other.invoke("Hi")
    with pytest.raises(KeyError), endpoint_errors(other):
        raise KeyError("a mistake of our own")


def test_our_own_errors_pass_unchanged() -> None:
    error = EndpointError("as it is")
    assert as_endpoint_error(error, "http://x/v1") is error
    assert isinstance(as_endpoint_error(RuntimeError("?"), "http://x/v1"), ModelError)
