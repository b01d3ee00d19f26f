"""Who comes in: names of the service, web pages, keys, sizes of requests."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from agents.doors.origins import origin_of
from agents.doors.service import Service
from agents.http.app import create_app
from indexes.errors import UsageError
from tests.http.serving import Running, connected, opened, running

PAGE = "https://shop.example"


@contextlib.contextmanager
def door(home: Path, **settings: Any) -> Iterator[tuple[TestClient, Service]]:
    with (
        opened(home, None, **settings) as service,
        TestClient(create_app(service), base_url="http://127.0.0.1:8400") as client,
    ):
        yield client, service


def bearer(secret: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}", **more}


@pytest.mark.parametrize("host", ["127.0.0.1:8400", "localhost", "LOCALHOST.:1", "[::1]:8400"])
def test_the_loopback_s_names_are_ours(client: TestClient, host: str) -> None:
    assert client.get("/v1/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.0.9", ""]
)
@pytest.mark.parametrize("path", ["/v1/models", "/healthz", "/", "/mcp", "/nothing", "/metrics"])
def test_a_name_that_dns_may_point_here_is_refused_everywhere(
    client: TestClient, host: str, path: str
) -> None:
    response = client.get(path, headers={"Host": host})
    assert response.status_code == 421
    assert response.json()["error"]["code"] == "unknown_host"


@pytest.mark.parametrize(
    "settings", [{"hosts": "Waggle.example"}, {"public_url": "https://Waggle.example:8443/"}]
)
def test_names_of_the_settings_need_a_key(home: Path, settings: dict[str, str]) -> None:
    with door(home, **settings) as (client, service):
        named = {"Host": "waggle.example"}
        assert client.get("/v1/models", headers=named).status_code == 401
        _, secret = service.keys.new("one")
        assert client.get("/v1/models", headers=bearer(secret, **named)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9999", "x"])
def test_foreign_pages_are_refused(client: TestClient, method: str, origin: str) -> None:
    response = client.request(method, "/v1/models", headers={"Origin": origin})
    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers


def test_our_own_page_may_send_requests(client: TestClient) -> None:
    headers = {"Origin": "http://127.0.0.1:8400"}
    assert client.get("/v1/models", headers=headers).status_code == 200


def test_our_own_page_may_be_behind_a_proxy_that_changes_the_name(home: Path) -> None:
    with door(home, public_url="https://waggle.example") as (client, service):
        _, secret = service.keys.new("one")
        for page, status in (("https://waggle.example", 200), ("http://waggle.example", 403)):
            headers = bearer(secret, Origin=page)
            assert client.get("/v1/models", headers=headers).status_code == status


def test_a_page_of_the_settings_may_read_the_response(home: Path) -> None:
    with door(home, origins=PAGE) as (client, _):
        response = client.get("/v1/models", headers={"Origin": PAGE})
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == PAGE
        assert "Origin" in response.headers["vary"]
        assert "access-control-allow-credentials" not in response.headers


def test_a_page_of_a_key_may_use_that_key_alone(home: Path) -> None:
    with door(home, require_key=True) as (client, service):
        _, shop = service.keys.new("shop", origins=[PAGE])
        record, other = service.keys.new("other", origins=["https://other.example"])
        ask = {"Origin": PAGE, "Access-Control-Request-Method": "POST",
               "Access-Control-Request-Headers": "authorization, x-stainless-lang"}  # fmt: skip
        asked = client.options("/v1/chat/completions", headers=ask)
        assert asked.status_code == 204
        assert (
            asked.headers["access-control-allow-headers"] == ask["Access-Control-Request-Headers"]
        )
        origin = {"Origin": PAGE}
        allowed = client.get("/v1/models", headers=bearer(shop, **origin))
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == PAGE
        assert client.get("/v1/models", headers=bearer(other, **origin)).status_code == 403
        assert client.get("/v1/models", headers=origin).status_code == 403
        service.keys.revoke(record.id)
        gone = {**ask, "Origin": "https://other.example"}
        assert client.options("/v1/models", headers=gone).status_code == 403


def test_a_page_of_a_key_gets_no_more_than_its_key_where_none_is_needed(home: Path) -> None:
    with door(home) as (client, service):
        service.keys.new("shop", origins=[PAGE])
        assert client.get("/v1/models", headers={"Origin": PAGE}).status_code == 403


def test_where_a_key_is_needed_nothing_else_will_do(home: Path) -> None:
    with door(home, require_key=True) as (client, service):
        record, secret = service.keys.new("one")
        for headers in ({}, bearer("sk-foo"), bearer(secret[:-1]), {"Authorization": secret}):
            response = client.get("/v1/models", headers=headers)
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.json()["error"]["code"] == "invalid_api_key"
        assert client.get("/v1/models", headers=bearer(secret)).status_code == 200
        service.keys.revoke(record.id)
        assert client.get("/v1/models", headers=bearer(secret)).status_code == 401
        assert client.get("/healthz").status_code == 200


def test_on_the_loopback_any_text_is_a_key_but_one_of_ours_that_holds_no_more(
    client: TestClient, service: Service
) -> None:
    assert client.get("/v1/models", headers=bearer("sk-anything")).status_code == 200
    record, secret = service.keys.new("one")
    service.keys.revoke(record.id)
    assert client.get("/v1/models", headers=bearer(secret)).status_code == 401


def test_too_many_requests_a_minute_say_when_to_come_again(home: Path) -> None:
    with door(home, require_key=True, rate=2) as (client, service):
        headers = bearer(service.keys.new("one")[1])
        codes = [client.get("/v1/models", headers=headers).status_code for _ in range(3)]
        assert codes == [200, 200, 429]
        response = client.get("/v1/models", headers=headers)
        assert 1 <= int(response.headers["retry-after"]) <= 31
        assert response.json()["error"]["type"] == "rate_limit_error"
        assert client.get("/healthz", headers=headers).status_code == 200


def test_a_long_request_is_refused_before_it_is_read(home: Path) -> None:
    with door(home, body_mb=0.01) as (client, _):
        response = client.post("/v1/chat/completions", json={"model": "x" * 20_000})
        assert response.status_code == 413
        assert "0.01 MB" in response.json()["error"]["message"]


def test_the_bytes_count_and_not_what_the_request_says(home: Path) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 1000

    with opened(home, None, body_mb=0.01) as service, running(service) as server:
        response = _post_chunks(server, "/v1/chat/completions", pieces())
        assert b" 413 " in response.splitlines()[0]


def _post_chunks(server: Running, path: str, pieces: Iterator[bytes]) -> bytes:
    with connected(server) as connection:
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        return connection.recv(4096)


def test_a_body_that_does_not_come_is_not_waited_for(home: Path) -> None:
    with opened(home, None, read_seconds=0.1) as service, running(service) as server:
        began = time.monotonic()
        with connected(server) as connection:
            connection.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            )
            assert b" 408 " in connection.recv(4096).splitlines()[0]
        assert time.monotonic() - began < 4


def test_a_body_that_comes_drop_by_drop_is_not_waited_for(home: Path) -> None:
    with (
        opened(home, None, read_seconds=0.2) as service, running(service) as server,
        connected(server) as connection,
    ):  # fmt: skip
        began = time.monotonic()
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
        )
        connection.settimeout(0.05)
        answer = b""
        while not answer and time.monotonic() - began < 8:
            connection.sendall(b" ")
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(4096)
        assert b" 408 " in answer.splitlines()[0]
        assert time.monotonic() - began >= 2


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/ask", "/v1/files", "/mcp"])
def test_no_body_is_waited_for_without_a_key(home: Path, path: str) -> None:
    with (
        opened(home, None, require_key=True) as service, running(service) as server,
        connected(server) as connection,
    ):  # fmt: skip
        connection.settimeout(5)  # far less than a piece may take
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            "Content-Length: 100\r\n\r\n{".encode()
        )
        assert b" 401 " in connection.recv(4096).splitlines()[0]


def test_without_a_key_the_public_routes_are_there_and_no_others(home: Path) -> None:
    public = {"/", "/widget.js", "/favicon.ico", "/docs", "/openapi.json", "/assets/main.js",
              "/healthz", "/readyz"}  # fmt: skip
    with door(home, require_key=True) as (client, _):
        routes = client.get("/openapi.json").json()["paths"]
        for path in public:
            assert client.get(path).status_code == (503 if path == "/readyz" else 200), path
        for path, operations in routes.items():
            for method in operations:
                response = client.request(method, path)
                assert (response.status_code == 401) == (path not in public), (method, path)
        assert client.get("/.well-known/oauth-protected-resource").status_code == 404
        assert client.get("/mcp").status_code == 405
        assert client.get("/nothing").json()["error"]["code"] == "invalid_api_key"


@given(st.text(max_size=40) | st.from_regex(r"https?://[\w.:\[\]@*/-]{0,30}", fullmatch=True))
def test_an_origin_is_normal_or_refused(text: str) -> None:
    try:
        origin = origin_of(text)
    except UsageError:
        return
    assert origin_of(origin) == origin
    parts = urlsplit(origin)
    assert parts.scheme in ("http", "https")
    assert parts.hostname
    assert origin == f"{parts.scheme}://{parts.netloc}"
    assert "*" not in origin
    assert "@" not in origin
