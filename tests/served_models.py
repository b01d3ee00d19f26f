"""A server with an embedding model and a reranker, over a real socket."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import numpy as np

from tests.indexes.hash_embedder import HashEmbedder


class ModelServer(ThreadingHTTPServer):
    """Serves ``hash`` for embedding and ``words`` for reranking: passages that share more words
    with the question are better. ``window`` is what it says that a model reads; ``lacks`` are
    routes that it does not have; ``failures`` are statuses that it answers with first."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.window: int | None = 128
        self.lacks: tuple[str, ...] = ()
        self.failures: list[int] = []
        self.garbage: Any = None
        self.asked: list[tuple[str, dict[str, Any], str]] = []

    @property
    def url(self) -> str:
        """The root of OpenAI's protocol."""
        return f"http://127.0.0.1:{self.server_port}/v1"


@contextmanager
def running() -> Iterator[ModelServer]:
    """A server that answers until the end of the block."""
    with ModelServer() as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    server: ModelServer

    def do_GET(self) -> None:
        entry = {"id": "hash", "object": "model", "max_model_len": self.server.window}
        self._send(200, {"object": "list", "data": [entry]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body, self.headers.get("Authorization", "")))
        if self.server.failures:
            self._send(self.server.failures.pop(0), {"error": {"message": "busy"}})
        elif self.path in self.server.lacks:
            self._send(404, {"detail": "Not Found"})
        elif self.server.garbage is not None:
            self._send(200, self.server.garbage)
        else:
            self._send(200, _answer(self.path, body))

    def _send(self, status: int, content: Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def _answer(path: str, body: dict[str, Any]) -> dict[str, Any]:
    if path == "/v1/embeddings":
        rows = 3 * HashEmbedder().encode(body["input"])
        rows[~rows.any(axis=1), 0] = 1  # no real model answers with zeros
        entries = [
            {"object": "embedding", "index": n, "embedding": _encoded(row, body)}
            for n, row in enumerate(rows)
        ]
        return {"object": "list", "data": entries[::-1], "model": body["model"]}
    if path == "/v1/rerank":
        scores = [_shared(body["query"], text) for text in body["documents"]]
        results = [{"index": n, "relevance_score": score} for n, score in enumerate(scores)]
        return {"results": sorted(results, key=lambda result: -float(result["relevance_score"]))}
    scores = [_shared(body["text_1"], text) for text in body["text_2"]]
    return {"data": [{"index": n, "score": score} for n, score in enumerate(scores)]}


def _encoded(row: Any, body: dict[str, Any]) -> Any:
    if body.get("encoding_format") == "base64":
        return base64.b64encode(np.asarray(row, dtype="<f4").tobytes()).decode()
    return [float(number) for number in row]


def _shared(question: str, text: str) -> float:
    return float(len(set(question.lower().split()) & set(text.lower().split())))
