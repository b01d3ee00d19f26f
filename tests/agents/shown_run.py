"""A run to show: the one that docs/agent.md shows."""

from collections.abc import Generator

from agents.loop.types import Acting, Began, Ended, Pending, Run, RunEvent, Step, Stepped
from rag.types import Citation, Usage

GOAL = "Who decoded the waggle dance, and how long ago was he born?"
ANSWER = "Karl von Frisch decoded the waggle dance. [1] He was born 140 years ago."
FOUND = (
    "[1] waggle-dance.md:1896:2165\n"
    "The Austrian zoologist Karl von Frisch, born in 1886, decoded the dance in the 1940s.\n"
    "[2] honey.md:0:80\nBees dry honey with their wings."
)
QUOTE = "The Austrian zoologist Karl von Frisch, born in 1886, decoded the dance in the 1940s."
PENDING = Pending(
    "call_3", "write_note", {"name": "dance", "text": "Karl von Frisch decoded it."}, "write",
    "«write_note» changes something. Text that others wrote has been read before, and may have "
    "ordered it. Taken from such text, not from you: text.", ("text",),
)  # fmt: skip

_SEARCH = {"query": "who decoded the waggle dance", "k": 2}
_COUNT = {"expression": "2026 - 1886"}
STEPS = (
    Step(1, "I look for the name and the year.", "search_documents", _SEARCH, FOUND, None, 2.1,
         Usage(812, 41)),
    Step(2, "", "calculate", _COUNT, "140", None, 1.2, Usage(1031, 22)),
    Step(3, "", None, {}, ANSWER, None, 1.9, Usage(1066, 30)),
)  # fmt: skip
CITATION = Citation(
    1, "Karl von Frisch decoded the waggle dance.", "waggle-dance.md", "The waggle dance", None,
    1896, 1981, QUOTE, "entailed",
)  # fmt: skip
RUN = Run(
    "20261001-120000-0a1b2c", GOAL, "done", ANSWER, (CITATION,), STEPS, (), Usage(3100, 97),
    "qwen2.5-7b-instruct", seconds=6.4,
)  # fmt: skip


def events() -> Generator[RunEvent, None, Run]:
    """The run as it happens."""
    yield Began(RUN.run_id, RUN.goal, RUN.model)
    for step in STEPS:
        if step.tool is not None:
            yield Acting(step.n, step.thought, step.tool, step.arguments)
        yield Stepped(step)
    yield Ended(RUN)
    return RUN
