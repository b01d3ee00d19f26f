"""Sixteen threads search a large collection while one writes and files of vectors are made anew."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.session import Prepared
from tests.indexes.hash_embedder import HashEmbedder
from tests.scale.large import PER_DOCUMENT, document, file_name, fill, texts

READERS = 16
DOCUMENTS = 50
K = 50


def version(number: int) -> Iterator[Prepared]:
    """Fifty documents that are replaced together."""
    for which in range(DOCUMENTS):
        passages = texts(PER_DOCUMENT, 1000 * number + which)
        yield document(f"live/{which}", passages, live=True, version=number)


class Reader(threading.Thread):
    """Searches until it is told to stop, and writes down what must not be."""

    def __init__(self, collection: Collection, stop: threading.Event, which: int) -> None:
        super().__init__(daemon=True)
        self._collection, self._stop_now, self._which = collection, stop, which
        self.wrong: list[str] = []
        self.answers = self.beside_a_build = 0
        self.generations: set[int] = set()

    def run(self) -> None:
        newest = 0
        while not self._stop_now.is_set():
            building = self._collection._derived.building()
            try:
                newest = self._search(newest)
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not be
                self.wrong.append(repr(error))
                return
            self.answers += 1
            self.beside_a_build += building and self._collection._derived.building()

    def _search(self, newest: int) -> int:
        query = f"shared w{self.answers} w{self._which}"
        mode = ("hybrid", "dense", "lexical")[self.answers % 3]
        where = "live = true" if self.answers % 2 else None
        found = self._collection.search(query, k=K, where=where, mode=mode)  # type: ignore[arg-type]
        versions = {r.metadata["version"] for r in found.results if r.metadata.get("live")}
        if len(versions) > 1:
            self.wrong.append(f"versions {versions} in generation {found.generation}")
        if len(found.results) != K:
            self.wrong.append(f"{len(found.results)} results, {mode}, {where}")
        if found.generation < newest:
            self.wrong.append(f"generation {found.generation} after {newest}")
        self.generations.add(found.generation)
        return found.generation


@pytest.mark.timeout(600)
def test_readers_see_whole_versions_and_are_not_held_up(
    large: Path, large_collection: Collection
) -> None:
    embedder = HashEmbedder()
    fill(large_collection, version(0), embedder.encode)
    large_collection._derived.wait()
    built, stop = file_name(large), threading.Event()
    readers = [Reader(large_collection, stop, which) for which in range(READERS)]
    for reader in readers:
        reader.start()
    begun, written, builds = time.monotonic(), 0, 0
    while (time.monotonic() - begun < 5 or builds < 2) and time.monotonic() - begun < 120:
        written += 1
        fill(large_collection, version(written), embedder.encode)
        name = file_name(large)
        builds, built = builds + (name != built), name
    stop.set()
    for reader in readers:
        reader.join()
    assert [wrong for reader in readers for wrong in reader.wrong] == []
    assert builds >= 2
    assert min(reader.answers for reader in readers) > 5
    assert len({g for reader in readers for g in reader.generations}) > 3
    assert sum(reader.beside_a_build for reader in readers) > READERS
    last = large_collection.search("shared", k=K, where="live = true").results
    assert {result.metadata["version"] for result in last} == {written}
