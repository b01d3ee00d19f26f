"""Several processes and threads at one collection."""

import os
import random
import time
from pathlib import Path

import pytest

from indexes.database import Database
from indexes.derived import Derived
from tests.faults.checks import act, check, expected_after, prepare
from tests.faults.processes import PATIENCE, Child, run
from tests.faults.scenarios import NAME, texts_of
from tests.faults.work import (
    add_one_by_one,
    add_slowly,
    apply,
    open_and_close,
    read_and_write,
    read_versions,
    versioned,
    write_versions,
)

NAMES = "ant bee cat dog elk fox gnu hen"


def test_the_second_writer_waits(folder: Path) -> None:
    first = Child(add_slowly, (folder, "ant", 1.0))
    while "encoding" not in first.hear():
        pass
    second = run(add_slowly, folder, "bee", 0.0)
    outcomes = [first.end(), second]
    assert [outcome.error for outcome in outcomes] == [None, None]
    expected = expected_after([told for outcome in outcomes for told in outcome.told])
    assert set(expected) == {"doc-ant", "doc-bee"}
    assert run(check, folder, expected).result == []


def test_who_waits_too_long_learns_who_writes(folder: Path) -> None:
    first = Child(add_slowly, (folder, "ant", 30.0))
    while "encoding" not in first.hear():
        pass
    refused = run(add_slowly, folder, "bee", 0.0, 0.2)
    first.kill()
    assert first.end().killed
    error = refused.error
    assert error
    assert error["kind"] == "LockedError"
    assert f"process {first.process.pid}, since 20" in error["text"]
    assert run(add_slowly, folder, "bee", 0.0, 0.2).error is None


def test_three_processes_begin_a_collection_and_lose_nothing(folder: Path) -> None:
    for turn in range(3):
        home = folder / str(turn)
        home.mkdir()
        names = ("ant bee cat", "dog elk fox", "gnu hen owl")
        children = [Child(add_one_by_one, (home, some)) for some in names]
        outcomes = [child.end() for child in children]
        assert [outcome.error for outcome in outcomes] == [None] * 3
        everything = {source: [text] for source, text in texts_of(" ".join(names)).items()}
        assert run(check, home, everything).result == []


def test_whoever_opens_waits_for_the_one_who_closes(folder: Path) -> None:
    children = [Child(open_and_close, (folder, 150)) for _ in range(3)]
    assert [child.end().error for child in children] == [None] * 3


def _prepared(folder: Path) -> None:
    assert run(apply, folder, versioned(NAMES, 1)).error is None


def test_sixteen_threads_read_whole_snapshots_while_one_writes(folder: Path) -> None:
    _prepared(folder)
    report = run(read_and_write, folder, NAMES, 4.0).result
    assert report["wrong"] == []
    assert report["last"] > 3
    assert report["generations"] > 3


@pytest.mark.parametrize("how", [{}, {"aside": True}, {"recut": True}])
def test_processes_read_whole_snapshots_while_one_writes(
    folder: Path, how: dict[str, bool]
) -> None:
    _read_while_written(folder, how, 3.0)


@pytest.mark.slow
@pytest.mark.parametrize("how", [{}, {"aside": True}, {"recut": True}])
def test_processes_read_for_longer(folder: Path, how: dict[str, bool]) -> None:
    _read_while_written(folder, how, 60.0)


def _write(say: object, home: Path, names: str, seconds: float, how: dict[str, bool]) -> int:
    return write_versions(say, home, names, seconds, **how)  # type: ignore[arg-type]


def _read_while_written(folder: Path, how: dict[str, bool], seconds: float) -> None:
    _prepared(folder)
    writer = Child(_write, (folder, NAMES, seconds, how))
    readers = [Child(read_versions, (folder, NAMES, seconds, 4)) for _ in range(4)]
    reports = [reader.end(seconds + PATIENCE).result for reader in readers]
    last = writer.end(seconds + PATIENCE).result
    assert [line for report in reports for line in report["wrong"]] == []
    assert all(report["answers"] > 3 for report in reports)
    assert last > 2
    final = {source: [text] for source, text in versioned(NAMES, last).items()}
    if not how.get("recut"):
        assert run(check, folder, final).result == []


def test_postings_that_are_newer_than_the_snapshot_are_not_read(folder: Path) -> None:
    """What was deleted since may be gone from them."""
    _prepared(folder)
    path = folder / "collections" / NAME
    database, latest = Database(path / "waggle.db"), Database(path / "waggle.db")
    derived = Derived(path)
    with database.reading():
        assert database.generation
        assert run(apply, folder, {"doc-ant": None}).error is None
        assert derived.reader(database, lambda: latest.generation) is None
    with database.reading():
        assert derived.reader(database, lambda: latest.generation)
    for connection in (database, latest):
        connection.close()


def test_ctrl_c_at_any_moment_leaves_everything_in_order(folder: Path) -> None:
    seed = int(os.environ.get("WAGGLE_FAULT_SEED", "0")) or random.randrange(1, 10**9)
    dice = random.Random(seed)
    for turn in range(5):
        home = folder / str(turn)
        before = run(prepare, home, "update").told
        child = Child(act, (home, "update"))
        child.hear()
        time.sleep(dice.uniform(0, 0.4))
        child.interrupt()
        outcome = child.end()
        where = f"WAGGLE_FAULT_SEED={seed}, turn {turn}: {outcome.describe()}"
        assert outcome.error is None or outcome.error["kind"] == "KeyboardInterrupt", where
        left = expected_after([*before, *outcome.told])
        assert run(check, home, left).result == [], where
