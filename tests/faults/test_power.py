"""The power goes off at any moment: nothing that was confirmed is lost.

Each scenario runs once, to its end, and what it does to its files is recorded (see `recording`).
From the recording come the states in which a cut at some moment may leave the disk (see `power`),
and in each of them the collection is opened and judged as after a kill.
"""

import os
import random
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from indexes.database import Database
from indexes.errors import DamagedError
from indexes.made_with import Making
from indexes.postings import Postings
from indexes.repair import repair as mend
from indexes.schema import FORMAT, open_with_checksums
from indexes.vectors import intact
from tests.faults.checks import check, expected_after, prepare
from tests.faults.power import Contents, Disk, Names, Op, Tree, corners
from tests.faults.processes import Told, run
from tests.faults.recording import record, tree_of
from tests.faults.scenarios import (
    NAME,
    SCENARIOS,
    Driver,
    Say,
    embedder_of,
    opened,
    text_of,
    texts_of,
)
from tests.indexes.hash_embedder import HashEmbedder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is recorded is Linux's way")

_AT_ONCE = 2
_IN_A_PROCESS = 10
"""So few states that one process has judged them all, on a busy machine too, before it would count
as silent."""
_DAMAGED = ("derived_lost", "repair")
"""What the database names is not there before the scenario has run."""


def _while_read(home: Path, say: Say) -> None:
    """A reader keeps the log from being emptied, so that what was confirmed is in it alone."""
    with opened(home, HashEmbedder()) as collection:
        driver = Driver(collection, say)
        reader = Database(home / "collections" / NAME / "waggle.db")
        with reader.reading():
            assert reader.counts()
            driver.add(texts_of("fox", 2))
            driver.remove("doc-bee")
            driver.add(texts_of("ant", 3))
        reader.close()


_ACTS: dict[str, Callable[[Path, Say], None]] = {
    **{name: scenario.act for name, scenario in SCENARIOS.items()},
    "while_read": _while_read,
}


@dataclass(frozen=True)
class Recording:
    """What a scenario did, and what had been confirmed before it began."""

    name: str
    confirmed: list[Told]
    tree: Tree
    ops: list[Op]


@dataclass(frozen=True)
class Cut:
    """The power goes off after so many operations; ``seed`` decides what chance decides."""

    after: int
    names: Names
    contents: Contents
    seed: int = 0


@dataclass(frozen=True)
class State:
    """What a cut left, and which texts each source may have now."""

    cut: Cut
    tree: Tree
    expected: dict[str, list[str | None]]


def _record(say: Say, home: Path, name: str) -> tuple[Tree, list[Op]]:
    return record(say, home, _ACTS[name])


class Recordings:
    """Each scenario once, when it is first needed."""

    def __init__(self, ground: Path) -> None:
        self._ground = ground
        self._known: dict[str, Recording] = {}

    def of(self, name: str) -> Recording:
        if name not in self._known:
            home = self.home(name)
            prepared = run(prepare, home, name if name in SCENARIOS else "update")
            assert not prepared.error, prepared.describe()
            tree, ops = run(_record, home, name).result
            self._known[name] = Recording(name, prepared.told, tree, ops)
        return self._known[name]

    def home(self, name: str) -> Path:
        return self._ground / "power" / name


@pytest.fixture(scope="module")
def recordings(ground: Path) -> Recordings:
    return Recordings(ground)


def _states(recording: Recording, cuts: Iterable[Cut]) -> Iterator[State]:
    """One after another, each once."""
    disk, done, seen = Disk(recording.tree), 0, set()
    for cut in sorted(cuts, key=lambda cut: cut.after):
        for op in recording.ops[done : cut.after]:
            disk.apply(op)
        done = cut.after
        told = [dict(op.told) for op in recording.ops[:done] if op.kind == "told"]
        tree = disk.after_cut(cut.names, cut.contents, random.Random(cut.seed))
        key = (len(told), frozenset(tree.items()))
        if key not in seen:
            seen.add(key)
            yield State(cut, tree, expected_after([*recording.confirmed, *told]))


def _moments(recording: Recording) -> tuple[list[int], list[int]]:
    """When something was just confirmed, and when most is in the balance: before each sync and
    before each change of a name."""
    ops = recording.ops
    told = [i + 1 for i, op in enumerate(ops) if op.kind == "told" and "done" in op.told]
    kinds = ("sync", "sync_folder", "rename", "unlink")
    return told, [i for i, op in enumerate(ops) if op.kind in kinds]


def _some(recording: Recording, dice: random.Random, count: int) -> list[Cut]:
    """With the least that the disk may hold whenever something was confirmed, and any others."""
    told, balance = _moments(recording)
    cuts = [Cut(at, Names.NONE, contents) for at in told for contents in Contents]
    for _ in range(count):
        anywhere = range(1, len(recording.ops) + 1)
        at = dice.choice(balance if dice.random() < 0.7 else anywhere)
        cuts.append(Cut(at, dice.choice([*Names]), dice.choice([*Contents]), dice.getrandbits(30)))
    return cuts


