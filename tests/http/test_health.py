"""Whether the service says the truth about itself."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from agents.doors.service import Service
from agents.http.app import create_app
from agents.http.health import examine
from tests.http.chatting import ChatServer, chatting
from tests.http.serving import opened


def test_it_lives_and_can_answer(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "ready": True, "ending": False, "storage": "ok", "embedder": "ok", "chat": "ok"
    }  # fmt: skip
    assert response.headers["cache-control"] == "no-store"


def test_without_a_chat_model_it_is_not_ready(home: Path) -> None:
    with (
        opened(home, None) as service,
        TestClient(create_app(service), base_url="http://127.0.0.1:8400") as client,
    ):
        response = client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["chat"] == "missing"
        assert client.get("/healthz").status_code == 200


def test_a_model_that_went_away_is_seen(home: Path) -> None:
    with chatting() as chat_server, opened(home, chat_server.url) as service:
        assert examine(service).ready
        url = chat_server.url
    with opened(home, url) as service:
        found = examine(service)
    assert (found.ready, found.chat, found.embedder) == (False, "failed", "ok")


def test_a_disk_that_cannot_be_written_is_seen(
    service: Service, chat_server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert examine(service).storage == "failed"


def test_it_is_asked_often_and_looks_seldom(client: TestClient, service: Service) -> None:
    looks: list[int] = []
    real = service.shelf.embedder()

    class Counting:
        def embed_query(self, text: str) -> list[float]:
            looks.append(1)
            return real.embed_query(text)

    service.shelf._embedder._made = Counting()  # type: ignore[assignment]
    codes = {client.get("/readyz").status_code for _ in range(20)}
    assert codes == {200}
    assert 1 <= len(looks) <= 3


def test_an_ending_service_says_so_at_once(client: TestClient, service: Service) -> None:
    assert client.get("/readyz").status_code == 200
    service.ending.set()
    assert client.get("/readyz").json()["ending"] is True


def test_the_routes_are_listed_without_anything_from_elsewhere(client: TestClient) -> None:
    response = client.get("/docs")
    assert response.status_code == 200
    for path in client.get("/openapi.json").json()["paths"]:
        assert f"</span>{path}</code>" in response.text
    assert "<script" not in response.text
    assert "http" not in response.text.replace("http-equiv", "").partition("<h1>")[0]
    assert "default-src 'none'" in response.headers["content-security-policy"]


def test_a_worker_that_ended_is_seen(service: Service) -> None:
    assert examine(service).storage == "ok"
    service.uploads._worker.stop()
    assert examine(service).storage == "failed"
