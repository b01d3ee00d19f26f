"""A chat server for evaluations: answers each question as a test wrote, over a real socket."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.rag.asking import last
from tests.rag.scripted_server import Script, delta, events, reply, scripted_server, whole

USAGE = {"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35}
TOO_LONG = {"error": {"message": "This model's maximum context length is 9 tokens.", "code": 400}}


@dataclass
class Pupil:
    """Says ``drafts[question]`` to whoever asks it with passages, and ``memory[question]`` without;
    "I don't know" to other questions; yes to every check. ``shorts`` are what it takes out of an
    answer to a question. ``sure`` is the probability of each yes, if it tells any. After
    ``fails_after`` requests it is not there any more; a prompt with ``too_long`` in it does not
    fit."""

    url: str = ""
    drafts: dict[str, str] = field(default_factory=dict)
    memory: dict[str, str] = field(default_factory=dict)
    shorts: dict[str, str] = field(default_factory=dict)
    fails_after: int | None = None
    too_long: str = ""
    sure: float | None = None
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def says(self, body: dict[str, Any]) -> str:
        system, *rest = [str(message["content"]) for message in body["messages"]]
        asked = "\n".join(rest)
        if "response_format" in body:
            return json.dumps({"answer": _known(self.shorts, asked)}, ensure_ascii=False)
        if body.get("max_tokens", 512) <= 8:
            return "yes"
        closed = not any(word in system for word in ("passage", "资料"))
        return _known(self.memory if closed else self.drafts, asked)


def _known(table: dict[str, str], asked: str) -> str:
    return next((said for question, said in table.items() if question in asked), "I don't know.")


@contextmanager
def pupil_server() -> Iterator[Pupil]:
    """A server on the loopback; set what it says before it is asked."""
    pupil = Pupil()
    with scripted_server() as script:

        def answer(handler: BaseHTTPRequestHandler) -> None:
            pupil.bodies.append(script.bodies[-1])
            body = pupil.bodies[-1]
            if pupil.fails_after is not None and len(pupil.bodies) > pupil.fails_after:
                reply(401, {"error": {"message": "the term is over"}})(handler)
                return
            if pupil.too_long and pupil.too_long in json.dumps(body["messages"]):
                reply(400, TOO_LONG)(handler)
                return
            said = pupil.says(body)
            if body.get("stream"):
                usage = {**delta(), "choices": [], "usage": USAGE}
                events(delta(role="assistant", content=said), last(), usage)(handler)
            else:
                reply(200, {**whole(content=said), "usage": USAGE})(handler)

        def probabilities(handler: BaseHTTPRequestHandler) -> None:
            if pupil.sure is None:
                reply(400, {"detail": "no logprobs here"})(handler)
                return
            top = [
                {"token": token, "bytes": None, "logprob": math.log(probability)}
                for token, probability in (("yes", pupil.sure), ("no", 1 - pupil.sure))
            ]
            told = whole(content=pupil.says(script.bodies.pop()))
            told["choices"][0]["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}  # type: ignore[index]
            reply(200, told)(handler)

        script.probabilities = probabilities
        _serve(script, answer)
        pupil.url = script.url
        yield pupil


def _serve(script: Script, answer: Any) -> None:
    script.models({"id": "pupil"})
    script.answers(answer)
