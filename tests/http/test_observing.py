"""What is seen from outside: log lines, figures, audit; and what is in none of them."""

import asyncio
import json
import logging
import stat
import threading
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from agents.doors.audit import Audit
from agents.doors.rights import LOCAL
from agents.doors.service import Service
from agents.http.app import create_app
from agents.http.observing import JsonLines
from indexes.errors import DamagedError
from tests.http.chatting import ChatServer
from tests.http.serving import fill_home, opened

CANARY = "canary-7f3a"


def lines_of(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    formatter = JsonLines()
    ours = [r for r in caplog.records if r.name.startswith("waggle")]
    return [json.loads(formatter.format(record)) for record in ours]


def audit_of(home: Path, log: str = "audit") -> list[dict[str, str]]:
    return [json.loads(line) for line in (home / f"{log}.jsonl").read_text("utf-8").splitlines()]


def test_a_request_is_a_line_with_its_route_and_key(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "waggle")
    response = client.get("/v1/models/waggle%2Fnothing", headers={"X-Request-Id": "my-request-1"})
    assert response.headers["x-request-id"] == "my-request-1"
    (line,) = lines_of(caplog)
    assert line["event"] == "request"
    assert (line["id"], line["key"], line["method"]) == ("my-request-1", "local", "GET")
    assert (line["status"], line["level"]) == (404, "info")
    assert str(line["route"]).startswith("/v1/models/{")
    caplog.clear()
    client.get("/healthz")
    assert lines_of(caplog) == []


@pytest.mark.parametrize("given", ["short", "a b c d e f g", "x" * 65, "evil\tone-two-three"])
def test_an_id_that_is_none_is_not_taken(client: TestClient, given: str) -> None:
    response = client.get("/healthz", headers={"X-Request-Id": given})
    assert response.headers["x-request-id"].startswith("req_")


def test_no_secret_and_no_text_is_in_any_log(
    home: Path, chat_server: ChatServer, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Everything that can be sent holds the canary, or is the secret: header, path, query, body,
    name of a collection, answer of the model, also where requests fail."""
    caplog.set_level(logging.DEBUG)
    with opened(home, chat_server.url, require_key=True) as service:
        _, secret = service.keys.new("one", ["read", "write", "agent"])
        headers = {"Authorization": f"Bearer {secret}", "X-Canary": CANARY}
        with TestClient(create_app(service), base_url="http://127.0.0.1:8400") as client:
            chat_server.reply = lambda body: f"The round dance gives no direction {CANARY} [1]"
            messages = [{"role": "user", "content": f"What of the round dance {CANARY}?"}]
            for model in ("waggle/bees", f"waggle/{CANARY}"):
                client.post("/v1/chat/completions", headers=headers,
                            json={"model": model, "messages": messages})  # fmt: skip
            chat_server.status = 500
            client.post("/v1/chat/completions", headers=headers,
                        json={"model": "waggle/bees", "messages": messages})  # fmt: skip
            client.post("/v1/chat/completions", headers=headers, content=f'{{"{CANARY}'.encode())
            client.get(f"/{CANARY}?key={secret}", headers=headers)
            client.get(f"/v1/vector_stores/vs_{CANARY}?x={secret}", headers=headers)
            client.get("/v1/models", headers={"Authorization": f"Bearer {secret}{CANARY}"})
            client.get("/v1/models", headers={**headers, "Origin": f"https://{CANARY}.example"})
            client.get("/v1/models", headers={**headers, "Host": f"{CANARY}.example"})
            assert secret not in service.metrics.text().decode()
            assert CANARY not in service.metrics.text().decode()
    audit = "".join((home / f"{log}.jsonl").read_text("utf-8") for log in ("audit", "refused"))
    served = [r for r in caplog.records if not r.name.startswith("httpx2")]  # the test's client
    logged = "\n".join(map(JsonLines().format, served)) + "".join(capfd.readouterr())
    assert '"event": "request"' in logged
    assert secret.removeprefix("wgl_")[:16] not in logged + audit
    ours = [r for r in served if r.name.startswith(("waggle", "uvicorn"))]
    assert CANARY not in "\n".join(map(JsonLines().format, ours))
    assert CANARY not in audit


def test_a_mistake_is_logged_with_its_place_and_told_without_details(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/test")
    async def route() -> None:
        raise RuntimeError(CANARY)

    with TestClient(app, base_url="http://127.0.0.1:8400") as client:
        response = client.get("/test")
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal_error"
    assert CANARY not in response.text
    (mistake,) = [line for line in lines_of(caplog) if line["event"] == "mistake"]
    assert mistake["kind"] == "RuntimeError"
    assert "test_observing.py" in str(mistake["at"])
    assert CANARY not in json.dumps(mistake)


def test_figures_tell_of_requests_queue_and_stages(client: TestClient, service: Service) -> None:
    client.get("/v1/models")
    client.get("/nothing-here")
    text = client.get("/metrics").text
    assert 'waggle_requests_total{route="/v1/models",status="200"} 1.0' in text
    assert 'waggle_requests_total{route="other",status="404"} 1.0' in text
    assert 'waggle_request_seconds_count{route="/v1/models"} 1.0' in text
    assert "waggle_requests_under_way 1.0" in text  # this one
    assert "waggle_queue 0.0" in text

    async def with_slot() -> str:
        async with service.gate.slot(LOCAL):
            return service.metrics.text().decode()

    assert "waggle_answering 1.0" in asyncio.run(with_slot())
    assert "nothing-here" not in client.get("/metrics").text


def test_figures_are_for_keys_that_see_all(home: Path) -> None:
    with (
        opened(home, None, require_key=True) as service,
        TestClient(create_app(service), base_url="http://127.0.0.1:8400") as client,
    ):
        made = {
            "all": service.keys.new("all")[1],
            "bound": service.keys.new("bound", collections=["bees"])[1],
            "write": service.keys.new("write", ["write"])[1],
        }
        codes = {
            name: client.get("/metrics", headers={"Authorization": f"Bearer {secret}"}).status_code
            for name, secret in made.items()
        }
        assert codes == {"all": 200, "bound": 403, "write": 403}
        assert client.get("/metrics").status_code == 401


def test_who_is_refused_and_who_changes_something_is_written_down(home: Path) -> None:
    with opened(home, None, require_key=True) as service:
        app = create_app(service)

        @app.delete("/test/{vector_store_id}")
        async def route(vector_store_id: str) -> str:
            return vector_store_id

        with TestClient(app, base_url="http://127.0.0.1:8400") as client:
            record, secret = service.keys.new("one", ["write"])
            headers = {"Authorization": f"Bearer {secret}"}
            client.get("/metrics")
            client.get("/metrics", headers=headers)
            client.delete("/test/vs_bees", headers=headers)
            client.get("/healthz")
    lines = audit_of(home) + audit_of(home, "refused")
    told = [(line["key"], line["what"], line["outcome"], line["collection"]) for line in lines]
    assert told == [
        (record.id, "GET /metrics", "403", ""),
        (record.id, "DELETE /test/{vector_store_id}", "done", "bees"),
        ("", "GET /metrics", "401", ""),
    ]
    assert all(set(line) == {"when", "key", "what", "collection", "outcome"} for line in lines)
    assert stat.S_IMODE((home / "audit.jsonl").stat().st_mode) == 0o600


def test_the_audit_log_keeps_to_its_size(tmp_path: Path) -> None:
    audit = Audit(tmp_path, most_bytes=2000)
    for number in range(200):
        audit.write("key_1", f"n{number}", "done")
    files = sorted(tmp_path.glob("audit*.jsonl"))
    assert len(files) == 6
    assert all(file.stat().st_size <= 2000 for file in files)
    assert "n199" in (tmp_path / "audit.jsonl").read_text("utf-8")


def test_refusals_without_a_key_push_out_no_change(tmp_path: Path) -> None:
    audit = Audit(tmp_path, most_bytes=2000)
    audit.write("key_1", "DELETE /v1/vector_stores/{vector_store_id}", "done", "bees")
    for _ in range(200):
        audit.refused("", "GET /v1/models", "401")
    assert [line["outcome"] for line in audit_of(tmp_path)] == ["done"]
    files = sorted(tmp_path.glob("refused*.jsonl"))
    assert len(files) == 2
    assert all(file.stat().st_size <= 2000 for file in files)


def test_without_a_key_nothing_pushes_out_a_change(home: Path) -> None:
    with (
        opened(home, None, require_key=True) as service,
        TestClient(create_app(service), base_url="http://127.0.0.1:8400") as client,
    ):
        codes = [client.post(path).status_code for path in ("/", "/.well-known/x", "/v1/files")]
    assert codes == [405, 404, 401]
    assert len(audit_of(home, "refused")) == 3
    assert not (home / "audit.jsonl").exists()


def test_a_foreign_page_pushes_out_no_change(client: TestClient, home: Path) -> None:
    client.delete("/v1/files/file-0", headers={"Origin": "https://evil.example"})
    client.get("/healthz", headers={"Host": "evil.example"})
    assert [line["outcome"] for line in audit_of(home, "refused")] == ["403", "421"]
    assert not (home / "audit.jsonl").exists()


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    audit = Audit(tmp_path)

    def write() -> None:
        for _ in range(50):
            audit.write("key_1", "蜜" * 50, "done")

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(audit_of(tmp_path)) == 400


def spans_to(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("opentelemetry.trace.get_tracer", provider.get_tracer)
    return exporter


def test_a_request_is_a_span_below_that_of_its_caller(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = spans_to(monkeypatch)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with TestClient(create_app(service), base_url="http://127.0.0.1:8400") as client:
        client.get("/v1/models", headers={"traceparent": parent})
    (span,) = exporter.get_finished_spans()
    assert (span.name, span.kind) == ("GET /v1/models", SpanKind.SERVER)
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}" == parent[3:35]
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 200


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/chat/completions", {"model": "waggle/bees",
                               "messages": [{"role": "user", "content": "The round dance?"}]}),
     ("/v1/responses", {"model": "waggle/bees", "input": "The round dance?"}),
     ("/api/ask", {"collection": "bees", "question": "The round dance?"})],
)  # fmt: skip
def test_the_stages_of_an_answer_are_spans_below_its_request(
    service: Service, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, object],
    stream: bool,
) -> None:  # fmt: skip
    exporter = spans_to(monkeypatch)
    with TestClient(create_app(service), base_url="http://127.0.0.1:8400") as client:
        more = {} if path == "/api/ask" else {"stream": stream}
        assert client.post(path, json={**body, **more}).status_code == 200
    spans = {span.name: span for span in exporter.get_finished_spans()}
    request, answer = spans[f"POST {path}"], spans["invoke_workflow answer"]
    assert answer.parent is not None
    assert request.context is not None
    assert answer.context is not None
    assert answer.parent.span_id == request.context.span_id
    for stage in ("retrieval bees", "assess", "generate", "verify"):
        parent = spans[stage].parent
        assert parent is not None, stage
        assert parent.span_id == answer.context.span_id, stage


def test_figures_take_no_time_of_the_event_loop_and_bear_a_failure(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_home(home, "wasps")
    with (
        opened(home, None) as service,
        TestClient(create_app(service), base_url="http://127.0.0.1:8400") as client,
    ):
        bees, wasps = (service.shelf.collection(LOCAL, name) for name in ("bees", "wasps"))

        def fails() -> int:
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            raise DamagedError("damaged")

        monkeypatch.setattr(bees, "generation", fails)
        for one in (bees, wasps):
            monkeypatch.setattr(one, "status", None)  # it looks at every file
        text = client.get("/metrics").text
        generation = wasps.generation()
    assert f'waggle_index_generation{{collection="wasps"}} {generation:.1f}' in text
    assert 'collection="bees"' not in text
