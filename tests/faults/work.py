"""What processes do in the tests with several of them."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from indexes import collection as door
from indexes import derived
from indexes.collection import Collection
from indexes.embedding.base import Matrix
from indexes.migration import open_database
from tests.faults.scenarios import NAME, Driver, Say, texts_of
from tests.indexes.hash_embedder import HashEmbedder

MODES = ("dense", "lexical", "hybrid")
_VERSION = re.compile(r"version (\d+) of (\w+)")


class SlowEmbedder(HashEmbedder):
    """Says that it is at work, and takes its time."""

    def __init__(self, say: Say, seconds: float) -> None:
        self._say = say
        self._seconds = seconds

    def encode(self, texts: Any, progress: Any = None) -> Matrix:
        if any("keeper" in text for text in texts):  # not what measures what a model knows
            self._say(encoding=len(texts))
            time.sleep(self._seconds)
        return super().encode(texts, progress)


def apply(say: Say, home: Path, changes: Mapping[str, str | None]) -> None:
    """Texts to add or replace, in one call, and then sources to remove, in one call."""
    with Collection.open(NAME, home=home, embedder=HashEmbedder()) as collection:
        apply_to(collection, changes, say)


def apply_to(collection: Collection, changes: Mapping[str, str | None], say: Say) -> None:
    driver = Driver(collection, say)
    if texts := {source: text for source, text in changes.items() if text is not None}:
        driver.add(texts)
    if gone := [source for source, text in changes.items() if text is None]:
        driver.remove(*gone)


def add_slowly(say: Say, home: Path, names: str, seconds: float, patience: float = 10) -> None:
    """Add documents, in one call, with a model that takes ``seconds``; wait so long for others."""
    door._LOCK_SECONDS = patience
    embedder = SlowEmbedder(say, seconds)
    with Collection.open(NAME, home=home, embedder=embedder) as collection:
        Driver(collection, say).add(texts_of(names))


def add_one_by_one(say: Say, home: Path, names: str) -> None:
    """Add documents, each in a call of its own."""
    door._LOCK_SECONDS = 60
    with Collection.open(NAME, home=home, embedder=HashEmbedder()) as collection:
        for name in names.split():
            Driver(collection, say).add(texts_of(name))


def open_and_close(_say: Say, folder: Path, times: int) -> None:
    """Open a database, write a word and close it, again and again."""
    for turn in range(times):
        database = open_database(folder)
        with database.writing():
            database.set("turn", str(turn))
        database.close()


def versioned(names: str, version: int) -> dict[str, str]:
    """Short texts that tell their version."""
    return {
        f"doc-{name}": f"The keeper wrote version {version} of {name} about bees and honey. " * 2
        for name in names.split()
    }


def write_versions(
    say: Say, home: Path, names: str, seconds: float, *, aside: bool = False, recut: bool = False
) -> int:
    """Replace every document in one call, again and again; returns the last version. With
    ``aside`` vector files are built in a thread, with ``recut`` everything is embedded anew at
    times."""
    if aside:
        derived._AT_ONCE, derived._SHARE = 0, 10**9
    end = time.monotonic() + seconds
    version = 1
    with Collection.open(NAME, home=home, embedder=HashEmbedder()) as collection:
        while time.monotonic() < end:
            version += 1
            if recut and version % 4 == 0:
                tokens = None if version % 8 else 16
                collection._making = replace(collection._making, chunk_tokens=tokens)
                collection.reembed()
            texts = versioned(names, version)
            collection.add_texts(list(texts.values()), sources=list(texts))
    return version


def read_versions(say: Say, home: Path, names: str, seconds: float, threads: int) -> dict[str, Any]:
    """Search with many threads at once; returns what was wrong, how many answers there were, and
    which generation showed which version."""
    with Collection.open(NAME, home=home, embedder=HashEmbedder(), create=False) as collection:
        return read_collection(collection, names, seconds, threads)


def read_collection(
    collection: Collection, names: str, seconds: float, threads: int
) -> dict[str, Any]:
    wrong: list[str] = []
    seen: dict[int, set[int]] = {}
    answers = [0] * threads
    end = time.monotonic() + seconds

    def read(thread: int) -> None:
        latest = 0
        while time.monotonic() < end and not wrong:
            mode = MODES[(thread + answers[thread]) % len(MODES)]
            try:
                response = collection.search("keeper bees honey version", 200, mode=mode)  # type: ignore[arg-type]
            except BaseException as error:  # noqa: BLE001 - any error is one too many
                wrong.append(f"{mode}: {type(error).__name__}: {error}")
                return
            answers[thread] += 1
            found = [
                match.groups() for r in response.results for match in _VERSION.finditer(r.text)
            ]
            versions = {int(version) for version, _ in found}
            if len(versions) != 1 or {name for _, name in found} != set(names.split()):
                wrong.append(f"{mode}, generation {response.generation}: {sorted(set(found))}")
            if len({r.chunk_id for r in response.results}) != len(response.results):
                wrong.append(f"{mode}: a chunk twice")
            if response.generation < latest:
                wrong.append(f"generation {response.generation} after {latest}")
            latest = response.generation
            seen.setdefault(latest, set()).update(versions)

    _together([lambda i=i: read(i) for i in range(threads)])  # type: ignore[misc]
    wrong += [f"generation {g} showed {v}" for g, v in seen.items() if len(v) > 1]
    return {"wrong": wrong, "answers": sum(answers), "generations": len(seen)}


def _together(work: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def read_and_write(say: Say, home: Path, names: str, seconds: float) -> dict[str, Any]:
    """A writer and sixteen readers in the threads of one process, with one `Collection`."""
    with Collection.open(NAME, home=home, embedder=HashEmbedder()) as collection:
        end = time.monotonic() + seconds
        last = 1

        def write() -> None:
            nonlocal last
            while time.monotonic() < end:
                texts = versioned(names, last + 1)
                collection.add_texts(list(texts.values()), sources=list(texts))
                last += 1

        writer = threading.Thread(target=write)
        writer.start()
        report = read_collection(collection, names, seconds, 16)
        writer.join()
        return {**report, "last": last}
