"""A disk without room: no file may outgrow so many bytes, more and more, until all goes well."""

import resource
import shutil
from pathlib import Path
from typing import Any

import pytest

from indexes.collection import Collection
from tests.faults.checks import act
from tests.faults.processes import Outcome, run
from tests.faults.scenarios import NAME, Driver, texts_of
from tests.faults.test_kill import Rehearsals, judge
from tests.indexes.hash_embedder import HashEmbedder

_GROWING = ("index", "update", "remove", "publish_aside", "reembed", "migrate", "derived_lost")


@pytest.fixture(scope="session")
def rehearsals(ground: Path) -> Rehearsals:
    return Rehearsals(ground / "full")


def _well_said(outcome: Outcome) -> list[str]:
    """What is wrong with how the failure was told."""
    error = outcome.error
    if error is None or (error["disk"] and error["text"]):
        return []
    told = error["ours"] and error["text"].endswith(".") and "damaged" not in error["text"]
    return [] if told else [outcome.describe()]


def _until_it_succeeds(
    name: str, rehearsals: Rehearsals, folder: Path, factor: float, first: int
) -> None:
    before = rehearsals.of(name)
    wrong: list[str] = []
    limit, failures = 0, 0
    while True:
        here = before.at(name, folder / str(limit))
        outcome = run(act, here.home, name, limit=limit)
        faults = [*_well_said(outcome), *judge(name, here, outcome.told)]
        wrong += [f"{limit} bytes: {line}" for line in faults]
        shutil.rmtree(here.home)
        if outcome.error is None:
            break
        failures += 1
        limit = max(first, int(limit * factor))
    assert wrong == []
    assert failures > 2


@pytest.mark.parametrize("name", _GROWING)
def test_a_full_disk_loses_nothing(name: str, rehearsals: Rehearsals, folder: Path) -> None:
    _until_it_succeeds(name, rehearsals, folder, 2.5, 900)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", _GROWING)
def test_a_disk_that_is_full_at_many_sizes(name: str, rehearsals: Rehearsals, folder: Path) -> None:
    _until_it_succeeds(name, rehearsals, folder, 1.12, 64)


@pytest.mark.parametrize("name", ["update", "remove", "reembed"])
def test_no_room_at_any_place(name: str, rehearsals: Rehearsals, folder: Path) -> None:
    before = rehearsals.of(name)
    wrong: list[str] = []
    for place in before.hits:
        here = before.at(name, folder / place)
        outcome = run(act, here.home, name, plan=f"{place}=full")
        assert outcome.error, place
        faults = [*_well_said(outcome), *judge(name, here, outcome.told)]
        wrong += [f"{place}: {line}" for line in faults]
        shutil.rmtree(here.home)
    assert wrong == []


def _fail_and_go_on(say: Any, home: Path, limit: int) -> str:
    """The same collection object, once there is room again; the error is still at hand."""
    with Collection.open(NAME, home=home, embedder=HashEmbedder()) as collection:
        driver = Driver(collection, say)
        driver.add(texts_of("ant bee"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            driver.add(texts_of("cat dog"))
            said = ""
        except Exception as error:  # noqa: BLE001 - it is judged by those who asked
            said = str(error)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            driver.add(texts_of("elk"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        driver.add(texts_of("fox"))
        found = {r.source for r in collection.search("keeper wrote bees", 100).results}
        assert {"doc-ant", "doc-bee", "doc-fox"} <= found
        return said


def test_the_same_object_goes_on_when_there_is_room_again(folder: Path) -> None:
    failures = [
        run(_fail_and_go_on, folder / str(limit), limit, limit=10**9).result
        for limit in (0, 300, 1000, 3000, 40_000)
    ]
    assert failures[0]
