"""A model server whose replies are known beforehand, and that notes when it sent what.

``python -m benchmarks.load.stub --pace 0.02 --tokens 128`` speaks OpenAI's protocol. A streamed
answer copies whole sentences of the numbered passages in its prompt, each with the number of its
passage, until it has so many tokens (a word, or twelve characters of one), of which one is sent
every ``pace`` seconds, at times that a late one does not shift. Every other request is one of
Waggle's own about an answer: it gets «Yes», or the first words of the first passage where more than
a word is wanted, with log-probabilities where these are asked for, after as many times the pace as
the reply has tokens.

``PUT /pace/SECONDS`` sets another pace for answers to come. ``GET /seen`` tells of every
streamed answer whose question holds «(ref NAME)», in seconds of the system's monotonic clock: when
its request had come, when the last token of each sentence was sent, and when the client closed the
connection before the end.

It needs nothing but Python.
"""

import argparse
import asyncio
import json
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

MODEL: Final = "stub"
_CONTEXT = 32_768
_BACKLOG = 4096
_WORDS = 4
"""Of a reply that copies words."""
_SHORTEST = 25
"""Characters of a sentence that is worth copying."""
_PASSAGE = re.compile(r"\n\[(\d+)\] [^\n]*\n(.*?)\n</", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.。])\s+|\n+")
_TOKEN = re.compile(r"\s*\S{1,12}")
_REF = re.compile(r"\(ref ([\w-]+)\)")


@dataclass(slots=True)
class Seen:
    """A streamed answer: its ``sentences`` without marks, when the last token of each was ``sent``,
    how many tokens it has, when its request ``began``, it was ``done`` or the client ``left``."""

    ref: str
    sentences: list[str]
    tokens: int
    began: float
    sent: list[float] = field(default_factory=list)
    done: float | None = None
    left: float | None = None


def sentences(prompt: str, tokens: int) -> list[tuple[str, int]]:
    """Whole sentences of the passages with the numbers of these, until there are ``tokens``."""
    found: list[tuple[str, int]] = []
    count = 0
    for number, text in _PASSAGE.findall(prompt):
        for sentence in _SENTENCE_END.split(text):
            whole = len(sentence) >= _SHORTEST and not sentence.startswith("#")
            if count < tokens and whole:
                found.append((sentence.strip(), int(number)))
                count += len(_TOKEN.findall(sentence)) + 1
    return found


class Server:
    """Answers, at a token every ``pace`` seconds and with about ``tokens`` of them."""

    def __init__(self, pace: float, tokens: int) -> None:
        self.pace, self.tokens = pace, tokens
        self.seen: list[Seen] = []

    def connection(self) -> "Connection":
        """For a client that has come."""
        return Connection(self)


