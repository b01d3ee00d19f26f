"""No key is shown where the indexed files lie on the machine of the service."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from agents.doors.rights import RIGHTS
from agents.http.app import create_app
from indexes.collection import Collection
from tests.http.chatting import ANSWER, GOAL, SEARCH, ChatServer, acting, call
from tests.http.serving import CHINESE, ENGLISH, NAME, opened
from tests.http.test_tenants import MCP, requests
from tests.indexes.hash_embedder import HashEmbedder

CANARY = "zirkonkanari"
TABLE = "plant,grams\nlime,120\nacacia,80\n"
QUESTION = "What does the waggle run point to?"


class Remote:
    """Whoever has a key that is bound to the collection. ``shown`` holds all that it was sent."""

    def __init__(self, client: TestClient, app: FastAPI, secret: str, folder: Path) -> None:
        self.client, self.app, self.folder = client, app, folder
        self._headers = {"Authorization": f"Bearer {secret}"}
        self.shown: list[str] = []

    def ask(self, method: str, path: str, body: object = None, **query: str) -> Any:
        headers = {**self._headers, **(MCP if path.startswith("/mcp") else {})}
        got = self.client.request(method, path, json=body, headers=headers, params=query or None)
        said = f"{method} {path} {body}: {got.status_code} {got.headers} {got.text}"
        assert CANARY not in said
        self.shown.append(said)
        return got

    def told(self, method: str, path: str, body: object = None, **query: str) -> Any:
        got = self.ask(method, path, body, **query)
        assert got.status_code == 200, got.text
        return got.json()

    def mcp(self, method: str, **params: object) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        (line,) = [
            line for line in self.ask("POST", "/mcp", body).text.splitlines() if '"result"' in line
        ]
        return json.loads(line.removeprefix("data: "))["result"]

    def sources(self) -> list[str]:
        listed = self.told("GET", f"/api/collections/{NAME}/documents")
        return [document["source"] for document in listed["documents"]]

    def finds(self, source: str, quote: str = "", start: int = 0) -> bool:
        """Whether the document is there by this name, and holds the quote."""
        path, end = f"/api/collections/{NAME}/text", str(start + len(quote))
        got = self.ask("GET", path, source=source, start=str(start), end=end)
        return bool(got.status_code == 200 and got.json()["quote"] == quote)


@pytest.fixture
def remote(tmp_path: Path, chat_server: ChatServer) -> Iterator[Remote]:
    folder = tmp_path / CANARY / "deep"
    folder.mkdir(parents=True)
    for name, text in (("dance.md", ENGLISH), ("花期.txt", CHINESE), ("honey.csv", TABLE)):
        (folder / name).write_text(text, "utf-8")
    home = tmp_path / "home"
    with Collection.open(NAME, home=home, embedder=HashEmbedder()) as collection:
        collection.add([folder])
    with opened(home, chat_server.url, require_key=True) as service:
        _, secret = service.keys.new("remote", list(RIGHTS), [NAME], rate=0)
        app = create_app(service)
        with TestClient(app, base_url="http://127.0.0.1:8400") as client:
            yield Remote(client, app, secret, folder)


def test_no_route_shows_it(remote: Remote, chat_server: ChatServer) -> None:
    chat_server.message = acting(SEARCH, ANSWER)
    every = list(requests(remote.app.openapi(), [NAME]))
    for method, path, body in sorted(every, key=lambda one: one[0] == "DELETE"):
        remote.ask(method, path, body)
    reached = {said.split(" ")[1] for said in remote.shown if ": 200 " in said and "doc-" in said}
    assert {
        "/v1/chat/completions", "/v1/responses", f"/api/collections/{NAME}/documents", "/mcp",
        f"/v1/vector_stores/vs_{NAME}/files", f"/v1/vector_stores/vs_{NAME}/search", "/api/ask",
        "/api/agent/runs",
    } <= reached  # fmt: skip


def test_what_is_cited_is_found(remote: Remote) -> None:
    asked = {"model": f"waggle/{NAME}", "messages": [{"role": "user", "content": QUESTION}]}
    (choice,) = remote.told("POST", "/v1/chat/completions", asked)["choices"]
    assert choice["message"]["annotations"]
    streamed = remote.ask("POST", "/v1/chat/completions", {**asked, "stream": True})
    assert "doc-" in streamed.text
    tool: Any = {"type": "file_search", "vector_store_ids": [f"vs_{NAME}"]}
    body: Any = {"model": f"waggle/{NAME}", "input": QUESTION, "tools": [tool],
            "include": ["file_search_call.results"]}  # fmt: skip
    search, message = remote.told("POST", "/v1/responses", body)["output"]
    cited = [*choice["message"]["annotations"], *message["content"][0]["annotations"]]
    for one in cited:
        assert one["filename"] == "dance.md"
        assert remote.finds(one["source"], one["quote"], one["start"])
    files = f"/v1/vector_stores/vs_{NAME}/files"
    for file in {one["file_id"] for one in (*cited, *search["results"])}:
        assert remote.told("GET", f"{files}/{file}")["source"] in remote.sources()
        assert remote.told("GET", f"{files}/{file}/content")["data"][0]["text"]
    assert "doc-" in remote.ask("POST", "/v1/responses", {**body, "stream": True}).text
    body = {"collection": NAME, "question": QUESTION, "candidates": 2}
    assert "doc-" in remote.ask("POST", "/api/ask", body).text
    counted = {"collection": NAME, "question": "Which documents mention the round dance?"}
    assert "dance.md" in remote.ask("POST", "/api/ask", counted).text


def test_an_agent_does_not_see_it(remote: Remote, chat_server: ChatServer) -> None:
    chat_server.message = acting(
        SEARCH, call("list_documents"), call("read_document", source="dance.md"),
        call("read_document", source="unknown.md"), call("read_document", source="/"),
        call("list_documents", where='source like "/*"'), call("list_tables", name=""),
        call("query_table", sql="SELECT sum(grams) FROM honey"), ANSWER,
    )  # fmt: skip
    body = {"collection": NAME, "goal": GOAL, "tools": [
        "search_documents", "read_document", "list_documents", "list_tables", "query_table",
    ]}  # fmt: skip
    run = remote.told("POST", "/api/agent/runs", {**body, "stream": False})
    assert run["status"] == "done"
    assert "| 200 |" in json.dumps(run["steps"])
    assert all(remote.finds(one["source"], one["quote"], one["start"]) for one in run["citations"])
    assert run["citations"]
    assert remote.told("GET", f"/api/agent/runs/{run['run_id']}") == run
    assert "ended" in remote.ask("POST", "/api/agent/runs", body).text
    asked = {"model": f"waggle/{NAME}/agent", "messages": [{"role": "user", "content": GOAL}]}
    assert "doc-" in remote.ask("POST", "/v1/chat/completions", {**asked, "stream": True}).text
    assert CANARY not in json.dumps(chat_server.requests, ensure_ascii=False)


def test_an_assistant_fetches_what_it_finds(remote: Remote) -> None:
    found = remote.mcp("tools/call", name="search", arguments={"query": "waggle run"})
    for one in found["structuredContent"]["results"]:
        fetched = remote.mcp("tools/call", name="fetch", arguments={"id": one["id"]})
        assert fetched["structuredContent"]["metadata"]["source"] in remote.sources()
        assert one["text"] in fetched["structuredContent"]["text"]
    for one in (resources := remote.mcp("resources/list")["resources"]):
        assert remote.mcp("resources/read", uri=one["uri"])["contents"][0]["text"]
    assert len(resources) == 3
    completed = remote.mcp(
        "completion/complete", argument={"name": "source", "value": "dance"},
        ref={"type": "ref/resource", "uri": "waggle://{collection}/{source}"},
        context={"arguments": {"collection": NAME}},
    )  # fmt: skip
    assert len(completed["completion"]["values"]) == 1
    asked = remote.mcp("tools/call", name="ask", arguments={"question": QUESTION})
    assert "doc-" in json.dumps(asked)


def test_it_cannot_be_guessed(remote: Remote) -> None:
    for guess in ("/", str(remote.folder), str(remote.folder / "dance.md"), "deep/dance.md"):
        got = remote.client.get(
            f"/api/collections/{NAME}/text", params={"source": guess}, headers=remote._headers
        )
        assert got.status_code == 404
    search = f"/v1/vector_stores/vs_{NAME}/search"
    for guess in (str(remote.folder / "dance.md"), "deep/dance.md"):
        wrong = {"type": "eq", "key": "source", "value": guess}
        got = remote.client.post(
            search, json={"query": "dance", "filters": wrong}, headers=remote._headers
        )
        assert got.json()["data"] == []
    right = {"type": "eq", "key": "source", "value": remote.sources()[0]}
    assert remote.told("POST", search, {"query": "dance", "filters": right})["data"]


def test_documents_are_removed_by_name_and_by_id(remote: Remote) -> None:
    table, dance, flowers = sorted(remote.sources(), key=lambda one: one.rpartition("/")[2][::-1])
    receipt = remote.told("DELETE", f"/api/collections/{NAME}/documents", source=dance)
    assert [one["source"] for one in receipt["documents"]] == [dance]
    file_id = flowers.partition("/")[0]
    remote.told("DELETE", f"/v1/vector_stores/vs_{NAME}/files/{file_id}")
    assert remote.sources() == [table]
    assert not remote.finds(dance)


def test_without_a_key_paths_are_shown(client: TestClient, filled_home: Path) -> None:
    listed = client.get(f"/api/collections/{NAME}/documents").json()["documents"]
    assert str(filled_home / "documents" / NAME / "dance.md") in {one["source"] for one in listed}