def _all(recording: Recording, dice: random.Random, count: int) -> list[Cut]:
    """Every corner at every moment, and ``count`` others for each moment in the balance."""
    told, balance = _moments(recording)
    cuts = [Cut(at, *corner) for at in {*told, *balance} for corner in corners()]
    for at in balance:
        for _ in range(count):
            names, seed = dice.choice([*Names]), dice.getrandbits(30)
            cuts.append(Cut(at, names, Contents.SOME, seed))
    return cuts


def _judge(say: Say, folder: Path, name: str, states: Sequence[State]) -> list[str]:
    """What is wrong in any of these states."""
    wrong = []
    for state in states:
        home = folder / f"{state.cut.after}"
        _lay(home, state.tree)
        cut = state.cut
        label = f"after {cut.after}, names {cut.names.value}, contents {cut.contents.value}"
        try:
            found = _check(say, home, name, state)
        except BaseException as error:  # noqa: BLE001 - no error is one that may come
            found = [f"{type(error).__name__}: {error}"]
        wrong += [f"{label}: {line}" for line in found]
        shutil.rmtree(home)
    return wrong


def _check(say: Say, home: Path, name: str, state: State) -> list[str]:
    repair = name if name.startswith("repair") else ""
    if state.cut.names is not Names.ANY:
        published = [] if name.startswith(_DAMAGED) else [*_published(home)]
        return [*published, *check(say, home, state.expected, repair)]
    # tantivy relies on the order of names in its folder. Where there is none its files may be
    # damaged, and then are made anew, or told in the first search that needs them; or left over,
    # and then `waggle verify` finds them.
    left = "files of postings that tantivy does not know"
    try:
        found = check(say, home, state.expected, repair)
    except DamagedError as error:
        if "The postings in" not in str(error):
            raise
        mend(home / "collections" / NAME, NAME, making=Making(embedder_of(home)))
        expected = {**state.expected, "doc-zzz": [None, text_of("zzz")]}
        found = check(say, home, expected, repair)
    return [line for line in found if left not in line]


def _lay(home: Path, tree: Tree) -> None:
    home.mkdir()
    for name, data in sorted(tree.items()):
        if data is None:
            (home / name).mkdir()
        else:
            (home / name).write_bytes(data)


def _published(home: Path) -> Iterator[str]:
    """Vectors and postings that the database names were on the disk before it named them."""
    path = home / "collections" / NAME / "waggle.db"
    if not path.is_file() or _format(path) != FORMAT:
        return
    database = Database(path)
    try:
        file, postings = database.vector_file(), database.get("postings")
    finally:
        database.close()
    if file and not intact(path.parent / "vectors", file):
        yield "the vectors that the database names are not there"
    if postings:
        Postings(path.parent / "postings" / postings).reader()


def _format(path: Path) -> int:
    connection = open_with_checksums(path)
    try:
        return int(connection.pragma("user_version"))
    finally:
        connection.close()


Choose = Callable[[Recording, random.Random, int], list[Cut]]


def _cut_everywhere(
    recordings: Recordings, folder: Path, names: Iterable[str], choose: Choose, count: int
) -> None:
    seed = int(os.environ.get("WAGGLE_FAULT_SEED", "0")) or random.randrange(1, 10**9)
    work: list[tuple[str, list[State]]] = []
    for name in names:
        recording = recordings.of(name)
        states = [*_states(recording, choose(recording, random.Random(seed), count))]
        work += [
            (name, states[i : i + _IN_A_PROCESS]) for i in range(0, len(states), _IN_A_PROCESS)
        ]
    assert len(work) >= len([*names])

    def judge(number: int) -> list[str]:
        name, states = work[number]
        (here := folder / str(number)).mkdir()
        judged = run(_judge, here, name, states)
        return [f"{name}, {line}" for line in judged.result]

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        wrong = [line for found in pool.map(judge, range(len(work))) for line in found]
    total = sum(len(states) for _, states in work)
    shown = "\n".join(wrong[:40])
    assert not wrong, f"WAGGLE_FAULT_SEED={seed}, {len(wrong)} lines, {total} states:\n{shown}"


@pytest.mark.parametrize("name", _ACTS)
def test_the_recording_is_complete(name: str, recordings: Recordings) -> None:
    """What was recorded, done again, gives the same files; only names that tantivy makes up for a
    moment are others."""
    recording = recordings.of(name)
    disk = Disk(recording.tree)
    for op in recording.ops:
        disk.apply(op)
    again = disk.after_cut(Names.ALL, Contents.ALL, random.Random(0))
    assert again == tree_of(recordings.home(name))
    assert {"write", "sync", "sync_folder"} <= {op.kind for op in recording.ops}


@pytest.mark.timeout(900)
def test_power_cut_nothing_is_lost(recordings: Recordings, folder: Path) -> None:
    _cut_everywhere(recordings, folder, _ACTS, _some, 10)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", _ACTS)
def test_power_cut_anywhere(name: str, recordings: Recordings, folder: Path) -> None:
    _cut_everywhere(recordings, folder, [name], _all, 2)
