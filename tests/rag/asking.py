"""How the tests of the chat client ask, and what the server says when nothing is wrong."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from rag.models.chat import chat_model
from tests.rag.scripted_server import (
    Respond,
    Script,
    delta,
    events,
    reply,
    scripted_server,
    whole,
)

IDLE, WHOLE = 0.8, 2.0
"""The seconds that a stream may pause and that a whole answer may take in these tests."""

MODES = ["invoke", "stream", "ainvoke", "astream"]
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def last(reason: str = "stop") -> dict[str, object]:
    """The chunk that ends an answer."""
    choice = {"index": 0, "delta": {}, "finish_reason": reason}
    return {**delta(), "choices": [choice]}


GOOD_STREAM = events(
    delta(role="assistant", content=""),
    delta(content="Hello "),
    delta(content="world."),
    last(),
    {**delta(), "choices": [], "usage": USAGE},
)


GOOD = reply(200, whole(content="Hello world."))


@contextmanager
def good_server() -> Iterator[Script]:
    """Says hello, streamed or not."""
    with scripted_server() as script:

        def answer(handler: BaseHTTPRequestHandler) -> None:
            good = GOOD_STREAM if script.bodies[-1].get("stream") else GOOD
            good(handler)

        script.answers(answer)
        yield script


def without_done(*chunks: object) -> Respond:
    """A stream that ends as HTTP wants it, only that its last event is missing."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        for chunk in chunks:
            handler.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        handler.close_connection = True

    return respond


def chat(url: str, **options: Any) -> Any:
    """A client that gives up soon and does not repeat, unless ``options`` say so."""
    options = {
        "idle_seconds": IDLE,
        "whole_answer_seconds": WHOLE,
        "retry_seconds": 0,
        **options,
    }
    return chat_model(url, "m", "key-1", **options)


def ask(model: Any, mode: str) -> str:
    """The whole answer, however it was asked for."""

    async def ainvoke() -> str:
        return str((await model.ainvoke("Hi")).text)

    async def astream() -> str:
        return "".join([chunk.text async for chunk in model.astream("Hi")])

    if mode == "invoke":
        return str(model.invoke("Hi").text)
    if mode == "stream":
        return "".join(chunk.text for chunk in model.stream("Hi"))
    return asyncio.run(ainvoke() if mode == "ainvoke" else astream())
