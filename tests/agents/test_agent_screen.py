"""A run at the terminal: what is shown as it goes, and where it is written."""

import json
import sys
from collections.abc import Generator
from dataclasses import replace

import pytest

from agents.agent_screen import RunScreen, observation_lines
from agents.agent_shapes import RunShape
from agents.loop.types import (
    Acting,
    Began,
    Ended,
    Planned,
    Run,
    RunEvent,
    Step,
    Stepped,
    Task,
)
from agents.terminal import Terminal
from tests.agents.shown_run import ANSWER, GOAL, PENDING, RUN, STEPS, events

Shown = pytest.CaptureFixture[str]


def of(*all_of_them: RunEvent) -> Generator[RunEvent, None, Run]:
    """These events, and the end."""
    yield from all_of_them
    yield Ended(RUN)
    return RUN


def test_steps_go_to_stderr_and_the_answer_to_stdout(capsys: Shown) -> None:
    assert RunScreen(Terminal()).follow(events()) is RUN
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{ANSWER}\n\nSources\n[1] waggle-dance.md:1896:1981  entailed\n")
    assert "search_documents" not in shown.out
    assert [line for line in shown.err.splitlines() if line.endswith(" written")] == [
        "   2.1 s, 812 tokens read, 41 written", "   1.2 s, 1031 tokens read, 22 written",
        "   1.9 s, 1066 tokens read, 30 written", "3 steps, 6.4 s, 3100 tokens read, 97 written",
    ]  # fmt: skip


def test_whoever_wants_quiet_has_the_answer_alone(capsys: Shown) -> None:
    RunScreen(Terminal(quiet=True)).follow(events())
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.startswith(ANSWER)


def test_what_a_terminal_would_obey_is_not_written(capsys: Shown) -> None:
    evil = "\x1b[2J\u202eevil"
    step = replace(STEPS[0], thought=evil, observation=f"{evil}\n{evil}", tool=f"t{evil}",
                   arguments={evil: evil})  # fmt: skip
    RunScreen(Terminal()).follow(of(Stepped(step), Stepped(replace(step, n=2, error=evil))))
    shown = capsys.readouterr()
    assert not {"\x1b", "\u202e"} & set(shown.err + shown.out)
    assert "evil" in shown.err


def test_calls_side_by_side_are_told_apart(capsys: Shown) -> None:
    first = STEPS[0]
    second = replace(STEPS[1], n=2)
    acting = [Acting(s.n, s.thought, s.tool or "", s.arguments) for s in (first, second)]
    RunScreen(Terminal()).follow(of(*acting, Stepped(first), Stepped(second)))
    lines = capsys.readouterr().err.splitlines()
    at = {n: max(i for i, line in enumerate(lines) if line.startswith(f"{n}. ")) for n in (1, 2)}
    assert at[1] < lines.index("   │ [1] waggle-dance.md:1896:2165") < at[2]
    assert lines[at[2] + 1] == "   │ 140"


def test_a_plan_and_its_tasks(capsys: Shown) -> None:
    tasks = (Task(1, "Find the name."), Task(2, "Reckon."))
    done = (replace(tasks[0], status="done"), replace(tasks[1], status="dropped"))
    steps = [replace(STEPS[0], task=1), replace(STEPS[1], task=2), STEPS[2]]
    RunScreen(Terminal()).follow(of(Planned(tasks), *map(Stepped, steps), Planned(done)))
    err = capsys.readouterr().err
    assert "Plan\n  ○ 1. Find the name.\n  ○ 2. Reckon.\n" in err
    assert "  ✓ 1. Find the name.\n  – 2. Reckon.\n" in err
    assert err.index("Task 1: Find the name.") < err.index("Task 2: Reckon.")
    assert "Task None" not in err


def test_a_run_that_waits_shows_the_exact_call(capsys: Shown) -> None:
    long = replace(PENDING, arguments={"text": "x" * 500 + "end"})
    run = replace(RUN, status="waiting_for_approval", answer="", citations=(), pending=(long,),
                  reason="A call waits for a decision.")  # fmt: skip
    RunScreen(Terminal(quiet=True)).ended(run)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "x" * 500 + "end" in shown.err
    assert shown.err.endswith(f"Go on with it: waggle agent --resume {RUN.run_id}\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no")])
def test_what_breaks_names_the_run(capsys: Shown, error: BaseException) -> None:
    closed = []

    def broken() -> Generator[RunEvent, None, Run]:
        try:
            yield Began(RUN.run_id, GOAL, "m")
            yield Stepped(STEPS[0])
            raise error
        finally:
            closed.append(True)

    with pytest.raises(type(error)):
        RunScreen(Terminal(as_json=True)).follow(broken())
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"waggle agent --resume {RUN.run_id}" in shown.err
    assert closed


def test_a_screen_that_breaks_closes_the_run() -> None:
    class Broken(Terminal):
        def aside(self, text: str = "", style: str = "") -> None:
            raise KeyboardInterrupt

    run = events()
    with pytest.raises(KeyboardInterrupt):
        RunScreen(Broken()).follow(run)
    assert next(run, None) is None


def test_lines_are_events_and_the_object_is_the_run(capsys: Shown) -> None:
    RunScreen(Terminal(as_json=True), lines=True).follow(events())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    RunScreen(Terminal(as_json=True)).follow(events())
    one = json.loads(capsys.readouterr().out)
    assert lines[-1] == {"event": "ended", "run": one}
    assert one == RunShape.of(RUN).model_dump(mode="json")
    assert not {"reason", "pending"} & set(one)
    assert "task" not in one["steps"][0]


def test_names_that_are_no_unicode_are_written(capsys: Shown) -> None:
    step = Step(1, "", "read_document", {"source": "caf\udce9.txt"}, "\udce9", None, 0.1)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    RunScreen(Terminal(as_json=True)).follow(_ended(replace(RUN, steps=(step,))))
    assert "caf" in capsys.readouterr().out


def _ended(run: Run) -> Generator[RunEvent, None, Run]:
    yield Ended(run)
    return run


@pytest.mark.parametrize(("lines", "shown"), [(1, 1), (6, 6), (7, 7), (8, 7), (50, 7)])
def test_the_first_lines_of_an_observation(lines: int, shown: int) -> None:
    text = "\n\n".join(f"line {n}" for n in range(lines))
    found = observation_lines(text)
    assert len(found) == shown
    assert (found[-1] == f"… {lines - 6} more lines") == (lines > 7)
