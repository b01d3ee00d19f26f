"""A reader who leaves frees the server's slot."""

import asyncio
import gc
import json
import select
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from indexes.collection import Collection
from rag.answering import RAG
from rag.models.nested import Nested
from rag.types import Token
from tests.indexes.hash_embedder import HashEmbedder
from tests.rag.asking import chat, good_server
from tests.rag.scripted_server import (
    Script,
    closed_port,
    delta,
)


@pytest.fixture
def server() -> Iterator[Script]:
    with good_server() as script:
        yield script


SENTENCE = "Bees dance to show the way to food. [1] "
"""What the passage of `rag` says: a sentence is shown when it has been checked."""


class Talker:
    """Streams ``piece`` every now and then until its reader has left, and knows when that was."""

    def __init__(self, first: float = 0.0, pause: float = 0.05, piece: str = "a ") -> None:
        self.began, self.left = threading.Event(), threading.Event()
        self._first, self._pause, self._piece = first, pause, piece

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        self.began.set()
        try:
            self._talk(handler)
        except ConnectionError:
            self.left.set()

    def _talk(self, handler: BaseHTTPRequestHandler) -> None:
        words = [json.dumps(delta(content=self._piece)).encode()] * 200
        for n, word in enumerate(words):
            pause = self._pause if n else self._first
            if select.select([handler.connection], [], [], pause)[0]:
                assert handler.connection.recv(1) == b""
                self.left.set()
                return
            if n == 0:
                handler.send_response(200)
                handler.send_header("Content-Type", "text/event-stream")
                handler.end_headers()
            handler.wfile.write(b"data: " + word + b"\n\n")


def test_closing_a_stream_frees_the_slot(server: Script) -> None:
    talker = Talker()
    server.answers(talker)
    stream = chat(server.url).stream("Hi")
    next(stream)
    stream.close()
    assert talker.left.wait(1)


def test_dropping_a_stream_frees_the_slot(server: Script) -> None:
    talker = Talker()
    server.answers(talker)
    for _ in chat(server.url).stream("Hi"):
        break
    assert talker.left.wait(1)


@pytest.mark.parametrize("first", [0.0, 5.0], ids=["in the middle", "before the first token"])
def test_cancelling_a_task_frees_the_slot(server: Script, first: float) -> None:
    talker = Talker(first=first)
    server.answers(talker)

    async def cancel() -> bool:
        async def read() -> None:
            async for _ in chat(server.url, idle_seconds=10).astream("Hi"):
                pass

        task = asyncio.create_task(read())
        await asyncio.to_thread(talker.began.wait, 5)
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await asyncio.to_thread(talker.left.wait, 1)

    assert asyncio.run(cancel())


def test_no_cancellation_is_lost_among_tokens_that_come_fast(server: Script) -> None:
    server.answers(Talker(pause=0.001))
    model = chat(server.url, idle_seconds=10)

    async def read(heard: asyncio.Event) -> None:
        async for _ in model.astream("Hi"):
            heard.set()

    async def cancel() -> None:
        for n in range(25):
            heard = asyncio.Event()
            task = asyncio.create_task(read(heard))
            await heard.wait()
            await asyncio.sleep(0.0004 * n)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancel())


def test_cancelling_a_whole_answer_frees_the_slot(server: Script) -> None:
    talker = Talker(first=5)
    server.answers(talker)

    async def cancel() -> bool:
        task = asyncio.create_task(chat(server.url, whole_answer_seconds=10).ainvoke("Hi"))
        await asyncio.to_thread(talker.began.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await asyncio.to_thread(talker.left.wait, 1)

    assert asyncio.run(cancel())


def test_breaking_out_of_an_async_stream_frees_the_slot(server: Script) -> None:
    talker = Talker()
    server.answers(talker)

    async def leave() -> bool:
        async for _ in chat(server.url).astream("Hi"):
            break
        return await asyncio.to_thread(talker.left.wait, 1)

    assert asyncio.run(leave())


def test_an_event_loop_may_end_while_a_stream_is_open(
    server: Script, caplog: pytest.LogCaptureFixture
) -> None:
    talker = Talker()
    server.answers(talker)
    stream = chat(server.url).astream("Hi")

    async def begin() -> None:
        await anext(stream)

    asyncio.run(begin())
    assert talker.left.wait(1)
    assert caplog.records == []


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
def test_a_stream_dropped_after_its_event_loop_frees_the_slot(server: Script) -> None:
    talker = Talker()
    server.answers(talker)
    model = chat(server.url)
    streams = [model.astream("Hi")]

    async def begin() -> None:
        await anext(streams[0])

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.close()
    streams.clear()
    gc.collect()
    assert talker.left.wait(1)


def test_the_end_of_an_event_loop_closes_nested_generators_in_turn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    closed = []

    async def inner(n: int) -> AsyncGenerator[int]:
        try:
            while True:
                yield n
        finally:
            for _ in range(3):
                await asyncio.sleep(0)
            closed.append(n)

    async def outer(n: int) -> AsyncGenerator[int]:
        async with aclosing(Nested(inner(n))) as numbers:
            async for number in numbers:
                yield number

    streams = [outer(n) for n in range(8)]

    async def begin() -> None:
        for stream in streams:
            await anext(stream)

    asyncio.run(begin())
    assert sorted(closed) == list(range(8))
    assert caplog.records == []


def test_a_wait_for_the_server_can_be_cancelled() -> None:
    async def cancel() -> None:
        model = chat(f"http://127.0.0.1:{closed_port()}/v1", retry_seconds=60)
        task = asyncio.create_task(model.ainvoke("Hi"))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    began = time.monotonic()
    asyncio.run(cancel())
    assert time.monotonic() - began < 5


@pytest.fixture
def rag(server: Script, tmp_path: Path) -> Iterator[RAG]:
    note = tmp_path / "note.md"
    note.write_text("# Bees\n\nBees dance to show the way to food.\n", encoding="utf-8")
    with Collection.open("c", home=tmp_path / "home", embedder=HashEmbedder()) as collection:
        collection.add([note])
        yield RAG(collection, chat(server.url, idle_seconds=10))


def test_leaving_an_answer_frees_the_slot(server: Script, rag: RAG) -> None:
    talker = Talker(piece=SENTENCE)
    server.answers(talker)
    answer = rag.stream("Why do bees dance?")
    while not isinstance(next(answer), Token):
        pass
    answer.close()
    assert talker.left.wait(1)


@pytest.mark.parametrize("first", [0.0, 5.0], ids=["in the middle", "before the first token"])
def test_cancelling_an_answer_frees_the_slot(server: Script, rag: RAG, first: float) -> None:
    talker = Talker(first=first)
    server.answers(talker)

    async def cancel() -> bool:
        async def read() -> None:
            async for _ in rag.astream("Why do bees dance?"):
                pass

        task = asyncio.create_task(read())
        await asyncio.to_thread(talker.began.wait, 5)
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await asyncio.to_thread(talker.left.wait, 1)

    assert asyncio.run(cancel())


def test_an_event_loop_may_end_right_after_an_answer_was_left(
    server: Script, rag: RAG, caplog: pytest.LogCaptureFixture
) -> None:
    talker = Talker(piece=SENTENCE)
    server.answers(talker)

    async def leave() -> None:
        async for event in rag.astream("Why do bees dance?"):
            if isinstance(event, Token):
                break

    asyncio.run(leave())
    assert talker.left.wait(1)
    assert caplog.records == []
