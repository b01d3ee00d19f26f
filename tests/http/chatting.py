"""A chat server for the tests of the doors: it quotes, it acts as an agent, it can be slowed down,
and it notices when whoever asked leaves."""

import json
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


def quoting(body: Body) -> str:
    """The longest sentence of the first passage, with its number; «Yes» to every check."""
    messages = body["messages"]
    if len(messages) > 2 or body.get("max_tokens", 512) <= 4:
        return "Yes"
    passage = messages[-1]["content"].partition("\n[1] ")[2].partition("\n")[2]
    sentences = re.split(r"(?<=[.。])\s*|\n", passage.partition("\n</")[0])
    return max(sentences, key=len) + " [1]"


@dataclass
class ChatServer:
    """How the server answers, and what it was asked.

    ``reply`` makes the text from the body of the request. Streams send it in words, ``pause``
    seconds apart; while ``going`` is cleared they stop after the first word, and calls of tools
    do not come. ``left`` is set when
    somebody closes the connection before the end, ``open`` counts the streams that are being sent.
    ``message`` replaces the whole message, for calls of tools; its ``finish`` says why it ends.
    ``status`` above 200 fails.
    """

    url: str = ""
    reply: Callable[[Body], str] = quoting
    message: Callable[[Body], Body | None] = lambda _: None
    pause: float = 0.0
    status: int = 200
    going: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    requests: list[Body] = field(default_factory=list)
    open: int = 0


def call(name: str, /, **arguments: object) -> Body:
    function = {"name": name, "arguments": json.dumps(arguments)}
    calls = [{"id": "call_1", "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def say(text: str) -> Body:
    return {"role": "assistant", "content": text}


def acting(*moves: Body) -> Callable[[Body], Body | None]:
    """A model that can call tools, and makes these moves."""

    def message(body: Body) -> Body | None:
        tools = [tool["function"]["name"] for tool in body.get("tools") or ()]
        if "add_numbers" in tools:  # whether it can call tools
            return call("add_numbers", numbers=[20.5, 22, 7])
        if not tools:
            return None
        done = [message for message in body["messages"] if message["role"] == "tool"]
        return moves[min(len(done), len(moves) - 1)]

    return message


GOAL = "What does the waggle run point to?"
NOTE = {"name": "dance", "text": "It points to the flowers."}
SEARCH, ANSWER = call("search_documents", query="waggle run"), say("It points to the flowers [1].")
WRITE = call("write_note", **NOTE)


class _Handler(BaseHTTPRequestHandler):
    script: ChatServer

    def do_GET(self) -> None:
        self._send({"object": "list", "data": [{"id": "scripted", "max_model_len": 8192}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions":  # as a server that cannot count tokens
            self.send_error(404)
            return
        if body.get("logprobs"):
            self._send({"detail": "no logprobs here"}, 400)
            return
        self.script.requests.append(body)
        if self.script.status > 200:
            self._send({"error": {"message": "scripted failure"}}, self.script.status)
            return
        acted = self.script.message(body)
        message = acted or {"role": "assistant", "content": self.script.reply(body)}
        if body.get("stream"):
            self._stream(message)
            return
        try:
            if acted:
                self._wait()
            self._send(_whole(message))
        except ConnectionError:
            self.script.left.set()

    def _send(self, value: object, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, message: Body) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.script.open += 1
        try:
            for piece in _pieces(message):
                self._event(piece)
                self._wait()
            self.wfile.write(b"data: [DONE]\n\n")
        except ConnectionError:
            self.script.left.set()
        finally:
            self.script.open -= 1

    def _event(self, value: object) -> None:
        self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
        self.wfile.flush()

    def _wait(self) -> None:
        """Until it may go on. Raises `ConnectionError` where the client has left meanwhile."""
        until = time.monotonic() + self.script.pause
        while time.monotonic() < until or not self.script.going.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.01)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise ConnectionError

    def log_message(self, *_: object) -> None:
        pass


def _chunk(delta: Body, finish: str | None = None) -> Body:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
            "choices": [choice]}  # fmt: skip


def _pieces(message: Body) -> Iterator[Body]:
    calls = [{"index": i, **call} for i, call in enumerate(message.get("tool_calls", ()))]
    words = re.findall(r"\S*\s*", message.get("content") or "")
    yield from (_chunk({"role": "assistant", "content": word}) for word in words if word)
    if calls:
        yield _chunk({"role": "assistant", "tool_calls": calls})
    yield _chunk({}, message.get("finish") or ("tool_calls" if calls else "stop"))
    yield {**_chunk({}), "choices": [], "usage": _USAGE}


_USAGE = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}


def _whole(message: Body) -> Body:
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "scripted",
            "choices": [choice], "usage": _USAGE}  # fmt: skip


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


@contextmanager
def chatting() -> Iterator[ChatServer]:
    """A server on the loopback, in a thread of its own."""
    script = ChatServer()
    script.going.set()
    handler = type("Handler", (_Handler,), {"script": script})
    with _Server(("127.0.0.1", 0), handler) as httpd:
        script.url = f"http://127.0.0.1:{httpd.server_port}/v1"
        thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield script
        finally:
            script.going.set()
            httpd.shutdown()
            thread.join()
