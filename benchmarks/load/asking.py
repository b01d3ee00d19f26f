"""One question over OpenAI's protocol, and when which part of its answer came.

It needs nothing but Python: locust runs it in an environment of its own.
"""

import json
import socket
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit


@dataclass(slots=True)
class Asked:
    """What became of a question. Times are seconds of the system's monotonic clock; ``pieces`` are
    the times at which text came, each with the length of all text then. ``whole``: the stream came
    to its end, and ``cited``: with citations. ``status`` 0 stands for a connection that failed."""

    ref: str
    sent: float
    status: int = 0
    retry_after: str = ""
    pieces: list[tuple[float, int]] = field(default_factory=list)
    text: str = ""
    ended: float = 0.0
    whole: bool = False
    cited: bool = False
    error: str = ""


def ask(url: str, model: str, question: str, ref: str, seconds: float = 300.0) -> Asked:
    """Put ``question`` with its ``ref`` to ``model`` at ``url``, the root of the protocol, and read
    the streamed answer; silence of ``seconds`` ends it."""
    asked = Asked(ref, time.monotonic())
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    try:
        response = begin(connection, url, model, question, ref)
        asked.status = response.status
        asked.retry_after = response.headers.get("Retry-After", "")
        if response.status == 200:
            _read(response, asked)
        else:
            asked.error = response.read(2000).decode("utf-8", "replace")
    except (OSError, HTTPException, ValueError) as error:
        asked.error = f"{type(error).__name__}: {error}"
    finally:
        asked.ended = time.monotonic()
        connection.close()
    return asked


def begin(
    connection: HTTPConnection, url: str, model: str, question: str, ref: str
) -> HTTPResponse:
    """The response to the question, of which nothing is read yet."""
    messages = [{"role": "user", "content": f"{question} (ref {ref})"}]
    body = json.dumps({"model": model, "messages": messages, "stream": True})
    headers = {"Content-Type": "application/json"}
    connection.request("POST", f"{urlsplit(url).path}/chat/completions", body, headers)
    if connection.sock is not None:
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection.getresponse()


def _read(response: HTTPResponse, asked: Asked) -> None:
    texts: list[str] = []
    length = 0
    for line in iter(response.readline, b""):
        if not line.startswith(b"data: "):
            continue
        data = line[6:].strip()
        if data == b"[DONE]":
            asked.whole = True
            continue
        chunk = json.loads(data)
        if "error" in chunk:
            raise ValueError(str(chunk["error"])[:500])
        asked.whole = asked.whole or _ends(chunk)
        piece, cited = _said(chunk)
        asked.cited = asked.cited or cited
        if piece:
            texts.append(piece)
            length += len(piece)
            asked.pieces.append((time.monotonic(), length))
    asked.text = "".join(texts)


def _ends(chunk: dict[str, Any]) -> bool:
    """Whether it is the last of an answer; not every service sends «[DONE]» behind it."""
    choices = chunk.get("choices") or []
    return bool(choices and choices[0].get("finish_reason"))


def _said(chunk: dict[str, Any]) -> tuple[str, bool]:
    """The text of a chunk, and whether citations came with it."""
    choices = chunk.get("choices") or []
    delta = choices[0].get("delta") or {} if choices else {}
    return delta.get("content") or "", bool(delta.get("annotations"))
