"""The JSON of an agent's runs. These shapes are a promise to other programs."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field

from agents.answer_shapes import CitationShape, UsageShape
from agents.loop.types import Acting, Began, Ended, Planned, Run, RunEvent, Step, Stepped
from agents.shapes import Shape

Status = Literal["done", "stopped", "failed", "waiting_for_approval"]


class AgentStepShape(Shape):
    n: int
    thought: str
    tool: str | None
    arguments: Mapping[str, Any]
    observation: str
    error: str | None
    seconds: float
    task: int | None = Field(default=None, exclude_if=lambda task: task is None)
    """With ``--mode plan``: the number of the task that it was for."""


class TaskShape(Shape):
    n: int
    text: str
    status: Literal["open", "done", "dropped", "failed"]
    finding: str


class PendingShape(Shape):
    call_id: str
    tool: str
    arguments: Mapping[str, Any]
    effect: Literal["read", "write", "network"]
    reason: str
    tainted: tuple[str, ...]
    editable: bool
    """Whether it may be done with other arguments."""


class RunShape(Shape):
    run_id: str
    goal: str
    status: Status
    answer: str
    citations: tuple[CitationShape, ...]
    steps: tuple[AgentStepShape, ...]
    plan: tuple[TaskShape, ...]
    usage: UsageShape
    reason: str = Field(default="", exclude_if=lambda reason: not reason)
    """Why it stopped, failed or waits."""
    pending: tuple[PendingShape, ...] = Field(default=(), exclude_if=lambda calls: not calls)
    """The calls that wait for a decision."""

    @classmethod
    def of(cls, run: Run) -> Self:
        return cls.model_validate(run)


class BeganShape(Shape):
    event: Literal["began"] = "began"
    run_id: str
    goal: str
    model: str


class PlannedShape(Shape):
    event: Literal["planned"] = "planned"
    tasks: tuple[TaskShape, ...]


class ActingShape(Shape):
    event: Literal["acting"] = "acting"
    n: int
    thought: str
    tool: str
    arguments: Mapping[str, Any]


class SteppedShape(Shape):
    event: Literal["stepped"] = "stepped"
    step: AgentStepShape
    usage: UsageShape

    @classmethod
    def of(cls, step: Step) -> Self:
        return cls(
            step=AgentStepShape.model_validate(step), usage=UsageShape.model_validate(step.usage)
        )


class EndedShape(Shape):
    event: Literal["ended"] = "ended"
    run: RunShape


def event_shape(event: RunEvent) -> Shape:
    """A line of ``--jsonl``."""
    match event:
        case Began():
            return BeganShape.model_validate(event)
        case Planned():
            return PlannedShape.model_validate(event)
        case Acting():
            return ActingShape.model_validate(event)
        case Stepped():
            return SteppedShape.of(event.step)
        case Ended():
            return EndedShape(run=RunShape.of(event.run))


class ListedRunShape(Shape):
    run_id: str
    goal: str
    state: Literal["running", "interrupted"] | Status | None
    """``None`` for a run that cannot be read; ``problem`` says why."""
    mode: Literal["loop", "plan"] | None
    model: str
    collection: str
    begun: str
    seconds: float
    problem: str = Field(default="", exclude_if=lambda problem: not problem)


class RunsShape(Shape):
    runs: tuple[ListedRunShape, ...]


class RemovedRunsShape(Shape):
    removed: tuple[str, ...]


class DivergenceShape(Shape):
    step: int
    what: str


class ReplayShape(Shape):
    run_id: str
    same: bool
    divergences: tuple[DivergenceShape, ...]


class ToolShape(Shape):
    name: str
    description: str
    effect: Literal["read", "write", "network"]
    tainted: bool
    """Whether what it brings was written by others."""


class ToolsShape(Shape):
    tools: tuple[ToolShape, ...]


class FactShape(Shape):
    n: int
    text: str
    when: str


class FactsShape(Shape):
    facts: tuple[FactShape, ...]


class ForgottenShape(Shape):
    forgotten: FactShape
