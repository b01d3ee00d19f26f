"""The field ``waggle`` of a reply: what OpenAI's API has no place for."""

from typing import Literal

from pydantic import Field

from agents.agent_shapes import PendingShape
from agents.answer_shapes import CitationShape, ContextShape
from agents.loop.types import Run
from agents.shapes import Shape
from indexes.i18n import t
from rag.types import Answer

Status = Literal["answered", "unanswerable", "done", "stopped", "failed", "waiting_for_approval"]


class DetailsShape(Shape):
    """``status`` is that of the answer or, for an agent, of its run. ``citations`` are all, those
    of claims without support among them. ``contexts`` come where they were asked for."""

    status: Status
    citations: tuple[CitationShape, ...]
    confidence: float | None = None
    short: str = Field(default="", exclude_if=lambda short: not short)
    model: str = ""
    collection: str = Field(default="", exclude_if=lambda name: not name)
    generation: int | None = Field(default=None, exclude_if=lambda number: number is None)
    notices: tuple[str, ...] = Field(default=(), exclude_if=lambda notices: not notices)
    contexts: tuple[ContextShape, ...] = Field(default=(), exclude_if=lambda all: not all)
    run_id: str = Field(default="", exclude_if=lambda run: not run)
    pending: tuple[PendingShape, ...] = Field(default=(), exclude_if=lambda calls: not calls)


def details_of(
    answer: Answer, notices: tuple[str, ...] = (), *, contexts: bool = False
) -> DetailsShape:
    """The details of an answer, which somebody gave."""
    assert answer.status != "no_model"
    shown = enumerate(answer.contexts if contexts else (), 1)
    return DetailsShape(
        status=answer.status,
        citations=tuple(map(CitationShape.model_validate, answer.citations)),
        confidence=answer.confidence,
        short=answer.short,
        model=answer.model,
        collection=answer.collection,
        generation=answer.generation,
        notices=(*answer.notices, *notices),
        contexts=tuple(ContextShape.of(n, result) for n, result in shown),
    )


def details_of_run(run: Run, notices: tuple[str, ...] = ()) -> DetailsShape:
    """The details of an agent's run."""
    return DetailsShape(
        status=run.status,
        citations=tuple(map(CitationShape.model_validate, run.citations)),
        model=run.model,
        notices=(*((run.reason,) if run.reason else ()), *notices),
        run_id=run.run_id,
        pending=tuple(map(PendingShape.model_validate, run.pending)),
    )


def run_text(run: Run) -> str:
    """What a person reads of a run that has ended, or waits."""
    parts = [run.answer] if run.answer else []
    if run.status == "waiting_for_approval":
        calls = ", ".join(call.tool for call in run.pending)
        parts.append(
            t(
                "The run {run} waits for a decision about: {calls}. Decide with "
                "POST /api/agent/runs/{run}/decisions.",
                run=run.run_id, calls=calls,
            )
        )  # fmt: skip
    elif run.status != "done" and run.reason:
        parts.append(run.reason)
    return "\n\n".join(parts)
