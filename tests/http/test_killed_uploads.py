"""kill -9 at each step of an upload: what was acknowledged is there, and the rest is finished."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import folder, ground
from tests.faults.processes import Outcome, preload, run
from tests.http.kept_uploads import TEXTS, act, look

__all__ = ["folder", "ground"]

preload("tests.http.kept_uploads")

PLACES = ("upload.synced", "upload.placed", "upload.begun", "upload.indexed", "upload.recorded",
          "upload.removing", "upload.removed", "store.committed")  # fmt: skip


def wrong_after(killed: Outcome, found: dict[str, Any]) -> list[str]:
    """What is not as it was promised to be."""
    wrong: list[str] = []
    if not found["rested"]:
        wrong.append("it never comes to rest")
    gone = set(killed.all("deleting"))
    left = gone | set(killed.all("detaching"))
    for name in killed.all("kept"):
        if f"{name}.txt" not in found["files"] and name not in gone:
            wrong.append(f"{name} is lost")
    for name in killed.all("attached"):
        if found["states"].get(f"{name}.txt") != "completed" and name not in left:
            wrong.append(f"{name} is not indexed")
    for name in killed.all("detached") + killed.all("deleted"):
        if f"{name}.txt" in found["states"]:
            wrong.append(f"{name} is still attached")
    for name in killed.all("deleted"):
        if f"{name}.txt" in found["files"]:
            wrong.append(f"{name} is still there")
    if found["documents"] != found["sources"]:
        wrong.append(f"documents {found['documents']}, files {found['sources']}")
    if found["contents"] != found["needed"]:
        wrong.append(f"contents {found['contents']}, needed {found['needed']}")
    if any(name != f"{of}.txt" for name, of in found["attributes"].items()):
        wrong.append(f"attributes {found['attributes']}")
    return [*wrong, *found["damage"]]


def killed_at(plan: str, home: Path) -> list[str]:
    killed = run(act, home, plan=plan)
    if not killed.killed:
        return []  # the worker made fewer turns this time
    found = run(look, home).result
    shutil.rmtree(home)
    return [f"{plan}: {one}" for one in wrong_after(killed, found)]


@pytest.fixture(scope="module")
def rehearsed(ground: Path) -> Outcome:
    """The work, which nobody disturbs."""
    outcome = run(act, ground / "rehearsal")
    assert not outcome.error, outcome.describe()
    return outcome


def test_undisturbed_it_does_all_that_it_says(rehearsed: Outcome, ground: Path) -> None:
    found = run(look, ground / "rehearsal").result
    assert wrong_after(rehearsed, found) == []
    assert set(found["states"]) == {"lime.txt", "ivy.txt"}
    assert len(rehearsed.all("kept")) == len(TEXTS)


def test_killed_at_each_place_once_nothing_acknowledged_is_lost(
    rehearsed: Outcome, folder: Path
) -> None:
    hits: Counter[str] = Counter(rehearsed.all("hits")[0])
    assert set(PLACES) <= set(hits)
    wrong = [one for place in PLACES for one in killed_at(f"{place}=kill@1", folder / place)]
    assert wrong == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_anywhere_nothing_acknowledged_is_lost(rehearsed: Outcome, folder: Path) -> None:
    hits: Counter[str] = Counter(rehearsed.all("hits")[0])
    plans = [f"{place}=kill@{n}" for place in hits for n in range(1, hits[place] + 1)]
    wrong = [one for plan in plans for one in killed_at(plan, folder / plan)]
    assert wrong == []


def test_without_room_on_the_disk_an_upload_is_refused_and_leaves_nothing(folder: Path) -> None:
    refused = run(act, folder / "home", plan="upload.placed=full@2")
    assert refused.error
    assert refused.error["ours"], refused.describe()
    assert "No space left" in refused.error["text"]
    found = run(look, folder / "home").result
    assert wrong_after(refused, found) == []
    assert found["files"] == ["lime.txt"]
