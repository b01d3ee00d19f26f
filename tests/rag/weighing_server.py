"""A chat server whose model expects the words that its passages hold, over a real socket."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Literal

from tests.rag.asking import last
from tests.rag.scripted_server import delta, events, reply, whole

Kind = Literal["vllm", "llama.cpp", "masked", "none", "refuses"]
KNOWN, UNKNOWN = -0.5, -4.5
"""The log-probability of a word that stands in the passages, and of another."""
_PASSAGE = re.compile(r"<(passage-\w+)>\n(.*?)\n</\1>", re.DOTALL)
_ITEM = re.compile(r'<\[(\d+)\]>|"(?:[^"\\]|\\.)*"')


@dataclass
class Weigher:
    """Answers every question with ``draft``; what it tells of log-probabilities is up to ``kind``.

    vllm: those of the prompt; what is written under a grammar is not to be had. llama.cpp: those of
    a text written under a grammar; a word that it does not expect it spells, unless the grammar
    names its token; the pieces of a character count as two tokens and are told as one. masked: as
    llama.cpp, but what the grammar has left. refuses: status 400 for what it does not know.
    ``fails`` is the status of whatever is asked of log-probabilities of a given text.
    """

    kind: Kind = "vllm"
    url: str = ""
    draft: str = ""
    counts: int = 100
    fails: int | None = None
    bodies: list[dict[str, Any]] = field(default_factory=list)
    vocabulary: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    @property
    def weighings(self) -> list[dict[str, Any]]:
        """What was asked of log-probabilities of a given text."""
        return [body for body in self.bodies if _weighs(body)]

    def number(self, token: str) -> int:
        with self.lock:
            if token not in self.vocabulary:
                self.vocabulary.append(token)
            return self.vocabulary.index(token)


def _weighs(body: dict[str, Any]) -> bool:
    return "prompt_logprobs" in body or "grammar" in body


def words(text: str) -> list[str]:
    """The tokens of a text; one of Chinese characters is whole here, too."""
    return re.findall(r"\s?[^\s]+|\s", text)


def expected(token: str, prompt: str) -> float:
    return KNOWN if token.strip() in prompt else UNKNOWN


def _passages(body: dict[str, Any]) -> str:
    user = next(m["content"] for m in body["messages"] if m["role"] == "user")
    return "\n".join(text for _, text in _PASSAGE.findall(user))


def _read(body: dict[str, Any]) -> dict[str, Any]:
    """As vLLM answers `prompt_logprobs`."""
    *_, said = body["messages"]
    tokens: list[Any] = [None]
    for token in words(said["content"]):
        if not token.isascii():  # its first piece
            tokens.append({"1": {"logprob": -0.25, "rank": 1, "decoded_token": ""}})
        logprob = expected(token, _passages(body))
        tokens.append({"2": {"logprob": logprob, "rank": 1, "decoded_token": token}})
    start = [{"3": {"logprob": -9.0, "rank": 9, "decoded_token": "assistant\n"}}]
    return {**whole(content="."), "prompt_logprobs": tokens[:1] + start + tokens[1:]}


def _written(weigher: Weigher, body: dict[str, Any]) -> dict[str, Any]:
    """As llama.cpp answers under a grammar."""
    entries: list[dict[str, Any]] = []
    pieces = 0
    for item in _ITEM.finditer(body["grammar"].partition("::=")[2]):
        if item[1] is not None:
            spelled = [weigher.vocabulary[int(item[1])]]
        else:
            spelled = _spelled(json.loads(item[0]), _passages(body))
        for token in spelled:
            pieces += 1 if token.isascii() else 2
            entries.append(_entry(weigher, token, expected(token, _passages(body))))
    content = "".join(entry["token"] for entry in entries)
    entries.append({"id": 2, "token": "", "bytes": [], "logprob": -1.0, "top_logprobs": []})
    answer = whole(content=content)
    answer["choices"][0]["logprobs"] = {"content": entries}  # type: ignore[index]
    usage = {"prompt_tokens": 50, "completion_tokens": pieces + 1, "total_tokens": 60}
    return {**answer, "usage": usage}


def _spelled(text: str, prompt: str) -> list[str]:
    found: list[str] = []
    for token in words(text):
        found += [token] if expected(token, prompt) == KNOWN else list(token)
    return found


def _entry(weigher: Weigher, token: str, logprob: float) -> dict[str, Any]:
    entry = {"token": token, "bytes": list(token.encode()), "logprob": logprob}
    other = {"token": "x", "bytes": [120], "logprob": -2.0}
    if weigher.kind == "masked":
        entry["logprob"], other["logprob"] = -0.01, -9999.0
    return {"id": weigher.number(token), **entry, "top_logprobs": [dict(entry), other]}


def _answer(weigher: Weigher, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    knows = {"vllm": "prompt_logprobs", "llama.cpp": "grammar", "masked": "grammar"}
    known = knows.get(weigher.kind, "")
    if not _weighs(body):
        return 200, whole(content="yes")
    if weigher.fails:
        return weigher.fails, {"error": {"message": "out of order", "code": weigher.fails}}
    if known in body:
        return 200, _read(body) if known == "prompt_logprobs" else _written(weigher, body)
    if weigher.kind == "refuses":
        return 400, {"error": {"message": "unknown field", "code": 400}}
    return 200, whole(content="Something else.")


@contextmanager
def weighing_server() -> Iterator[Weigher]:
    """A server on the loopback; say what it answers before it is asked."""
    weigher = Weigher()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            reply(200, {"object": "list", "data": [{"id": "scripted"}]})(self)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/tokenize":
                reply(200, {"count": weigher.counts, "max_model_len": 9000})(self)
                return
            weigher.bodies.append(body)
            if body.get("stream"):
                events(delta(role="assistant", content=weigher.draft), last())(self)
            else:
                reply(*_answer(weigher, body))(self)

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    weigher.url = f"http://127.0.0.1:{httpd.server_port}/v1"
    thread = Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield weigher
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()