class Connection(asyncio.Protocol):
    """One client, and its requests one after the other."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answer: Seen | None = None
        self._pace = server.pace

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        if self._answer and self._answer.done is None:
            self._answer.left = time.monotonic()
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if not found:
            return
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        size = int(length[1]) if length else 0
        if len(rest) < size:
            return
        self._buffer = bytearray(rest[size:])
        method, path = head.split(b" ", 2)[:2]
        self._asked(method, path, rest[:size])

    def _asked(self, method: bytes, path: bytes, body: bytes) -> None:
        if method == b"GET" and path.endswith(b"/models"):
            model = {"id": MODEL, "object": "model", "max_model_len": _CONTEXT}
            self._reply({"object": "list", "data": [model]})
        elif method == b"PUT" and path.startswith(b"/pace/"):
            self._server.pace = float(path.rpartition(b"/")[2])
            self._reply({})
        elif path == b"/seen":
            self._reply([asdict(one) for one in self._server.seen])
        elif path.endswith(b"/chat/completions"):
            self._chat(json.loads(body))
        else:
            self._reply({"detail": "Not Found"}, b"404 Not Found")

    def _chat(self, body: dict[str, Any]) -> None:
        prompt = "\n".join(_text(message["content"]) for message in body["messages"])
        if body.get("stream"):
            self._stream(prompt)
            return
        text = "Yes"
        if (body.get("max_tokens") or 0) > _WORDS:
            copied = sentences(prompt, 1)
            text = " ".join(copied[0][0].split()[:_WORDS]) if copied else "I don't know"
        pieces = _TOKEN.findall(text)
        reply = _whole(text, pieces, told=bool(body.get("logprobs")))
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(len(pieces) * self._server.pace, self._reply, reply)

    def _stream(self, prompt: str) -> None:
        copied = sentences(prompt, self._server.tokens) or [("I don't know.", 0)]
        pieces: list[tuple[bytes, bool]] = []
        for sentence, number in copied:
            words = [*_TOKEN.findall(f" {sentence}" if pieces else sentence), f" [{number}]"]
            pieces += [(_delta(word), False) for word in words[:-1]]
            pieces.append((_delta(words[-1]), True))
        ref = _REF.search(prompt)
        began = time.monotonic()
        self._answer = Seen(ref[1] if ref else "", [s for s, _ in copied], len(pieces), began)
        if ref:
            self._server.seen.append(self._answer)
        self._write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n")  # fmt: skip
        self._pace = self._server.pace
        self._next(pieces, 0, asyncio.get_running_loop().time())

    def _next(self, pieces: Sequence[tuple[bytes, bool]], index: int, start: float) -> None:
        """Send what is due by now, and wait for the next."""
        loop, answer = asyncio.get_running_loop(), self._answer
        if self._transport is None or answer is None:
            return
        if index:
            data, last = pieces[index - 1]
            self._write(data)
            if last:
                answer.sent.append(time.monotonic())
        if index < len(pieces):
            due = start + (index + 1) * self._pace
            self._timer = loop.call_at(due, self._next, pieces, index + 1, start)
            return
        answer.done = time.monotonic()
        usage = {"prompt_tokens": 1, "completion_tokens": len(pieces),
                 "total_tokens": len(pieces) + 1}  # fmt: skip
        self._write(_event(_chunk({}, "stop")) + _event({**_chunk({}, None), "choices": [],
                    "usage": usage}) + _chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n")  # fmt: skip

    def _reply(self, value: object, status: bytes = b"200 OK") -> None:
        raw = json.dumps(value).encode()
        self._write(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                    % (status, len(raw), raw))  # fmt: skip

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def _text(content: Any) -> str:
    """Of a message whose content is text or parts."""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or ())


def _whole(text: str, pieces: Sequence[str], *, told: bool) -> dict[str, Any]:
    entries = [{"token": piece, "logprob": -0.02, "bytes": list(piece.encode()),
                "top_logprobs": [{"token": piece, "logprob": -0.02, "bytes": list(piece.encode())},
                                 {"token": "No", "logprob": -4.0, "bytes": [78, 111]}]}
               for piece in pieces]  # fmt: skip
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop",
              "logprobs": {"content": entries} if told else None}  # fmt: skip
    usage = {"prompt_tokens": 1, "completion_tokens": len(pieces), "total_tokens": len(pieces) + 1}
    return {"id": "stub", "object": "chat.completion", "created": 1, "model": MODEL,
            "choices": [choice], "usage": usage}  # fmt: skip


def _chunk(delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {"id": "stub", "object": "chat.completion.chunk", "created": 1, "model": MODEL,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}  # fmt: skip


def _delta(piece: str) -> bytes:
    return _event(_chunk({"content": piece}, None))


def _event(value: object) -> bytes:
    return _chunked(b"data: " + json.dumps(value).encode() + b"\n\n")


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def _serve(port: int, server: Server) -> None:
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        server.connection, "127.0.0.1", port, backlog=_BACKLOG, reuse_address=True
    )
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


def main() -> None:
    """Serve until the process is ended; the port is the first line of the output."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--pace", type=float, default=0.02, help="seconds from token to token")
    parser.add_argument("--tokens", type=int, default=128, help="of an answer")
    options = parser.parse_args()
    asyncio.run(_serve(options.port, Server(options.pace, options.tokens)))


if __name__ == "__main__":
    main()
