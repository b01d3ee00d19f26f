"""Streams: what goes over the wire, what becomes of failures, and what is let go when the client
leaves. The routes are the test's own, in the real app behind a real socket."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from hypothesis import given
from hypothesis import strategies as st

from agents.http.app import create_app
from agents.http.depending import CallerOf, ServiceOf, Slot, attended
from agents.http.sse import ServerEvent, events
from indexes.errors import EndpointError, UsageError
from tests.http.serving import Running, connected, opened, running


class Watch:
    """What the generator of a test has gone through."""

    def __init__(self) -> None:
        self.begun, self.closed = threading.Event(), threading.Event()


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        time.sleep(0.005)


@contextmanager
def with_routes(
    home: Path, add: Callable[[FastAPI], None], **settings: object
) -> Iterator[Running]:
    with opened(home, None, **settings) as service:
        app = create_app(service)
        add(app)
        with running(service, app) as server:
            yield server


def test_events_come_as_they_are_made_and_end(home: Path) -> None:
    go_on = threading.Event()

    async def source() -> AsyncGenerator[ServerEvent]:
        yield ServerEvent.of({"a": "蜜\n2"}, "first")
        while not go_on.is_set():
            await asyncio.sleep(0.005)
        yield ServerEvent("[DONE]")

    def add(app: FastAPI) -> None:
        @app.get("/test")
        async def route() -> Response:
            return events(source())

    with with_routes(home, add) as server, httpx.stream("GET", f"{server.url}/test") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.iter_lines()
        assert next(lines) == "event: first"
        assert next(lines) == 'data: {"a":"蜜\\n2"}'
        go_on.set()
        assert [line for line in lines if line] == ["data: [DONE]"]


def test_a_client_that_leaves_closes_the_generator_and_frees_its_slot(home: Path) -> None:
    watch = Watch()

    async def source() -> AsyncGenerator[ServerEvent]:
        try:
            yield ServerEvent("1")
            watch.begun.set()
            await asyncio.sleep(60)
        finally:
            watch.closed.set()

    def add(app: FastAPI) -> None:
        @app.get("/test")
        async def route(slot: Slot) -> Response:
            return events(source())

    with with_routes(home, add, concurrency=1, queue=0) as server:
        with httpx.stream("GET", f"{server.url}/test") as response:
            lines = response.iter_lines()  # let go, it closes the response
            next(lines)
            assert watch.begun.wait(5)
            assert server.service.gate.running == 1
            refused = httpx.get(f"{server.url}/test")
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) >= 1
        assert watch.closed.wait(5)
        wait_until(lambda: not server.service.gate.running)


def test_a_client_that_does_not_read_keeps_no_slot(home: Path) -> None:
    watch = Watch()

    async def source() -> AsyncGenerator[ServerEvent]:
        try:
            while True:
                yield ServerEvent("x" * 100_000)
        finally:
            watch.closed.set()

    def add(app: FastAPI) -> None:
        @app.get("/test")
        async def route(slot: Slot) -> Response:
            return events(source(), patience=0.2)

    with with_routes(home, add) as server, connected(server) as connection:
        connection.sendall(b"GET /test HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert watch.closed.wait(10)
        wait_until(lambda: not server.service.gate.running)


def test_a_client_that_leaves_waits_for_no_slot(home: Path) -> None:
    def add(app: FastAPI) -> None:
        @app.post("/test")
        async def route(slot: Slot, body: dict[str, int]) -> int:
            return body["a"]

    with with_routes(home, add, concurrency=1, queue_seconds=60) as server:
        gate = server.service.gate
        gate._running["other"] = 1
        with connected(server) as connection:
            connection.sendall(
                b"POST /test HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                b'Content-Length: 7\r\n\r\n{"a":7}'
            )
            wait_until(lambda: gate.waiting == 1)
        wait_until(lambda: gate.waiting == 0)
        del gate._running["other"]
        assert httpx.post(f"{server.url}/test", json={"a": 7}).json() == 7
        wait_until(lambda: gate.running == 0)


def test_a_slot_is_held_until_the_stream_has_ended(home: Path) -> None:
    def add(app: FastAPI) -> None:
        @app.get("/test")
        async def route(service: ServiceOf, slot: Slot) -> Response:
            async def source() -> AsyncGenerator[ServerEvent]:
                for _ in range(3):
                    yield ServerEvent(str(service.gate.running))

            return events(source())

    with with_routes(home, add) as server:
        assert httpx.get(f"{server.url}/test").text == "data: 1\n\n" * 3
        wait_until(lambda: not server.service.gate.running)


def test_silence_is_filled(home: Path) -> None:
    async def source() -> AsyncGenerator[ServerEvent]:
        await asyncio.sleep(0.2)
        yield ServerEvent("x")

    def add(app: FastAPI) -> None:
        @app.get("/test")
        async def route() -> Response:
            return events(source(), keep_alive=0.05)

    with with_routes(home, add) as server:
        text = httpx.get(f"{server.url}/test").text
        assert text.startswith(": alive\n\n")
        assert text.endswith("data: x\n\n")


@pytest.mark.parametrize("first", [True, False])
def test_an_error_has_its_status_as_long_as_nothing_was_sent(home: Path, first: bool) -> None:
    async def source() -> AsyncGenerator[ServerEvent]:
        if not first:
            yield ServerEvent("x")
        raise EndpointError("The model is away.")

    def add(app: FastAPI) -> None:
        @app.get("/test")
        async def route() -> Response:
            return events(source())

    with with_routes(home, add) as server:
        response = httpx.get(f"{server.url}/test")
    if first:
        assert response.status_code == 503
        assert response.json()["error"]["message"] == "The model is away."
    else:
        assert response.status_code == 200
        _, failed, rest = response.text.split("\n\n")
        assert rest == ""
        name, data = failed.split("\n")
        assert name == "event: error"
        assert json.loads(data.removeprefix("data: "))["error"]["code"] == "model_unavailable"


def test_a_mistake_of_ours_ends_the_stream_without_its_text(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def source() -> AsyncGenerator[ServerEvent]:
        raise KeyError("canary-in-a-message")
        yield ServerEvent("x")

    def add(app: FastAPI) -> None:
        @app.get("/test")
        async def route() -> Response:
            return events(source())

    with with_routes(home, add) as server:
        response = httpx.get(f"{server.url}/test")
    assert response.status_code == 500
    assert "canary" not in response.text
    (record,) = [r for r in caplog.records if r.getMessage() == "mistake"]
    assert record.__dict__["fields"]["kind"] == "KeyError"
    assert "canary" not in str(record.__dict__["fields"])


def test_work_for_a_client_that_leaves_is_cancelled(home: Path) -> None:
    watch = Watch()

    async def work() -> str:
        watch.begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            watch.closed.set()
        return ""

    def add(app: FastAPI) -> None:
        @app.post("/test")
        async def route(request: Request, caller: CallerOf, slot: Slot) -> str:
            return await attended(request, work())

    with with_routes(home, add) as server:
        with connected(server) as connection:
            connection.sendall(b"POST /test HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert watch.begun.wait(10)
        assert watch.closed.wait(10)


def test_work_brings_its_result_or_its_error(home: Path) -> None:
    async def work(fail: bool) -> str:
        await asyncio.sleep(0)
        if fail:
            raise UsageError("Not so.")
        return "done"

    def add(app: FastAPI) -> None:
        @app.post("/test")
        async def route(request: Request, fail: bool) -> str:
            return await attended(request, work(fail))

    with with_routes(home, add) as server:
        assert httpx.post(f"{server.url}/test?fail=0").json() == "done"
        failed = httpx.post(f"{server.url}/test?fail=1")
        assert (failed.status_code, failed.json()["error"]["message"]) == (400, "Not so.")


@given(st.text(), st.sampled_from(["", "delta", "error"]))
def test_any_data_comes_back_as_it_was(data: str, name: str) -> None:
    """Read as the standard says: lines, fields, an empty line ends the event."""
    raw = ServerEvent.of(data, name).encode().decode()
    assert raw.endswith("\n\n")
    assert "\r" not in raw
    fields = [line.split(": ", 1) for line in raw[:-2].split("\n")]
    assert json.loads("\n".join(value for field, value in fields if field == "data")) == data
    assert [value for field, value in fields if field == "event"] == ([name] if name else [])
