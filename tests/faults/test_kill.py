"""kill -9 at every named place, and at random moments: nothing that was confirmed is lost."""

import os
import random
import re
import shutil
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import indexes
from tests.faults.checks import Expected, act, check, expected_after, prepare
from tests.faults.processes import Child, run
from tests.faults.scenarios import SCENARIOS

_AT_ONCE = 2


@dataclass(frozen=True)
class Rehearsal:
    """A scenario that ran to its end: the folder it began in, which places it passed how often,
    and what it left."""

    home: Path
    before: list[dict[str, Any]]
    hits: Counter[str]
    after: Expected
    seconds: float

    def at(self, name: str, home: Path) -> "Rehearsal":
        """The same beginning again, in another folder. Files are indexed by their absolute path,
        and so cannot be copied."""
        if (self.home / "files").is_dir():
            before = run(prepare, home, name).told
            after = {s.replace(str(self.home), str(home)): t for s, t in self.after.items()}
            return replace(self, home=home, before=before, after=after)
        shutil.copytree(self.home, home)
        return replace(self, home=home)


class Rehearsals:
    """Each scenario once, when it is first needed."""

    def __init__(self, ground: Path) -> None:
        ground.mkdir(exist_ok=True)
        self._ground = ground
        self._known: dict[str, Rehearsal] = {}

    def of(self, name: str) -> Rehearsal:
        if name not in self._known:
            start = Rehearsal(self._ground / f"{name}-start", [], Counter(), {}, 0)
            prepared = run(prepare, start.home, name)
            assert not prepared.error, prepared.describe()
            trial = replace(start, before=prepared.told).at(name, self._ground / f"{name}-trial")
            began = time.monotonic()
            ended = run(act, trial.home, name)
            assert not ended.error, ended.describe()
            after = expected_after([*trial.before, *ended.told])
            after = {s.replace(str(trial.home), str(start.home)): t for s, t in after.items()}
            hits, seconds = Counter(ended.all("hits")[0]), time.monotonic() - began
            self._known[name] = Rehearsal(start.home, prepared.told, hits, after, seconds)
            shutil.rmtree(trial.home)
        return self._known[name]


@pytest.fixture(scope="session")
def rehearsals(ground: Path) -> Rehearsals:
    return Rehearsals(ground)


def places() -> set[str]:
    """Every name in the source that a process may be killed at."""
    found: set[str] = set()
    for path in Path(indexes.__path__[0]).rglob("*.py"):
        found.update(re.findall(r'\breach\("([a-z_.]+)"\)', path.read_text("utf-8")))
    return found


def judge(name: str, before: Rehearsal, told: list[dict[str, Any]]) -> list[str]:
    """What is wrong after the scenario was stopped, when it had told this much."""
    left = expected_after([*before.before, *told])
    checked = run(check, before.home, left, name, before.after)
    return [checked.describe()] if checked.error or checked.code else list(checked.result)


_RACES = {("publish_aside", "clean.vectors")}
"""The thread that builds keeps the cleaner away as long as it is at work."""


def test_every_place_is_passed_by_a_scenario(rehearsals: Rehearsals) -> None:
    passed: Counter[str] = sum((rehearsals.of(n).hits for n in SCENARIOS), Counter())
    assert places() - set(passed) == set()


def test_a_rehearsal_is_judged_sound(rehearsals: Rehearsals, folder: Path) -> None:
    for name in SCENARIOS:
        before = rehearsals.of(name).at(name, folder / name)
        assert judge(name, before, run(act, before.home, name).told) == [], name


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_anywhere_nothing_is_lost(name: str, rehearsals: Rehearsals, folder: Path) -> None:
    """At the first, the second and the last time that it comes to each place."""
    before = rehearsals.of(name)
    kills = [
        f"{place}=kill@{hit}"
        for place, hits in before.hits.items()
        for hit in sorted({1, min(2, hits), hits})
    ]

    def strike(plan: str) -> list[str]:
        here = before.at(name, folder / plan)
        outcome = run(act, here.home, name, plan=plan)
        if not outcome.killed:
            raced = (name, plan.partition("=")[0]) in _RACES
            return [] if raced else [f"{plan}: not killed but {outcome.describe()}"]
        wrong = judge(name, here, outcome.told)
        shutil.rmtree(here.home)
        return [f"{plan}: {line}" for line in wrong]

    assert kills
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        assert [line for wrong in pool.map(strike, kills) for line in wrong] == []


def _kill_at_random(rehearsals: Rehearsals, folder: Path, times: int) -> None:
    """Several kills in a row of the same folder, so that one meets what another left."""
    seed = int(os.environ.get("WAGGLE_FAULT_SEED", "0")) or random.randrange(1, 10**9)
    dice = random.Random(seed)
    for turn in range(times):
        name = dice.choice(list(SCENARIOS))
        before = rehearsals.of(name).at(name, folder / f"{turn}")
        told: list[dict[str, Any]] = []
        for _ in range(dice.choice((1, 1, 2, 3))):
            child = Child(act, (before.home, name))
            time.sleep(dice.uniform(0, before.seconds))
            child.kill()
            told += child.end().told
        wrong = judge(name, before, told)
        assert wrong == [], f"WAGGLE_FAULT_SEED={seed}, turn {turn}, {name}: {wrong}"


def test_killed_at_random_moments_nothing_is_lost(rehearsals: Rehearsals, folder: Path) -> None:
    _kill_at_random(rehearsals, folder, 12)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_many_random_moments(rehearsals: Rehearsals, folder: Path) -> None:
    _kill_at_random(rehearsals, folder, 300)
