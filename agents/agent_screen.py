"""An agent's run at the terminal: each step on stderr as it goes, the answer on stdout."""

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from agents.approving import Dialogue
from agents.loop.types import (
    Acting,
    Began,
    Decision,
    Ended,
    Pending,
    Planned,
    Run,
    RunEvent,
    Step,
    Stepped,
    Task,
)
from agents.screen import one_line
from indexes.i18n import t
from rag.types import Usage

if TYPE_CHECKING:
    from agents.terminal import Terminal

_LINES: Final = 6
"""Lines of an observation that are shown."""
_LINE: Final = 160
"""Characters of a line of it, and of an argument."""
_MARKS: Final = {"open": "○", "done": "✓", "dropped": "–", "failed": "✗"}


class RunScreen:
    """Follows a run. With ``lines`` every event is a JSON object on a line of stdout."""

    def __init__(self, terminal: "Terminal", *, lines: bool = False) -> None:
        self._terminal, self._lines = terminal, lines
        self._silent = terminal.as_json or lines
        self._run_id = ""
        self._headed = 0
        self._tasks: tuple[Task, ...] = ()
        self._task: int | None = None

    def follow(self, events: Generator[RunEvent, None, Run]) -> Run:
        """Show what happens until the run ends or waits. What breaks in between leaves a run that
        can be gone on with, whose name is told."""
        try:
            with self._terminal.ticking() as self._busy, closing(events):
                for event in events:
                    self._busy("")
                    self._show(event)
                    if isinstance(event, Ended):
                        return event.run
                    if not self._silent:
                        self._busy(_doing(event))
        except BaseException as error:
            if self._run_id and not isinstance(error, SystemExit):
                self._terminal.urgent(t("What was done is kept."))
                self._go_on()
            raise
        raise AssertionError("a stream ends with Ended")

    def decide(self, pending: Pending) -> Decision | None:
        """Ask whoever is there about a call."""
        self._busy("")
        return Dialogue(self._terminal).decide(pending)

    # -- events ----------------------------------------------------------------------------------

    def _show(self, event: RunEvent) -> None:
        if isinstance(event, Began):
            self._run_id = event.run_id
        if self._silent:
            self._write(event)
            return
        match event:
            case Began():
                self._terminal.aside(
                    t("Run {run}, with {model}", run=event.run_id, model=event.model), "dim"
                )
            case Planned():
                self._plan(event.tasks)
            case Acting():
                self._head(event.n, event.thought, event.tool, event.arguments)
            case Stepped():
                self._step(event.step)
            case Ended():
                self.ended(event.run)

    def _write(self, event: RunEvent) -> None:
        from agents.agent_shapes import RunShape, event_shape

        if self._lines:
            self._terminal.json(event_shape(event))
        elif isinstance(event, Ended):
            self._terminal.json(RunShape.of(event.run))

    def _plan(self, tasks: Sequence[Task]) -> None:
        self._tasks = tuple(tasks)
        self._terminal.aside(t("Plan"), "bold")
        for task in tasks:
            style = {"done": "green", "failed": "yellow", "dropped": "dim"}.get(task.status, "")
            self._terminal.aside(f"  {_MARKS[task.status]} {task.n}. {one_line(task.text)}", style)

    def _head(self, n: int, thought: str, tool: str | None, arguments: Mapping[str, Any]) -> None:
        self._headed = n
        label = f"{n}."
        if thought:
            self._terminal.aside(f"{label} {one_line(thought)}", "dim")
            label = " " * len(label)
        doing = t("The answer") if tool is None else call_text(tool, arguments)
        self._terminal.aside(f"{label} {doing}", "cyan")

    def _step(self, step: Step) -> None:
        if step.task is not None and step.task != self._task:
            self._task = step.task
            text = next((one_line(task.text) for task in self._tasks if task.n == step.task), "")
            self._terminal.aside(t("Task {n}: {text}", n=step.task, text=text), "bold")
        if self._headed != step.n:
            self._head(step.n, step.thought, step.tool, step.arguments)
        if step.error is not None:
            self._terminal.aside(f"   ✗ {_cut(one_line(step.error))}", "yellow")
        elif step.tool is not None:
            for line in observation_lines(step.observation):
                self._terminal.aside(f"   │ {line}")
        self._terminal.aside(f"   {cost_text(step.seconds, step.usage)}", "dim")

    # -- the end ---------------------------------------------------------------------------------

    def ended(self, run: Run) -> None:
        """What came of it: the answer with its sources, and what to do where there is none."""
        self._run_id = run.run_id
        if run.answer:
            self._terminal.aside()
            self._terminal.line(run.answer)
            self._terminal.cited(run.citations)
        self._terminal.aside()
        cost = cost_text(run.seconds, run.usage)
        self._terminal.aside(t("{n} steps, {cost}", n=len(run.steps), cost=cost), "dim")
        if run.status == "done":
            return
        self._terminal.urgent(run.reason, "red" if run.status == "failed" else "yellow")
        for pending in run.pending:
            from agents.loop.policy import shown

            self._terminal.urgent(shown(pending))
        self._go_on()

    def _go_on(self) -> None:
        self._terminal.urgent(
            t("Go on with it: waggle agent --resume {run}", run=self._run_id), "dim"
        )


def call_text(tool: str, arguments: Mapping[str, Any]) -> str:
    """A call on one line, long values cut."""
    values = (
        f"{one_line(name)}={_cut(json.dumps(value, ensure_ascii=False, default=str))}"
        for name, value in arguments.items()
    )
    return f"{one_line(tool)}({', '.join(values)})"


def observation_lines(text: str) -> list[str]:
    """The first lines of what a tool brought, and how many more there are."""
    lines = [_cut(one_line(line)) for line in text.splitlines() if line.strip()]
    more = len(lines) - _LINES
    if more > 1:
        lines[_LINES:] = [t("… {n} more lines", n=more)]
    return lines


def cost_text(seconds: float, usage: Usage) -> str:
    """What a step or a run took."""
    return t(
        "{seconds} s, {read} tokens read, {written} written",
        seconds=f"{seconds:.1f}",
        read=usage.prompt_tokens,
        written=usage.completion_tokens,
    )


def _doing(event: RunEvent) -> str:
    return f"{event.tool}…" if isinstance(event, Acting) else t("Thinking…")


def _cut(text: str) -> str:
    return text if len(text) <= _LINE else text[: _LINE - 1] + "…"
