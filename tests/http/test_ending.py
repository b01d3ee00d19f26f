"""How the service ends: it says so, lets nobody in, and finishes what was begun."""

import asyncio
import signal
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Response

from agents.doors.service import Service
from agents.http.app import create_app
from agents.http.depending import Slot
from agents.http.running import Server, address, bind, check_keys
from agents.http.sse import ServerEvent, events
from indexes.errors import UsageError
from tests.http.serving import opened


class Ending:
    """A server of the real kind on a thread, told to end as a signal would tell it."""

    def __init__(self, service: Service, app: FastAPI) -> None:
        self._listening = bind("127.0.0.1", 0)
        self.url = address(self._listening)
        self.server = Server(uvicorn.Config(app, log_config=None, lifespan="on"), service)
        self.server.config.timeout_graceful_shutdown = 1
        self.thread = threading.Thread(target=self.server.run, args=([self._listening],))

    def begin(self) -> None:
        self.thread.start()
        while not self.server.started:
            time.sleep(0.005)

    def signal(self) -> None:
        self.server.handle_exit(signal.SIGTERM, None)

    def end(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self._listening.close()


@contextmanager
def ending(home: Path, add: Callable[[FastAPI], None], **settings: object) -> Iterator[Ending]:
    with opened(home, None, **settings) as service:
        app = create_app(service)
        add(app)
        server = Ending(service, app)
        server.begin()
        try:
            yield server
        finally:
            server.end()


def test_a_stream_goes_on_to_its_end_and_nobody_new_is_let_in(home: Path) -> None:
    go_on = threading.Event()

    async def source() -> AsyncGenerator[ServerEvent]:
        yield ServerEvent("begun")
        while not go_on.is_set():
            await asyncio.sleep(0.005)
        yield ServerEvent("ended")

    def add(app: FastAPI) -> None:
        @app.get("/test")
        async def route(slot: Slot) -> Response:
            return events(source())

    with ending(home, add, drain_seconds=30) as server:
        with httpx.stream("GET", f"{server.url}/test") as response:
            lines = response.iter_lines()
            assert next(lines) == "data: begun"
            server.signal()
            said = httpx.get(f"{server.url}/readyz")
            assert (said.status_code, said.json()["ending"]) == (503, True)
            assert httpx.get(f"{server.url}/healthz").status_code == 200
            refused = httpx.get(f"{server.url}/test")
            assert refused.status_code == 429
            assert "about to end" in refused.json()["error"]["message"]
            assert server.thread.is_alive()
            go_on.set()
            assert "data: ended" in list(lines)
        server.thread.join(10)
        assert not server.thread.is_alive()


def test_what_takes_too_long_is_ended(home: Path) -> None:
    closed = threading.Event()

    async def source() -> AsyncGenerator[ServerEvent]:
        try:
            yield ServerEvent("begun")
            await asyncio.sleep(60)
        finally:
            closed.set()

    def add(app: FastAPI) -> None:
        @app.get("/test")
        async def route(slot: Slot) -> Response:
            return events(source())

    with (
        ending(home, add, drain_seconds=0.2) as server,
        httpx.stream("GET", f"{server.url}/test") as response,
    ):
        lines = response.iter_lines()
        assert next(lines) == "data: begun"
        server.signal()
        server.thread.join(20)
        assert not server.thread.is_alive()
        assert closed.is_set()


def test_without_work_it_ends_at_once(home: Path) -> None:
    with ending(home, lambda _: None, drain_seconds=60) as server:
        server.signal()
        server.thread.join(10)
        assert not server.thread.is_alive()


def test_a_taken_port_is_told(home: Path) -> None:
    taken = bind("127.0.0.1", 0)
    with pytest.raises(UsageError, match="Choose another"):
        bind("127.0.0.1", taken.getsockname()[1])
    taken.close()


@pytest.mark.parametrize(
    "settings",
    [{"host": "0.0.0.0"}, {"host": "::"}, {"hosts": "a.example"}, {"require_key": True}],
)
def test_nobody_serves_the_world_without_a_key(home: Path, settings: dict[str, object]) -> None:
    with opened(home, None, **settings) as service:
        with pytest.raises(UsageError, match="waggle serve --new-key NAME"):
            check_keys(service.keys, service.settings)
        record, _ = service.keys.new("one")
        check_keys(service.keys, service.settings)
        service.keys.revoke(record.id)
        with pytest.raises(UsageError):
            check_keys(service.keys, service.settings)


def test_the_loopback_needs_none(service: Service) -> None:
    check_keys(service.keys, service.settings)
