"""What can be done with the agent besides giving it a goal: its runs, its tools, its memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agents.agent_shapes import (
    DivergenceShape,
    FactShape,
    FactsShape,
    ForgottenShape,
    ListedRunShape,
    RemovedRunsShape,
    ReplayShape,
    RunShape,
    RunsShape,
    ToolShape,
    ToolsShape,
)
from agents.loop.facts import Facts
from agents.loop.keeping import Listed, runs
from agents.loop.removing import remove_run
from agents.screen import one_line
from agents.toolbox.effects import effect_of, is_tainted
from indexes.i18n import t

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from agents.loop.replaying import Divergence
    from agents.loop.types import Run
    from agents.terminal import Terminal


def list_runs(terminal: "Terminal", home: Path) -> None:
    """The runs that are kept, the latest first."""
    shapes = tuple(map(listed_shape, runs(home)))
    if terminal.as_json:
        terminal.json(RunsShape(runs=shapes))
        return
    columns = (t("Run"), t("State"), t("Time"), t("Goal"))
    rows = [
        (one.run_id, t(one.state) if one.state else t("unreadable"),
         t("{seconds} s", seconds=f"{one.seconds:.1f}"), one.problem or one.goal)
        for one in shapes
    ]  # fmt: skip
    terminal.table(columns, rows)


def remove_runs(terminal: "Terminal", home: Path, run_ids: Sequence[str]) -> None:
    """Delete runs; none of them where one is not there."""
    known = {one.run_id for one in runs(home)}
    removed = sorted(set(run_ids), key=lambda one: (one in known, one))
    for run_id in removed:
        remove_run(home, run_id)
    if terminal.as_json:
        terminal.json(RemovedRunsShape(removed=tuple(removed)))
        return
    for run_id in removed:
        terminal.line(t("Removed: {run}", run=run_id))


def show_run(terminal: "Terminal", run: "Run") -> None:
    """A run with all its steps, whole."""
    if terminal.as_json:
        terminal.json(RunShape.of(run))
        return
    from agents.agent_screen import RunScreen, call_text, cost_text

    terminal.line(f"{t('Goal')}: {run.goal}", "bold")
    for task in run.plan:
        terminal.line(f"{task.n}. [{t(task.status)}] {one_line(task.text)}")
    for step in run.steps:
        if step.thought:
            terminal.line(f"{step.n}. {step.thought}", "dim")
        if step.tool is not None:
            terminal.line(f"{step.n}. {call_text(step.tool, step.arguments)}", "cyan")
            terminal.line(step.error or step.observation, "yellow" if step.error else "")
        terminal.line(cost_text(step.seconds, step.usage), "dim")
    RunScreen(terminal).ended(run)


def show_replay(terminal: "Terminal", run_id: str, found: "Sequence[Divergence]") -> bool:
    """Where a run, done again from its record, leaves it; whether it nowhere does."""
    if terminal.as_json:
        divergences = tuple(map(DivergenceShape.model_validate, found))
        terminal.json(ReplayShape(run_id=run_id, same=not found, divergences=divergences))
    elif not found:
        terminal.line(t("The run comes to the same end again."), "green")
    for one in () if terminal.as_json else found:
        terminal.line(t("After {n} replies: {what}.", n=one.step, what=one.what), "yellow")
    return not found


def list_tools(terminal: "Terminal", tools: "Sequence[BaseTool]") -> None:
    """The tools that a run has, and what they do to the world."""
    shapes = tuple(
        ToolShape(name=tool.name, description=tool.description, effect=effect_of(tool),
                  tainted=is_tainted(tool))
        for tool in tools
    )  # fmt: skip
    if terminal.as_json:
        terminal.json(ToolsShape(tools=shapes))
        return
    rows = [(one.name, t(one.effect), one.description) for one in shapes]
    terminal.table((t("Tool"), t("Effect"), t("Description")), rows)


def approve_server(terminal: "Terminal", home: Path, name: str) -> None:
    """Take the list of tools that the MCP server ``name`` offers now for the right one."""
    from agents.toolbox.mcp_client import approve, load_mcp_servers

    list_tools(terminal, approve(name, load_mcp_servers(), home))
    terminal.notice(t("These tools of «{name}» are approved, as they are now.", name=name))


def list_facts(terminal: "Terminal", home: Path) -> None:
    """What is remembered beyond a run."""
    shapes = tuple(map(FactShape.model_validate, Facts(home).all()))
    if terminal.as_json:
        terminal.json(FactsShape(facts=shapes))
        return
    terminal.table(("", "", ""), [(str(one.n), one.text, one.when) for one in shapes])
    if not shapes:
        terminal.notice(t("No fact is remembered."))


def forget_fact(terminal: "Terminal", home: Path, n: int) -> None:
    """Delete a fact."""
    fact = FactShape.model_validate(Facts(home).forget(n))
    if terminal.as_json:
        terminal.json(ForgottenShape(forgotten=fact))
    else:
        terminal.line(t("Forgotten: {text}", text=one_line(fact.text)))


def listed_shape(one: Listed) -> ListedRunShape:
    """A run in a list."""
    header = one.header
    if header is None:
        return ListedRunShape(run_id=one.run_id, goal="", state=None, mode=None, model="", begun="",
                              collection="", seconds=0.0, problem=one.problem)  # fmt: skip
    return ListedRunShape(
        run_id=one.run_id, goal=header.goal, state=one.state, mode=header.mode,
        model=header.model, collection=header.collection,
        begun=header.begun.isoformat(timespec="seconds"), seconds=header.seconds,
    )  # fmt: skip
