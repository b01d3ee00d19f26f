"""Streams that are not well-formed, end early, or seem to live."""

import asyncio
import gzip
import json
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from pydantic import BaseModel

from indexes.errors import EndpointError
from tests.rag.asking import IDLE, ask, chat, last, without_done
from tests.rag.scripted_server import (
    Respond,
    Script,
    delta,
    events,
    reply,
    whole,
)


@pytest.mark.parametrize("mode", ["stream", "astream"])
def test_a_stream_may_leave_out_its_end_mark(server: Script, mode: str) -> None:
    server.answers(without_done(delta(content="Hello"), last()))
    assert ask(chat(server.url), mode) == "Hello"


@pytest.mark.parametrize("mode", ["stream", "astream"])
def test_a_gateway_may_compress_a_stream(server: Script, mode: str) -> None:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Content-Encoding", "gzip")
        handler.end_headers()
        lines = [f"data: {json.dumps(event)}\n\n" for event in (delta(content="Hello"), last())]
        handler.wfile.write(gzip.compress("".join(lines).encode()))
        handler.close_connection = True

    server.answers(respond)
    assert ask(chat(server.url), mode) == "Hello"


@pytest.mark.parametrize("mode", ["stream", "astream"])
def test_a_stream_that_just_ends_is_incomplete(server: Script, mode: str) -> None:
    text = '"finish_reason": "stop"'  # in the text it is no sign of the end
    server.answers(without_done(delta(content="Hello, "), delta(content=text)))
    with pytest.raises(EndpointError, match="broke off in the middle") as raised:
        ask(chat(server.url), mode)
    assert raised.value.partial == "Hello, " + text


@pytest.mark.parametrize("mode", ["stream", "astream"])
@pytest.mark.parametrize(
    ("respond", "expected"),
    [
        (without_done(), "broke off the connection"),
        (events(), "does not speak"),
        (reply(200, whole(content="not a stream")), "does not speak"),
        (events({"error": {"message": "engine died", "code": 500}}), "engine died"),
        (events({"error": {"message": "maximum context length is 9"}}), "too long"),
        (events(delta(content="Hello"), {"error": "no"}), "could not do it"),
        (events([1, 2]), "does not speak"),
    ],
)
def test_a_stream_that_brings_no_answer(
    server: Script, respond: Respond, expected: str, mode: str
) -> None:
    server.answers(respond)
    with pytest.raises(EndpointError, match=expected):
        ask(chat(server.url), mode)


@pytest.mark.parametrize("mode", ["stream", "astream"])
def test_an_answer_may_be_empty(server: Script, mode: str) -> None:
    server.answers(events(delta(role="assistant", content=""), last()))
    assert ask(chat(server.url), mode) == ""


@pytest.mark.parametrize("mode", ["stream", "astream"])
def test_signs_of_life_without_an_event_are_silence(server: Script, mode: str) -> None:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        without_done(delta(content="Hello"))(handler)
        for _ in range(60):
            handler.wfile.write(b": still here\n\n")
            time.sleep(0.1)

    server.answers(respond)
    began = time.monotonic()
    with pytest.raises(EndpointError, match="fell silent in the middle"):
        ask(chat(server.url), mode)
    assert time.monotonic() - began < 5


def test_a_reader_who_takes_time_is_not_the_servers_silence(server: Script) -> None:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        without_done(delta(content="Hello "))(handler)
        rest = b"data: " + json.dumps(delta(content="world.")).encode() + b"\n\ndata: [DONE]\n\n"
        for piece, pause in ((b"", 0.3), (rest[:20], 2 * IDLE), (rest[20:], 0)):
            handler.wfile.write(piece)
            time.sleep(pause)

    server.answers(respond)
    chunks = chat(server.url).stream("Hi")
    text = next(chunks).text
    time.sleep(1.6 * IDLE)
    assert text + "".join(chunk.text for chunk in chunks) == "Hello world."


def test_the_limit_of_tokens_is_told(server: Script) -> None:
    server.answers(events(delta(content="Hel"), last("length")))
    chunks = list(chat(server.url).stream("Hi"))
    total = sum(chunks[1:], start=chunks[0])
    assert total.text == "Hel"
    assert total.response_metadata["finish_reason"] == "length"


class Word(BaseModel):
    word: str


@pytest.mark.parametrize("mode", ["invoke", "ainvoke"])
def test_an_object_cut_off_at_the_limit_says_so(server: Script, mode: str) -> None:
    answer: dict[str, Any] = whole(content='{"wor')
    answer["choices"][0]["finish_reason"] = "length"
    server.answers(reply(200, answer))
    model = chat(server.url).bind(response_format=Word)
    with pytest.raises(EndpointError, match=r"cut off at its limit of tokens.*max_tokens"):
        ask(model, mode)


@pytest.mark.parametrize("mode", ["stream", "astream"])
def test_usage_comes_with_the_stream(server: Script, mode: str) -> None:
    async def collect() -> list[Any]:
        return [chunk async for chunk in chat(server.url).astream("Hi")]

    chunks = asyncio.run(collect()) if mode == "astream" else list(chat(server.url).stream("Hi"))
    total = sum(chunks[1:], start=chunks[0])
    assert total.usage_metadata["input_tokens"] == 3
    assert total.usage_metadata["output_tokens"] == 2
