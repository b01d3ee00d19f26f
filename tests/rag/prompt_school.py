"""A set of questions about colours, and a chat server that answers by the prompt that it is asked
with: for trying prompts, over a real socket."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.rag.asking import last
from tests.rag.evaluation_server import USAGE
from tests.rag.scripted_server import delta, events, reply, scripted_server, whole

COLOURS = ("amber", "crimson", "indigo", "ochre", "violet", "teal", "ivory")
NAMES = [a + b for a in ("Bel", "Dor", "Fen", "Gar", "Kol")
         for b in ("bridge", "field", "ham", "moor", "stead", "wick")]  # fmt: skip
MISSING = [a + b for a in ("Ost", "Pel") for b in ("bridge", "field", "ham", "moor")]
MAGIC = "Copy the colour"
LESSON = f"{MAGIC} from the passage about that very town, and nothing else."


def colour(name: str) -> str:
    return COLOURS[NAMES.index(name) % len(COLOURS)]


def write_set(folder: Path) -> None:
    """The set ``squad_en`` under ``folder``: 30 questions with an answer, 8 without."""
    text = "The flag of {} is {}. It hangs in the hall."
    corpus = [{"id": n, "title": n, "text": text.format(n, colour(n))} for n in NAMES]
    queries = [
        {"id": name, "question": f"What colour is the flag of {name}?",
         "answers": [colour(name)] if name in NAMES else [], "gold": [name] * (name in NAMES),
         "answerable": name in NAMES, "lang": "en"}
        for name in (*NAMES, *MISSING)
    ]  # fmt: skip
    for file, rows in (("corpus", corpus), ("queries", queries)):
        path = folder / "squad_en" / f"{file}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


Knows = Callable[[str, str], bool]


@dataclass
class School:
    """Tells the colour of a town where ``knows(prompt, town)``, else a wrong one; "I don't know"
    where no passage is about it. ``proposals`` are what it writes when it is asked to improve an
    instruction, one after the other; after ``fails_after`` requests it is not there any more."""

    knows: Knows
    url: str = ""
    proposals: list[Any] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    fails_after: int | None = None

    @property
    def asked(self) -> list[str]:
        """The prompts of the questions, and not of proposals and checks."""
        bodies = [body for body in self.bodies if body.get("max_tokens", 512) > 8]
        texts = [body["messages"][-1]["content"] for body in bodies]
        return [text for text in texts if "flag of" in text and "<mistakes>" not in text]

    @property
    def improving(self) -> list[str]:
        texts = [body["messages"][-1]["content"] for body in self.bodies]
        return [text for text in texts if "<mistakes>" in text]

    def says(self, body: dict[str, Any]) -> str:
        asked = str(body["messages"][-1]["content"])
        if "<mistakes>" in asked:
            said = self.proposals.pop(0) if self.proposals else ""
            proposal = {"fault": "f", "instruction": said} if isinstance(said, str) else said
            return json.dumps(proposal)
        if body.get("max_tokens", 512) <= 8:
            return "yes"
        town = asked.rpartition("the flag of ")[2].rstrip("?")
        place = re.search(rf"\[(\d+)\] {town}\n", asked)
        if town not in NAMES or place is None:
            return "I don't know."
        instruction = asked.rpartition("</passage-")[2]
        right = self.knows(instruction, town)
        other = re.search(rf"\[(\d+)\] (?!{town})(\w+)\n", asked)
        if right or other is None:
            return f"{colour(town)} [{place[1]}]"
        return f"{colour(other[2])} [{other[1]}]"


@contextmanager
def school(knows: Knows) -> Iterator[School]:
    learner = School(knows)
    with scripted_server() as script:

        def answer(handler: BaseHTTPRequestHandler) -> None:
            body = script.bodies[-1]
            learner.bodies.append(body)
            if learner.fails_after is not None and len(learner.bodies) > learner.fails_after:
                reply(401, {"error": {"message": "holidays"}})(handler)
                return
            said = learner.says(body)
            if body.get("stream"):
                usage = {**delta(), "choices": [], "usage": USAGE}
                events(delta(role="assistant", content=said), last(), usage)(handler)
            else:
                reply(200, {**whole(content=said), "usage": USAGE})(handler)

        script.models({"id": "school"})
        script.answers(answer)
        learner.url = script.url
        yield learner
