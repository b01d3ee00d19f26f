"""``/api/agent/runs``: goals worked on with tools, and the decisions for which they wait."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from agents.agent_runs import listed_shape
from agents.agent_shapes import RunShape, RunsShape, event_shape
from agents.doors.acting import (
    Wanted,
    agent_again,
    agent_of,
    delete_run,
    listed_runs,
    run_of,
)
from agents.doors.service import Service
from agents.http.depending import ActorOf, ServiceOf, Slot, attended
from agents.http.sse import STREAM, ServerEvent, events
from agents.loop.types import Approval, Decision, Ended, Mode, Run, RunEvent
from indexes.errors import UsageError
from indexes.i18n import t

router = APIRouter(tags=["agent"])

Events = AsyncGenerator[RunEvent]
RunOf = Annotated[str, Path(max_length=64)]
_STREAMED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The run, or its events as they come: «began», «planned», «acting», "
                         "«stepped», «ended».",
          "content": STREAM}
}  # fmt: skip


class RunBody(BaseModel):
    """A goal, to be worked on with the documents of a collection. ``tools`` names the only tools
    that there are to be; ``approve`` says what becomes of calls that write or go to the network;
    ``max_…`` end the run. What is left out, and how far it may go at most, say the settings of the
    service. With ``stream``, each event is sent as it comes, else the run at its end."""

    model_config = ConfigDict(extra="forbid")

    collection: str = Field(max_length=64)
    goal: str = Field(min_length=1, max_length=20_000)
    stream: bool = True
    mode: Mode | None = None
    approve: Approval | None = None
    tools: tuple[str, ...] | None = Field(default=None, max_length=100)
    max_steps: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_seconds: float | None = Field(default=None, gt=0)

    def wanted(self) -> Wanted:
        """What the agent is to be."""
        return Wanted(self.tools, self.approve, self.mode, self.max_steps, self.max_tokens,
                      self.max_seconds)  # fmt: skip


class DecisionBody(BaseModel):
    """What was decided about a call that waits: it is done, done with other ``arguments``, or not
    done, for a ``reason`` that the model is told."""

    model_config = ConfigDict(extra="forbid")

    call_id: str = Field(max_length=200)
    verdict: Literal["approve", "edit", "reject"]
    arguments: dict[str, Any] | None = None
    reason: str = Field(default="", max_length=2000)

    def decision(self) -> Decision:
        """The decision. Raises `UsageError` for an edit without arguments."""
        if (self.verdict == "edit") != (self.arguments is not None):
            raise UsageError(t("«arguments» go with the verdict «edit», and with no other."))
        return Decision(self.call_id, self.verdict, self.arguments, self.reason)


class DecisionsBody(BaseModel):
    """The decisions with which a run is gone on with; none for one that was interrupted."""

    model_config = ConfigDict(extra="forbid")

    decisions: tuple[DecisionBody, ...] = Field(default=(), max_length=100)
    stream: bool = True


@router.post("/api/agent/runs", response_model=RunShape, responses=_STREAMED)
async def begin(
    request: Request, service: ServiceOf, caller: ActorOf, _: Slot, body: RunBody
) -> Response:
    """Work on a goal, until it is reached, a limit is, or a call waits for a decision. Whoever
    leaves ends the run where it stands; it can be gone on with."""
    agent = await asyncio.to_thread(agent_of, service, caller, body.collection, body.wanted())
    return await _told(request, service, agent.astream(body.goal), stream=body.stream)


@router.post("/api/agent/runs/{run}/decisions", response_model=RunShape, responses=_STREAMED)
async def decide(
    request: Request, service: ServiceOf, caller: ActorOf, _: Slot, run: RunOf, body: DecisionsBody
) -> Response:
    """Decide about the calls that wait, and go on with the run."""
    decisions = [one.decision() for one in body.decisions]
    agent = await asyncio.to_thread(agent_again, service, caller, run)
    return await _told(request, service, agent.astream_resumed(run, decisions), stream=body.stream)


@router.get("/api/agent/runs")
async def listed(service: ServiceOf, caller: ActorOf) -> RunsShape:
    """The runs that this key has begun, the latest first."""
    found = await asyncio.to_thread(listed_runs, service, caller)
    return RunsShape(runs=tuple(map(listed_shape, found)))


@router.get("/api/agent/runs/{run}")
async def show(service: ServiceOf, caller: ActorOf, run: RunOf) -> RunShape:
    """A run with its steps, and the calls that wait."""
    return RunShape.of(await asyncio.to_thread(run_of, service, caller, run))


@router.delete("/api/agent/runs/{run}", status_code=204)
async def delete(service: ServiceOf, caller: ActorOf, run: RunOf) -> None:
    """Delete a run with all that belongs to it."""
    await asyncio.to_thread(delete_run, service, caller, run)


async def _told(request: Request, service: Service, run: Events, *, stream: bool) -> Response:
    if stream:
        return events(_sent(service, run))
    ended = await attended(request, _ended(service, run))
    return JSONResponse(RunShape.of(ended).model_dump(mode="json"))


async def _sent(service: Service, run: Events) -> AsyncGenerator[ServerEvent]:
    async with aclosing(run):
        async for event in run:
            _count(service, event)
            yield ServerEvent.of(event_shape(event).model_dump(mode="json"))


async def _ended(service: Service, run: Events) -> Run:
    async with aclosing(run):
        async for event in run:
            _count(service, event)
            if isinstance(event, Ended):
                return event.run
    raise AssertionError("a run ends with Ended")


def _count(service: Service, event: RunEvent) -> None:
    if isinstance(event, Ended):
        usage = event.run.usage
        service.metrics.spent(usage.prompt_tokens, usage.completion_tokens)
