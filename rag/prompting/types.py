"""The values of the prompt library."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Optional

from rag.prompting.template import Template

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

TechniqueName = Literal[
    "once", "short-first", "brief", "reason", "sample", "step-back", "decompose", "react", "revise"
]

MAIN = ""
"""The step of a prompt that has no name: it asks for the answer itself."""
EXAMPLE = "example"
"""The step that says how one example is written."""

RULES = "rules"
"""The step of the shared prompt with the rules that answers keep, and the variable for them."""
ALONE = "alone"
"""The step for a question of which no short answer is known."""

_QUESTION = frozenset({"question", "examples", RULES})
STEPS: Mapping[TechniqueName, Mapping[str, frozenset[str]]] = {
    "once": {MAIN: _QUESTION},
    "short-first": {MAIN: _QUESTION | {"short"}, ALONE: _QUESTION},
    "brief": {MAIN: _QUESTION},
    "reason": {MAIN: _QUESTION},
    "sample": {MAIN: _QUESTION},
    "step-back": {
        "general": frozenset({"question"}),
        "principle": frozenset({"general", "found"}),
        MAIN: frozenset({"question", "general", "principle", "found", RULES}),
    },
    "decompose": {
        "split": frozenset({"question"}),
        "part": frozenset({"part", "parts", "found"}),
        MAIN: frozenset({"question", "parts", "found", RULES}),
    },
    "react": {
        "think": frozenset({"question", "log", "found"}),
        MAIN: frozenset({"question", "log", "found", RULES}),
    },
    "revise": {
        MAIN: _QUESTION,
        "critique": frozenset({"question", "draft"}),
        "revise": frozenset({"question", "draft", "critique", RULES}),
    },
}
"""The steps that a technique takes, each with the variables that it has values for."""

EXAMPLE_VARIABLES = frozenset({"passages", "question", "answer"})


@dataclass(frozen=True, slots=True)
class Example:
    """A question, passages that may answer it, and the answer as it should be: to the question, or
    to whether ``short`` answers it."""

    question: str
    passages: tuple[str, ...]
    answer: str
    short: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt from a file. ``steps`` holds its texts: ``steps[""]`` asks for the answer, others
    are what its technique asks before or after. ``text`` is the file's content with the line ends
    of Unix and none at the end, ``digest`` its SHA-256 in hexadecimal. ``shared`` is the prompt
    whose system message and passages all others share; ``system`` stands in place of that message.
    """

    name: str
    version: int
    language: Language
    task: str
    description: str
    technique: TechniqueName
    variables: tuple[str, ...]
    steps: Mapping[str, Template]
    examples: tuple[Example, ...]
    output: str | None
    system: str | None
    shots: int
    samples: int
    temperature: float
    rounds: int
    text: str
    digest: str
    origin: Literal["built-in", "yours"]
    path: Path
    shared: Optional["Prompt"] = None

    @property
    def ident(self) -> str:
        """Name and content: ``NAME@DIGEST8``, and that of the shared prompt where the user has
        replaced it."""
        own = f"{self.name}@{self.digest[:8]}"
        replaced = self.shared is not None and self.shared.origin == "yours"
        return f"{own}+{self.shared.ident}" if self.shared and replaced else own
