"""The agent: a goal, tools, and what comes of them."""

import asyncio
import contextvars
import functools
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.loop.types import Approval, Decision, Ended, Limits, Mode, Pending, Run, RunEvent

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from agents.loop.calling import Way
    from agents.loop.replaying import Divergence
    from rag.answering import RAG

Decide = Callable[[Pending], Decision | None]
"""What somebody decides about a call; ``None`` leaves it waiting."""


class RagAgent:
    """Works on goals with the documents of ``rag`` and other tools, step by step.

    ``tools`` are LangChain tools or Python functions, beside the built-in ones; with ``kit``, only
    the tools that it names are there. ``web`` lets pages be fetched. ``limits`` end a run that does
    not end by itself, ``approve`` says what becomes of calls that change something or go to the
    network, ``mode`` whether a goal is planned first, ``calls`` how the model is asked for calls.
    Runs are kept below ``home``, by default that of the collection. ``notice`` is told which MCP
    servers cannot be used.
    """

    def __init__(
        self,
        rag: "RAG",
        tools: "Sequence[BaseTool | Callable[..., Any]]" = (),
        *,
        limits: Limits | None = None,
        approve: Approval = "ask",
        mode: Mode = "loop",
        kit: Collection[str] | None = None,
        web: bool = False,
        calls: "Way" = "auto",
        home: Path | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        from agents.loop.limits import checked

        self.rag, self.tools, self.kit = rag, tuple(tools), kit
        self.limits, self.approve, self.mode = checked(limits or Limits()), approve, mode
        self.web, self.calls, self.notice = web, calls, notice
        self.home = home or rag.collection.home

    def run(self, goal: str, decide: Decide | None = None) -> Run:
        """Work on ``goal`` to its end, or until a call waits for a decision that ``decide`` does
        not take. Raises `UsageError` for an empty goal, `ModelFileError` where there is no chat
        model. Where the model's server fails, the run has, and can be gone on with."""
        from agents.loop.working import ended

        return ended(self.stream(goal, decide))

    def resume(
        self, run_id: str, decisions: Sequence[Decision] = (), decide: Decide | None = None
    ) -> Run:
        """Go on with a run that waits, was stopped, failed or was interrupted; one that is done
        stays so. Raises `UsageError` for one that is not there, or a decision about a call that
        does not wait, `LockedError` while another process works on it."""
        from agents.loop.working import ended

        return ended(self.stream_resumed(run_id, decisions, decide))

    def stream(self, goal: str, decide: Decide | None = None) -> Generator[RunEvent, None, Run]:
        """`run` as a stream of events: `Began`, then `Acting` and `Stepped` (and `Planned`), at
        last `Ended`. Closed or interrupted before, it leaves a run that can be gone on with."""
        from agents.loop.working import begun

        return begun(self, goal, decide)

    def stream_resumed(
        self, run_id: str, decisions: Sequence[Decision] = (), decide: Decide | None = None
    ) -> Generator[RunEvent, None, Run]:
        """`resume` as a stream of events."""
        from agents.loop.working import resumed

        return resumed(self, run_id, decisions, decide)

    def replay(self, run_id: str) -> "tuple[Divergence, ...]":
        """Where the run, done again from what its model and tools said then, leaves what it did;
        nothing where it comes to the same end. Raises `UsageError` for a run that is not there."""
        from agents.loop.working import replayed

        return replayed(self, run_id)

    async def arun(self, goal: str, decide: Decide | None = None) -> Run:
        """`run` without blocking the event loop; ``decide`` is called in another thread."""
        return await _alast(self.astream(goal, decide))

    async def aresume(
        self, run_id: str, decisions: Sequence[Decision] = (), decide: Decide | None = None
    ) -> Run:
        """`resume` without blocking the event loop."""
        return await _alast(self.astream_resumed(run_id, decisions, decide))

    def astream(self, goal: str, decide: Decide | None = None) -> AsyncGenerator[RunEvent]:
        """`stream` without blocking the event loop. Closed or cancelled, it ends a request to the
        model at once, and waits for a tool at work."""
        return _stepwise(self.stream(goal, decide))

    def astream_resumed(
        self, run_id: str, decisions: Sequence[Decision] = (), decide: Decide | None = None
    ) -> AsyncGenerator[RunEvent]:
        """`stream_resumed` without blocking the event loop."""
        return _stepwise(self.stream_resumed(run_id, decisions, decide))


async def _alast(events: AsyncGenerator[RunEvent]) -> Run:
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Ended):
                return event.run
    raise AssertionError("a run ends with Ended")


async def _stepwise(events: Generator[RunEvent, None, Run]) -> AsyncGenerator[RunEvent]:
    """Each event as it comes, all of them from one thread and in one context."""
    from agents.loop.leaving import DRIVER, Driver

    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    driver = Driver(loop)
    context.run(DRIVER.set, driver)
    thread = ThreadPoolExecutor(1, "waggle-agent")

    def started(do: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        return loop.run_in_executor(thread, functools.partial(context.run, do, *arguments))

    try:
        while (event := await asyncio.shield(started(next, events, None))) is not None:
            yield event
    finally:
        driver.leave()
        closed = started(events.close)
        thread.shutdown(wait=False)
        await asyncio.shield(closed)
