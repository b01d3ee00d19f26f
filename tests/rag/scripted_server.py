"""An OpenAI-compatible server that answers what a test wrote, over a real socket."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Respond = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Script:
    """How the server answers each path, and what it was asked. Requests for log-probabilities are
    refused, and not counted, unless ``probabilities`` answers them."""

    probabilities: Respond | None = None
    url: str = ""
    routes: dict[str, Respond] = field(default_factory=dict)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    def models(self, *entries: object) -> None:
        self.routes["/v1/models"] = reply(200, {"object": "list", "data": list(entries)})

    def answers(self, respond: Respond) -> None:
        self.routes["/v1/chat/completions"] = respond


def reply(status: int, body: object, content_type: str = "application/json") -> Respond:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)

    return respond


def events(*chunks: object, end: str = "done") -> Respond:
    """A stream of server-sent events that ends well, breaks off, or hangs."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for chunk in chunks:
            line = chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode()
            data = b"data: " + line + b"\n\n"
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            handler.wfile.flush()
        if end == "done":
            handler.wfile.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        elif end == "hang":
            time.sleep(2)
        handler.close_connection = True

    return respond


def delta(**content: object) -> dict[str, object]:
    choice = {"index": 0, "delta": content, "finish_reason": None}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "choices": [choice]}


def whole(**message: object) -> dict[str, object]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return {"id": "1", "object": "chat.completion", "model": "m", "created": 1,
            "choices": [choice], "usage": usage}  # fmt: skip


@contextmanager
def scripted_server(port: int = 0) -> Iterator[Script]:
    """A server on the loopback, in a thread of its own."""
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            script.keys.append(self.headers.get("Authorization"))
            script.routes.get(self.path, reply(404, {"detail": "Not Found"}))(self)

        def do_GET(self) -> None:
            self.respond()

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not body.get("logprobs"):
                script.bodies.append(body)
                self.respond()
            elif script.probabilities is None:
                reply(400, {"detail": "no logprobs here"})(self)
            else:
                script.bodies.append(body)
                script.probabilities(self)

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:  # the client left, which is what some tests want
                self.close_connection = True

        def log_message(self, *arguments: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    httpd.daemon_threads = True
    script.url = f"http://127.0.0.1:{httpd.server_port}/v1"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield script
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
