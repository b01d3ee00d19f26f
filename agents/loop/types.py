"""The values of an agent's run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agents.toolbox.effects import Effect
from rag.types import Citation, Usage

Mode = Literal["loop", "plan"]
Approval = Literal["ask", "never", "always"]
"""What becomes of a call that writes or goes to the network: somebody is asked, it is refused, or
it is done. Text from outside that reaches such a call has it asked for all the same."""
RunStatus = Literal["done", "stopped", "failed", "waiting_for_approval"]
TaskStatus = Literal["open", "done", "dropped", "failed"]


@dataclass(frozen=True, slots=True)
class Step:
    """A call of the model, and of the tool that it chose: ``n`` counts them from 1. ``tool`` is
    ``None`` where it answered; then ``observation`` is what it wrote. ``error`` says in a sentence
    why the call came to nothing. ``task`` is the `Task` that it was for."""

    n: int
    thought: str
    tool: str | None
    arguments: Mapping[str, Any]
    observation: str
    error: str | None
    seconds: float
    usage: Usage = field(default_factory=Usage)
    task: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A part of the goal, ``n`` from 1, and what was learned by working on it."""

    n: int
    text: str
    status: TaskStatus = "open"
    finding: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """A call that waits for a decision. ``tainted`` names the arguments that hold text from
    documents, the web or tools; ``reason`` says why it is asked, in a sentence. One that may have
    been carried out is not ``editable``: it is done again as it was, or not."""

    call_id: str
    tool: str
    arguments: Mapping[str, Any]
    effect: Effect
    reason: str
    tainted: tuple[str, ...] = ()
    editable: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided about the `Pending` call ``call_id``: ``edit`` does it with other
    ``arguments``; the ``reason`` of a rejection is told to the model."""

    call_id: str
    verdict: Literal["approve", "edit", "reject"]
    arguments: Mapping[str, Any] | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What ends a run: so many ``steps``, ``tokens`` (of prompts and replies), ``seconds``,
    ``cost`` (by the ``prices`` of a million tokens of prompts and of replies), and ``idle`` steps
    on end that brought nothing new. ``None`` is no limit."""

    steps: int = 12
    tokens: int | None = 200_000
    seconds: float | None = None
    cost: float | None = None
    prices: tuple[float, float] = (0.0, 0.0)
    idle: int = 4


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a goal. ``reason`` says why it stopped, failed or waits."""

    run_id: str
    goal: str
    status: RunStatus
    answer: str
    citations: tuple[Citation, ...]
    steps: tuple[Step, ...]
    plan: tuple[Task, ...]
    usage: Usage
    model: str = ""
    reason: str = ""
    pending: tuple[Pending, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Began:
    """The run has its name: with it, it can be gone on with."""

    run_id: str
    goal: str
    model: str


@dataclass(frozen=True, slots=True)
class Planned:
    """The list of tasks, as it is now."""

    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class Acting:
    """The model has chosen; the tool begins."""

    n: int
    thought: str
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stepped:
    """A step is over."""

    step: Step


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event. A run that waits for a decision ends as well, to be gone on with."""

    run: Run


RunEvent = Began | Planned | Acting | Stepped | Ended
