"""kill -9 between any two writes of a run: it goes on, and nothing is done twice."""

import os
import random
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from agents.loop.keeping import runs
from tests.agents.kept_runs import (
    ASKED,
    EFFECTS,
    SCRIPT,
    act,
    lines,
    one_who_gives_up,
    one_who_looks,
    one_who_repeats,
)
from tests.faults.processes import Outcome, preload, run

preload("tests.agents.kept_runs")

WRITTEN = ["one", "two", "three"]
UNKNOWN = "Nobody knows"


@pytest.fixture(scope="module")
def rehearsed(ground: Path) -> Outcome:
    """The run, which nobody disturbs."""
    outcome = run(act, ground / "rehearsal", one_who_looks)
    assert outcome.result["effects"] == WRITTEN, outcome.describe()
    return outcome


def strikes(rehearsed: Outcome, *, all_of_them: bool) -> list[str]:
    """Each place, the first, the second and the last time that it is passed, or each time."""
    hits: Counter[str] = Counter(rehearsed.all("hits")[0])
    return [
        f"{place}=kill@{n}"
        for place, times in hits.items()
        for n in (range(1, times + 1) if all_of_them else sorted({1, min(2, times), times}))
    ]


def wrong_after(home: Path, aim: dict[str, Any]) -> Iterable[str]:
    """What is wrong when somebody goes on who looks whether a call was carried out."""
    again = run(act, home, one_who_looks)
    if again.error:
        yield again.describe()
        return
    answer = again.result["answer"]
    if UNKNOWN not in answer and answer != aim["answer"]:
        yield answer
    if answer.count(UNKNOWN) > 1:
        yield answer
    if again.result["effects"] != WRITTEN:
        yield f"{again.result['effects']}"
    if [one.state for one in runs(home)] != ["done"]:
        yield f"{runs(home)}"
    if len(lines(home / ASKED)) > len(SCRIPT) + 2:
        yield "a reply that was known is asked for again"


def killed_anywhere(aim: dict[str, Any], plans: list[str], folder: Path) -> list[str]:
    wrong: list[str] = []
    for plan in plans:
        home = folder / plan
        killed = run(act, home, one_who_looks, plan=plan)
        if not killed.killed:
            wrong.append(f"{plan}: not killed but {killed.describe()}")
        wrong += [f"{plan}: {one}" for one in wrong_after(home, aim)]
        shutil.rmtree(home)
    return wrong


def test_the_rehearsal_passes_every_place(rehearsed: Outcome) -> None:
    assert set(rehearsed.all("hits")[0]) >= {
        "run.made", "header.writing", "header.written", "header.renamed", "record.writing",
        "record.half_written", "record.written", "state.saving", "state.saved",
    }  # fmt: skip


@pytest.mark.timeout(900)
def test_killed_anywhere_it_comes_to_the_same_end(rehearsed: Outcome, folder: Path) -> None:
    plans = strikes(rehearsed, all_of_them=False)
    assert killed_anywhere(rehearsed.result, plans, folder) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_each_write_it_comes_to_the_same_end(rehearsed: Outcome, folder: Path) -> None:
    plans = strikes(rehearsed, all_of_them=True)
    assert killed_anywhere(rehearsed.result, plans, folder) == []


def test_killed_again_and_again(rehearsed: Outcome, folder: Path) -> None:
    """One process goes on where another was killed, and is killed as well."""
    seed = int(os.environ.get("WAGGLE_FAULT_SEED", "0")) or random.randrange(1, 10**9)
    dice = random.Random(seed)
    plans = strikes(rehearsed, all_of_them=True)
    for _ in range(8):
        home = folder / "again"
        for _ in range(4):
            run(act, home, one_who_looks, plan=dice.choice(plans))
        ended = run(act, home, one_who_looks)
        assert not ended.error, f"WAGGLE_FAULT_SEED={seed}: {ended.describe()}"
        assert ended.result["effects"] == WRITTEN, f"WAGGLE_FAULT_SEED={seed}"
        shutil.rmtree(home)


@pytest.mark.parametrize("place", ["effect.before", "effect.after", "record.written"])
def test_without_a_word_nothing_is_done_again(place: str, folder: Path) -> None:
    for n in range(1, 20):
        home = folder / str(n)
        if not run(act, home, one_who_gives_up, plan=f"{place}=kill@{n}").killed:
            break
        ended = run(act, home, one_who_gives_up)
        assert not ended.error, ended.describe()
        assert max(Counter(ended.result["effects"]).values()) == 1
        missing = len(WRITTEN) - len(ended.result["effects"])
        assert missing <= ended.result["answer"].count(UNKNOWN) <= 1
    assert n > 1


def test_whoever_says_again_is_asked_for_each_time(folder: Path) -> None:
    """Killed twice in the same call: the word that was given for the first time counts once."""
    for _ in range(2):
        assert run(act, folder, one_who_repeats, plan="effect.after=kill@1").killed
    ended = run(act, folder, one_who_gives_up)
    assert Counter(ended.result["effects"])["one"] == 2
    assert UNKNOWN in ended.result["answer"]


@pytest.mark.parametrize("place", ["header.writing", "record.writing", "state.saving"])
def test_a_full_disk_is_told_and_nothing_is_lost(
    place: str, rehearsed: Outcome, folder: Path
) -> None:
    for n in (1, 2, 5, 9):
        home = folder / str(n)
        full = run(act, home, one_who_looks, plan=f"{place}=full@{n}")
        if full.error is None:
            break
        assert full.error["kind"] == "RunError", full.describe()
        assert full.error["text"].startswith(("The file ", "No run can be kept in "))
        assert full.error["text"].endswith(".")
        assert list(wrong_after(home, rehearsed.result)) == []
    assert n > 1


def test_no_room_at_any_size(rehearsed: Outcome, folder: Path) -> None:
    """No file may grow beyond so many bytes, more and more, until all goes well."""
    limit, failures = 100, 0
    while True:
        home = folder / str(limit)
        full = run(act, home, one_who_looks, limit=limit)
        if full.error is None:
            break
        assert full.error["kind"] == "RunError", full.describe()
        assert list(wrong_after(home, rehearsed.result)) == []
        limit, failures = limit * 4, failures + 1
    assert failures > 2


def test_what_is_left_of_a_run_that_was_not_begun_is_swept_away(folder: Path) -> None:
    assert run(act, folder, one_who_looks, plan="header.written=kill@1").killed
    (left,) = (folder / "agents" / "runs").iterdir()
    assert runs(folder) == ()
    os.utime(left, (0, 0))
    assert run(act, folder, one_who_looks).result["effects"] == WRITTEN
    assert not left.exists()


def test_a_lost_state_comes_again_from_the_record(rehearsed: Outcome, folder: Path) -> None:
    run(act, folder, one_who_looks)
    (kept,) = (folder / "agents" / "runs").iterdir()
    for file in kept.glob("checkpoints.sqlite*"):
        file.unlink()
    (folder / ASKED).unlink()
    again = run(act, folder, one_who_looks)
    assert again.result == rehearsed.result
    assert lines(folder / EFFECTS) == WRITTEN
    assert lines(folder / ASKED) == []
