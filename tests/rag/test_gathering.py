"""Pieces of a streamed answer that come together take the way together; nothing is lost."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.models.chat import chat_model
from rag.models.gathering import Events, gathered, joined
from rag.models.wire import stay
from tests.rag.scripted_server import Respond, Script, delta, events, scripted_server, whole


@pytest.fixture
def server() -> Iterator[Script]:
    with scripted_server() as script:
        yield script


def text_of(chunks: list[dict[str, Any]]) -> list[str]:
    return [chunk["choices"][0]["delta"]["content"] for chunk in chunks]


def test_texts_become_one_and_what_tells_more_stays_alone() -> None:
    last = delta(content="!")
    last["choices"][0]["finish_reason"] = "stop"  # type: ignore[index]
    chunks = [
        delta(role="assistant", content=""),
        delta(content="Bees"),
        delta(content=" dance"),
        delta(reasoning="hm"),
        delta(content="."),
        last,
        {"choices": [], "usage": {"a": 1}},
    ]
    found = list(joined(chunks))
    assert text_of(found[:1]) == ["Bees dance"]
    assert found[1] == delta(reasoning="hm")
    assert text_of(found[2:4]) == [".", "!"]
    assert found[3]["choices"][0]["finish_reason"] == "stop"
    assert found[4] == {"choices": [], "usage": {"a": 1}}


@given(
    st.lists(st.text(st.characters(codec="utf-8"), min_size=1), max_size=8),
    st.lists(st.integers(1, 40), max_size=30),
    st.sampled_from(["\n", "\r\n"]),
)
def test_events_are_the_same_however_they_are_cut(
    texts: list[str], cuts: list[int], end: str
) -> None:
    data = "".join(f": note{end}data: {json.dumps(text)}{end}{end}" for text in texts).encode()
    decoder, found, start = Events(), [], 0
    for length in [*cuts, len(data)]:
        found += list(decoder.feed(data[start : start + length]))
        start += length
    found += list(decoder.close())
    assert [json.loads(one) for one in found] == texts


def test_what_came_meanwhile_is_taken_at_once_and_the_error_behind_it_is_raised() -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"
        await asyncio.sleep(0.05)
        yield b"c"
        raise OSError("gone")

    async def read() -> list[bytes]:
        batches = gathered(source())
        found = [await anext(batches), await anext(batches)]
        with pytest.raises(OSError, match="gone"):
            await anext(batches)
        return found

    assert asyncio.run(read()) == [b"ab", b"c"]


def test_a_stream_that_is_left_stops_to_be_read() -> None:
    closed = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"a"
            await asyncio.sleep(60)
        finally:
            closed.set()

    async def leave() -> None:
        batches = gathered(source())
        assert await anext(batches) == b"a"
        await batches.aclose()
        assert closed.is_set()

    asyncio.run(leave())


def test_an_answer_that_comes_at_once_is_whole(server: Script) -> None:
    words = [f"word{number} " for number in range(50)]
    server.answers(events(*(delta(content=word) for word in words)))

    async def read() -> list[str]:
        return [str(chunk.text) async for chunk in chat_model(server.url, "m").astream("Hi")]

    pieces = asyncio.run(read())
    assert "".join(pieces) == "".join(words)


def test_what_follows_the_last_event_is_not_waited_for(server: Script) -> None:
    left = threading.Event()

    def held(handler: Any) -> None:
        events(delta(content="Bees"), delta(content=" dance"), end="open")(handler)
        handler.wfile.write(b"18\r\ndata: [DONE]\n\ndata: {}\n\n\r\n")
        handler.connection.settimeout(20)
        if handler.rfile.read(1) == b"":
            left.set()

    server.answers(held)

    async def read() -> str:
        stay(asyncio.get_running_loop())
        chat = chat_model(server.url, "m", retry_seconds=0, idle_seconds=15)
        text = "".join([str(chunk.text) async for chunk in chat.astream("Hi")])
        assert await asyncio.to_thread(left.wait, 10)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return text

    begun = time.monotonic()
    assert asyncio.run(read()) == "Bees dance"
    assert time.monotonic() - begun < 10


def test_an_answer_that_ends_well_leaves_its_connection_to_the_next(server: Script) -> None:
    seen: set[tuple[str, int]] = set()

    def streamed(handler: Any) -> None:
        seen.add(handler.client_address)
        events(delta(content="Bees"), end="open")(handler)
        handler.wfile.write(b"e\r\ndata: [DONE]\n\n\r\n")
        time.sleep(0.02)
        handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = False

    server.answers(streamed)
    chat = chat_model(server.url, "m")

    async def ask() -> None:
        stay(asyncio.get_running_loop())
        for _ in range(3):
            pieces = [str(chunk.text) async for chunk in chat.astream("Hi")]
            assert "".join(pieces) == "Bees"
        await chat.http_async_client.aclose()  # type: ignore[attr-defined]

    asyncio.run(ask())
    assert len(seen) == 1


def connections(server: Script) -> set[tuple[str, int]]:
    """Where requests come from, from now on."""
    seen: set[tuple[str, int]] = set()

    def noting(respond: Respond) -> Respond:
        def noted(handler: Any) -> None:
            seen.add(handler.client_address)
            respond(handler)

        return noted

    body = json.dumps(whole(content="Yes")).encode()

    def reply(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    server.answers(noting(reply))
    return seen


@pytest.mark.parametrize(("staying", "expected"), [(True, 1), (False, 3)])
def test_an_event_loop_that_stays_keeps_its_connections(
    server: Script, staying: bool, expected: int
) -> None:
    seen = connections(server)
    chat = chat_model(server.url, "m")

    async def ask() -> None:
        if staying:
            stay(asyncio.get_running_loop())
        for _ in range(3):
            assert (await chat.ainvoke("Hi")).text == "Yes"
        if staying:
            await chat.http_async_client.aclose()  # type: ignore[attr-defined]

    asyncio.run(ask())
    assert len(seen) == expected
