"""kill -9 between any two writes of a planned run: it goes on with its list of tasks."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.agents.kept_plans import HONEY, TASKS, work
from tests.agents.kept_runs import one_who_looks, prepare
from tests.faults.processes import Outcome, preload, run

preload("tests.agents.kept_runs", "tests.agents.kept_plans")


@pytest.fixture(scope="module")
def rehearsed(ground: Path) -> Outcome:
    """The run, which nobody disturbs."""
    home = ground / "planned"
    assert not run(prepare, home).error
    outcome = run(work, home, one_who_looks)
    assert not outcome.error, outcome.describe()
    return outcome


def strikes(rehearsed: Outcome, *, all_of_them: bool) -> list[str]:
    """Where a process is killed: at each step of the run, or at some."""
    hits: Counter[str] = Counter(rehearsed.all("hits")[0])
    places = ("record.written", "state.saving", "state.saved", "effect.before", "effect.after")
    if all_of_them:
        return [f"{place}=kill@{n}" for place in places for n in range(1, hits[place] + 1)]
    saved = hits["state.saved"]
    some = sorted({1 + saved * part // 6 for part in range(6)})
    return ["effect.before=kill@1", "effect.after=kill@2", *(f"state.saved=kill@{n}" for n in some)]


def wrong_after(home: Path, aim: dict[str, Any]) -> list[str]:
    """What is not as it was to be. Of a call that was carried out, but not written down, somebody
    says so; that is told to the model as an error."""
    again = run(work, home, one_who_looks)
    if again.error:
        return [again.describe()]
    return [
        f"{name}: {again.result[name]} instead of {value}"
        for name, value in aim.items()
        if name != "errors" and again.result[name] != value
    ]


def killed_anywhere(aim: dict[str, Any], plans: list[str], folder: Path) -> list[str]:
    wrong: list[str] = []
    for plan in plans:
        home = folder / plan
        run(prepare, home)
        killed = run(work, home, one_who_looks, plan=plan)
        if not killed.killed:
            wrong.append(f"{plan}: not killed but {killed.describe()}")
        wrong += [f"{plan}: {one}" for one in wrong_after(home, aim)]
        shutil.rmtree(home)
    return wrong


def test_the_rehearsal_does_all_tasks(rehearsed: Outcome) -> None:
    result = rehearsed.result
    assert [text for _, text, status, _ in result["plan"] if status == "done"] == TASKS
    assert result["effects"] == ["one", "two"]
    assert result["status"] == "done"
    assert result["answer"].startswith(HONEY)
    assert result["diverges"] == []
    assert result["errors"] == []


def test_killed_anywhere_it_comes_to_the_same_end(rehearsed: Outcome, folder: Path) -> None:
    plans = strikes(rehearsed, all_of_them=False)
    assert killed_anywhere(rehearsed.result, plans, folder) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_each_write_it_comes_to_the_same_end(rehearsed: Outcome, folder: Path) -> None:
    plans = strikes(rehearsed, all_of_them=True)
    assert killed_anywhere(rehearsed.result, plans, folder) == []
