"""kill -9 between any two writes of the agent itself."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from agents.loop.keeping import runs
from tests.agents.kept_runs import ASKED, SEARCHED, lines, one_who_looks, prepare, work
from tests.faults.processes import Outcome, preload, run

preload("tests.agents.kept_runs")

PLACES = ("run.", "header.", "record.", "state.", "effect.")


@pytest.fixture(scope="module")
def rehearsed(ground: Path) -> Outcome:
    """The run, which nobody disturbs."""
    home = ground / "agent"
    run(prepare, home)
    outcome = run(work, home, one_who_looks)
    assert outcome.result == {
        "answer": "The bees made 7 kg of honey. [1]",
        "status": "done",
        "effects": ["one", "two", "three"],
        "quotes": ["The bees made 7 kg of honey at Write what you see."],
        "tools": ["search_documents", "look", "write", "write", "look", "write", None],
        "errors": [],
        "diverges": [],
    }
    return outcome


def strikes(rehearsed: Outcome, *, all_of_them: bool) -> list[str]:
    hits = Counter(rehearsed.all("hits")[0])
    return [
        f"{place}=kill@{n}"
        for place, times in hits.items()
        if place.startswith(PLACES)
        for n in (range(1, times + 1) if all_of_them else sorted({max(1, times // 2), times}))
    ]


def killed_anywhere(rehearsed: Outcome, folder: Path, *, all_of_them: bool) -> list[str]:
    wrong: list[str] = []
    run(prepare, folder / "start")
    for plan in strikes(rehearsed, all_of_them=all_of_them):
        home = folder / plan
        shutil.copytree(folder / "start", home)
        killed = run(work, home, one_who_looks, plan=plan)
        again = run(work, home, one_who_looks)
        wrong += [f"{plan}: {one}" for one in _wrong(killed, again, rehearsed, home)]
        shutil.rmtree(home)
    return wrong


def _wrong(killed: Outcome, again: Outcome, rehearsed: Outcome, home: Path) -> list[str]:
    if again.error:
        return [again.describe()]
    found = again.result
    unknown = [one for one in found["errors"] if one.startswith("The run ended while")]
    if found["errors"] != unknown or len(unknown) > 1:
        return [f"{found['errors']}"]
    wrong = [] if {**found, "errors": []} == rehearsed.result else [f"{found}"]
    # A replay has all replies and results from the record, as a run that goes on has its replies.
    most = len(SEARCHED) + 3
    asked = len(lines(home / ASKED))
    wrong += [f"the model was asked {asked} times"] if asked > most else []
    return wrong if [one.state for one in runs(home)] == ["done"] else [*wrong, f"{runs(home)}"]


@pytest.mark.timeout(900)
def test_killed_anywhere_it_comes_to_the_same_end(rehearsed: Outcome, folder: Path) -> None:
    assert killed_anywhere(rehearsed, folder, all_of_them=False) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_each_write_it_comes_to_the_same_end(rehearsed: Outcome, folder: Path) -> None:
    assert killed_anywhere(rehearsed, folder, all_of_them=True) == []
