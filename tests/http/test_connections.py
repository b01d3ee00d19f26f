"""Connections: those above the limit are told so, those that say nothing are closed."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
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
        opened(home, None, connections=MOST, read_seconds=60.0) as service,
        running(service) as server,
    ):
        yield server


@pytest.fixture
def impatient(home: Path) -> Iterator[Running]:
    """A service that waits for a request for two seconds."""
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
        figures = httpx.get(f"{server.url}/metrics").text
        assert 'waggle_requests_total{route="unread",status="429"} 1.0' in figures
    end = time.monotonic() + 30
    while httpx.get(f"{server.url}/v1/models").status_code == 429:
        assert time.monotonic() < end  # until the service knows that they are closed
    assert httpx.get(f"{server.url}/v1/models").status_code == 200


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: local"])
def test_a_connection_without_a_whole_request_is_closed(impatient: Running, sent: bytes) -> None:
    with silent(impatient) as connection:
        connection.sendall(sent)
        assert connection.recv(1) == b""


def probed(server: Running, open_ones: ExitStack) -> tuple[socket.socket, bytes]:
    """A connection on which a probe of health was answered, and the answer."""
    connection = open_ones.enter_context(silent(server))
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while not answer.endswith(b'{"status":"ok"}'):
        part = connection.recv(9999)
        assert part
        answer += part
    return connection, answer.lower()


def test_a_second_request_that_does_not_end_holds_no_connection(impatient: Running) -> None:
    with ExitStack() as open_ones:
        connection, answer = probed(impatient, open_ones)
        assert b"connection: close" not in answer
        connection.sendall(b"GET /heal")
        assert connection.recv(1) == b""


def test_a_body_that_does_not_end_holds_no_connection(impatient: Running) -> None:
    with silent(impatient) as connection:
        connection.sendall(
            b"POST /nothing HTTP/1.1\r\nHost: elsewhere\r\nContent-Length: 99\r\n\r\n"
        )
        assert connection.recv(9999).startswith(b"HTTP/1.1 421 ")
        connection.sendall(b"a")
        while connection.recv(9999):
            pass


def test_bytes_one_by_one_give_no_more_time(impatient: Running) -> None:
    with ExitStack() as open_ones:
        connection, _ = probed(impatient, open_ones)
        begun = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() < begun + 8:
                connection.sendall(b"a")
                time.sleep(0.1)
        assert time.monotonic() < begun + 8


def test_the_time_for_a_request_begins_with_it(impatient: Running) -> None:
    with ExitStack() as open_ones:
        connection, _ = probed(impatient, open_ones)
        time.sleep(1.9)
        connection.sendall(b"GET /healthz HT")
        time.sleep(0.3)
        connection.sendall(b"TP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(9999).startswith(b"HTTP/1.1 200 ")


def test_above_the_limit_a_probe_is_answered_and_its_connection_closed(server: Running) -> None:
    with ExitStack() as open_ones:
        for _ in range(MOST):
            open_ones.enter_context(silent(server))
        connection, answer = probed(server, open_ones)
        assert b"connection: close" in answer
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
