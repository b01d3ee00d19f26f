"""Connections: those above the limit are told so, those that say nothing are closed."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.http.serving import Running, opened, running

MOST = 3


@pytest.fixture
def server(home: Path) -> Iterator[Running]:
    """A service that has few connections."""
    with (
        opened(home, None, connections=MOST, read_seconds=2.0) as service,
        running(service) as server,
    ):
        yield server


def silent(server: Running) -> socket.socket:
    parts = urlsplit(server.url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), 10)


def test_above_the_limit_requests_are_refused_and_the_service_still_lives(server: Running) -> None:
    with ExitStack() as open_ones:
        for _ in range(MOST):
            open_ones.enter_context(silent(server))
        refused = httpx.get(f"{server.url}/v1/models")
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) >= 1
        assert refused.headers["Connection"] == "close"
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert httpx.get(f"{server.url}/healthz").status_code == 200
    while httpx.get(f"{server.url}/v1/models").status_code == 429:
        pass  # until the service knows that they are closed
    assert httpx.get(f"{server.url}/v1/models").status_code == 200


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: local"])
def test_a_connection_without_a_whole_request_is_closed(server: Running, sent: bytes) -> None:
    with silent(server) as connection:
        connection.sendall(sent)
        assert connection.recv(1) == b""


def test_a_connection_that_asks_is_kept(server: Running) -> None:
    with httpx.Client(base_url=server.url) as client:
        for _ in range(2):
            assert client.get("/healthz").status_code == 200


def test_where_there_is_no_place_a_request_is_refused_before_it_is_read(home: Path) -> None:
    with opened(home, None, queue=0, concurrency=1) as service, running(service) as server:
        service.gate._running["other"] += 1
        refused = httpx.post(f"{server.url}/v1/chat/completions", content=b"no JSON")
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) >= 1
        assert httpx.get(f"{server.url}/v1/models").status_code == 200
        service.gate._running.clear()
        read = httpx.post(f"{server.url}/v1/chat/completions", content=b"no JSON")
        assert read.status_code == 400
