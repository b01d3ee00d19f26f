"""What the tests share: the real embedding model, exported once, and collections to use it in."""

import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from indexes.collection import Collection
from indexes.embedding import LocalEmbedder, default_embedder

# How long an example takes says how busy the machine is.
settings.register_profile("waggle", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("waggle")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the person who runs the tests reaches them."""
    for name in ("WAGGLE_HOME", "WAGGLE_CHAT_URL", "WAGGLE_CHAT_MODEL", "WAGGLE_CHAT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WAGGLE_LANG", "en")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the exported embedding model lies: one export for all workers of a run."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder /= "models"
    with FileLock(folder.with_name("models.lock")):
        folder.mkdir(exist_ok=True)
        default_embedder(folder, threads=1).embed_query("export")
    return folder


@pytest.fixture(scope="session")
def embedder(models_folder: Path) -> LocalEmbedder:
    """all-MiniLM-L6-v2."""
    model = default_embedder(models_folder, threads=1)
    model.embed_query("ready")
    return model


@pytest.fixture
def collection(tmp_path: Path, embedder: LocalEmbedder) -> Iterator[Collection]:
    """An empty collection."""
    with Collection.open("test", home=tmp_path / "home", embedder=embedder) as opened:
        yield opened


@pytest.fixture
def home(tmp_path: Path, models_folder: Path) -> Path:
    """A home folder for commands, with the embedding model already exported."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "models").symlink_to(models_folder)
    return folder


@pytest.fixture(scope="session")
def examples() -> Path:
    """The example documents of the project."""
    return Path(__file__).resolve().parent.parent / "examples"


class _Extract(BaseHTTPRequestHandler):
    """A chat server that answers with the first sentence of the first passage, and says yes; as an
    agent it searches before."""

    def do_GET(self) -> None:
        self._send("application/json", json.dumps({"data": [{"id": "extract"}]}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions":  # as a server that cannot count tokens
            self.send_error(404)
            return
        if body.get("tools"):
            message = _acted(body["messages"], body["tools"][0]["function"]["name"])
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._send("application/json", json.dumps({"id": "1", "choices": [choice]}))
            return
        reply = _first_sentence(body["messages"][1]["content"])
        if len(body["messages"]) > 2:
            reply = "Yes"
        if not body.get("stream"):
            message = {"role": "assistant", "content": reply}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._send("application/json", json.dumps({"id": "1", "choices": [choice]}))
            return
        pieces = [
            {"id": "1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": piece}}]}
            for piece in reply.partition(" ")
        ]
        lines = [f"data: {json.dumps(piece)}\n\n" for piece in pieces]
        self._send("text/event-stream", "".join([*lines, "data: [DONE]\n\n"]))

    def _send(self, kind: str, text: str) -> None:
        data = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def _acted(messages: list[dict[str, str]], tool: str) -> dict[str, object]:
    """A search for the goal itself, then the longest sentence of what it found."""
    last = messages[-1]
    if last["role"] == "tool":
        sentences = re.split(r"(?<=[.。])\s|\n", last["content"].partition("[2] ")[0])
        return {"role": "assistant", "content": f"{max(sentences, key=len)} [1]"}
    arguments: dict[str, object] = {"query": last["content"]}
    if tool == "add_numbers":  # whether this model can call tools
        arguments = {"numbers": [20.5, 22, 7]}
    function = {"name": tool, "arguments": json.dumps(arguments)}
    call = {"id": f"call_{len(messages)}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _first_sentence(prompt: str) -> str:
    passage = prompt.partition("\n[1] ")[2].partition("\n")[2]
    return max(re.split(r"(?<=[.。])\s|\n", passage.partition("\n</")[0]), key=len) + " [1]"


@pytest.fixture
def chat_server() -> Iterator[str]:
    """The address of an OpenAI-compatible server that quotes its first passage."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Extract) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the slow tests as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: run it with make test-all"))
