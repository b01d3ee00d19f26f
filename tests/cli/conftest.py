"""The command itself, run in this process or in one of its own."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import cli

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("waggle-dance.md", "蜜与花期.txt", "honeys.csv", "letter-to-a-neighbour.eml")


@dataclass(frozen=True)
class Outcome:
    """What a command did: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on stdout."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


Command = Callable[..., Outcome]


@pytest.fixture
def waggle(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = cli.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def environment() -> Callable[[], dict[str, str]]:
    """Makes the environment of a command in a process of its own."""

    def make() -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}
        return {**kept, "WAGGLE_LANG": "en", "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1",
                "PYTHONPATH": str(ROOT), "COLUMNS": "100"}  # fmt: skip

    return make


@pytest.fixture
def process(environment: Callable[[], dict[str, str]], tmp_path: Path) -> Command:
    """Runs the command in a process of its own, as a user would, in an empty folder."""

    def run(*arguments: object, stdin: bytes = b"", **variables: str) -> Outcome:
        command = [sys.executable, "-m", "cli", *map(str, arguments)]
        done = subprocess.run(
            command, input=stdin, capture_output=True, cwd=tmp_path, timeout=120,
            env={**environment(), **variables},
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture(scope="session")
def library(
    tmp_path_factory: pytest.TempPathFactory, models_folder: Path, examples: Path
) -> tuple[Path, Path]:
    """A home whose default collection holds a few of the examples, and their folder. Read only."""
    folder = tmp_path_factory.mktemp("library")
    home, documents = folder / "home", folder / "documents"
    home.mkdir()
    documents.mkdir()
    (home / "models").symlink_to(models_folder)
    for name in DOCUMENTS:
        shutil.copy(examples / name, documents)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WAGGLE_LANG", "en")
        assert cli.run(["index", str(documents), "--home", str(home), "--quiet"]) == 0
    return home, documents


@pytest.fixture
def shelf(library: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the library's documents; commands use the library without being told."""
    home, documents = library
    monkeypatch.setenv("WAGGLE_HOME", str(home))
    return documents


@dataclass
class ChatServer:
    """An OpenAI-compatible server that streams ``draft`` and affirms every check with ``check``."""

    url: str = ""
    draft: str = ""
    check: str = "yes"
    requests: list[dict[str, Any]] = field(default_factory=list)

    def reply(self, body: dict[str, Any]) -> str:
        return self.draft if body.get("max_tokens", 512) > 4 else self.check


def _chunk(content: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
             "choices": [choice]}  # fmt: skip
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _message(content: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "scripted",
            "choices": [choice], "usage": usage}  # fmt: skip


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    script = ChatServer()

    class Handler(BaseHTTPRequestHandler):
        def send(self, body: bytes, kind: str = "application/json") -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.send(json.dumps({"object": "list", "data": [{"id": "scripted"}]}).encode())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/v1/chat/completions":  # as a server that cannot count tokens
                self.send_error(404)
                return
            script.requests.append(body)
            text = script.reply(body)
            if not body.get("stream"):
                self.send(json.dumps(_message(text)).encode())
                return
            pieces = [text[at : at + 9] for at in range(0, len(text), 9)]
            events = b"".join(map(_chunk, pieces)) + _chunk("", "stop") + b"data: [DONE]\n\n"
            self.send(events, "text/event-stream")

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{httpd.server_address[1]}/v1"
    threading.Thread(target=httpd.serve_forever, args=(0.05,), daemon=True).start()
    yield script
    httpd.shutdown()
    httpd.server_close()
