"""What a process does to a collection while a fault strikes it. Each scenario is given a folder
that `prepare` made, and tells through ``say`` what it is about to change and what was confirmed."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from indexes import derived, failpoints, migration, pipeline, repair
from indexes.collection import Collection
from indexes.embedding.base import Matrix, normalised
from indexes.made_with import Making
from indexes.schema import open_with_checksums
from tests.indexes.hash_embedder import HashEmbedder

NAME = "test"
GOLDEN = Path(__file__).resolve().parent.parent / "data" / "golden" / "format-1"
Say = Callable[..., None]
Texts = dict[str, str]


class OtherEmbedder(HashEmbedder):
    """Another model: half the dimension, shorter passages."""

    name = "hash-32"
    fingerprint = "hash-32"
    dimension = 32
    max_tokens = 96


class GoldenEmbedder(HashEmbedder):
    """Stands in for the model of the golden folder, whose vectors are only compared."""

    dimension = 384
    max_tokens = 256

    def __init__(self, name: str, fingerprint: str) -> None:
        self.name = name
        self.fingerprint = fingerprint

    def encode(self, texts: Any, progress: Any = None) -> Matrix:
        half = super().encode(texts, progress)
        rows = np.zeros((len(texts), 384), dtype=np.float32)
        rows[:, : half.shape[1]] = half[:, :384]
        return normalised(rows)


def word(name: str, version: int, sentence: int) -> str:
    """A word that stands in one sentence of one version of one document only."""
    digits = f"{version:02d}{sentence:03d}"
    return f"{name}x" + "".join(chr(ord("a") + int(digit)) for digit in digits)


def text_of(name: str, version: int = 1, sentences: int = 30) -> str:
    """About two passages, every sentence with a word of its own."""
    return " ".join(
        f"The keeper of {name} wrote {word(name, version, i)} about bees." for i in range(sentences)
    )


def texts_of(names: str, version: int = 1) -> Texts:
    """``"ant bee"`` → the sources ``ant`` and ``bee`` with a text each."""
    return {f"doc-{name}": text_of(name, version) for name in names.split()}


def golden_embedder() -> GoldenEmbedder:
    """With the name and the fingerprint that the golden folder has recorded."""
    return GoldenEmbedder(
        "all-MiniLM-L6-v2", "c006c9485a9bef2b32fa4211f98d5bc526db0fde6c16cd541e38233f4eced8ea"
    )


def embedder_of(home: Path) -> HashEmbedder:
    """That which the collection was made with."""
    path = home / "collections" / NAME / "waggle.db"
    facts: dict[str, Any] = {}
    if path.is_file() and path.stat().st_size:
        with_meta = open_with_checksums(path)
        try:
            if with_meta.pragma("user_version"):
                rows: Any = with_meta.execute("SELECT key, value FROM meta").fetchall()
                facts = dict(rows)
        finally:
            with_meta.close()
    fingerprint = facts.get("embedder_fingerprint", HashEmbedder.fingerprint)
    for kind in (HashEmbedder, OtherEmbedder):
        if fingerprint == kind.fingerprint:
            return kind()
    return golden_embedder()


def opened(home: Path, embedder: HashEmbedder) -> Collection:
    """The collection, with small batches so that a few documents make several of each."""
    pipeline._BATCH_CHUNKS = 4
    migration._BATCH = 2
    return Collection.open(NAME, home=home, embedder=embedder)


@dataclass
class Driver:
    """Changes a collection and tells about it."""

    collection: Collection
    say: Say

    def add(self, texts: Mapping[str, str]) -> None:
        self.say(begin=dict(texts))
        self.collection.add_texts(list(texts.values()), sources=list(texts))
        self.say(done=dict(texts))

    def remove(self, *sources: str) -> None:
        gone = dict.fromkeys(sources)
        present = {document.source for document, _ in self.collection.documents()}
        self.say(begin=gone)
        if names := [source for source in sources if source in present]:
            self.collection.remove(names)
        self.say(done=gone)


def _two(home: Path, say: Say) -> None:
    with opened(home, HashEmbedder()) as collection:
        driver = Driver(collection, say)
        driver.add(texts_of("ant bee cat"))
        driver.add(texts_of("dog elk"))


def _index(home: Path, say: Say) -> None:
    with opened(home, HashEmbedder()) as collection:
        driver = Driver(collection, say)
        driver.add(texts_of("ant bee cat"))
        driver.add(texts_of("dog"))
        driver.add(texts_of("elk fox gnu"))


def _update(home: Path, say: Say) -> None:
    with opened(home, HashEmbedder()) as collection:
        driver = Driver(collection, say)
        driver.add(texts_of("ant bee", 2))
        driver.add(texts_of("ant bee cat dog elk", 3))


def _remove(home: Path, say: Say) -> None:
    with opened(home, HashEmbedder()) as collection:
        driver = Driver(collection, say)
        driver.remove("doc-bee")
        driver.remove("doc-ant", "doc-elk")
        driver.add(texts_of("bee", 4))


def _files(home: Path) -> Path:
    return home / "files"


def _write(folder: Path, names: str, version: int) -> Texts:
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name in names.split():
        path = folder / f"{name}.txt"
        path.write_text(text_of(name, version), encoding="utf-8")
        os.utime(path, (version, version))
        written[str(path)] = text_of(name, version)
    return written


def _files_indexed(home: Path, say: Say) -> None:
    written = _write(_files(home), "ant bee cat dog elk", 1)
    with opened(home, HashEmbedder()) as collection:
        collection.add([_files(home)])
    say(done=written)


def _prune(home: Path, say: Say) -> None:
    folder = _files(home)
    changes: dict[str, str | None] = dict(_write(folder, "ant bee fox gnu", 2))
    os.utime(folder / "cat.txt", (9, 9))
    for name in ("dog", "elk"):
        (folder / f"{name}.txt").unlink(missing_ok=True)
        changes[str(folder / f"{name}.txt")] = None
    say(begin=changes)
    with opened(home, HashEmbedder()) as collection:
        collection.add([folder], prune=True)
    say(done=changes)


def _publish_aside(home: Path, say: Say) -> None:
    derived._AT_ONCE, derived._SHARE = 0, 10**9
    with opened(home, HashEmbedder()) as collection:
        driver = Driver(collection, say)
        # Without the waits, how often each place is passed would depend on who is quicker.
        driver.add(texts_of("fox gnu"))
        collection._derived.wait()
        driver.remove("doc-ant")
        collection._derived.wait()
        driver.add(texts_of("hen"))
        collection._derived.wait()


def _littered(home: Path, say: Say) -> None:
    _two(home, say)
    folder = home / "collections" / NAME
    (live,) = (folder / "postings").iterdir()
    for name in ("0123", "4567"):
        shutil.copytree(live, folder / "postings" / name)
        (live / f".tmp{name}").write_bytes(b"left")
        (folder / "vectors" / f"{name}.faiss").write_bytes(b"left")
        (folder / "vectors" / f"{name}.faiss.tmp").write_bytes(b"left")


def _clean(home: Path, say: Say) -> None:
    with opened(home, HashEmbedder()) as collection:
        Driver(collection, say).add(texts_of("fox"))


def _without_derived(home: Path, say: Say) -> None:
    _two(home, say)
    shutil.rmtree(home / "collections" / NAME / "postings")
    shutil.rmtree(home / "collections" / NAME / "vectors")


def _reembed(home: Path, say: Say) -> None:
    with opened(home, OtherEmbedder()) as collection:
        collection.reembed()
        Driver(collection, say).add(texts_of("fox"))


def golden_texts(home: Path) -> Texts:
    """The documents of a folder of format 1."""
    connection = open_with_checksums(home / "collections" / NAME / "waggle.db")
    rows: Any = connection.execute("SELECT source, text FROM documents").fetchall()
    connection.close()
    return dict(rows)


def _golden(home: Path, say: Say) -> None:
    shutil.copytree(GOLDEN, home / "collections" / NAME)
    say(done=golden_texts(home))


def _migrate(home: Path, say: Say) -> None:
    with opened(home, golden_embedder()) as collection:
        collection.search("honey")
        Driver(collection, say).add(texts_of("fox"))


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def _damaged_files(home: Path, say: Say) -> None:
    """Counts, postings and vectors that do not hold what they should, and a file of nobody's."""
    _two(home, say)
    folder = home / "collections" / NAME
    with_counts = open_with_checksums(folder / "waggle.db")
    with_counts.execute("UPDATE counts SET chunks = 77")
    with_counts.close()
    _flip(next((folder / "postings").glob("*/*.term")), 9)
    _flip(next((folder / "vectors").glob("*.faiss")), 99)
    (folder / "vectors" / "0123.faiss.tmp").write_bytes(b"left")
    (folder / "waggle.migrating").write_bytes(b"left")


def _damaged_rows(home: Path, say: Say) -> None:
    """A vector that is not that of its document, and a byte that is not that of its page."""
    _two(home, say)
    path = home / "collections" / NAME / "waggle.db"
    damaging = open_with_checksums(path)
    damaging.execute("UPDATE vectors SET vector = zeroblob(length(vector)) WHERE chunk = 1")
    pages = damaging.pragma("page_count")
    damaging.close()
    say(begin={"doc-ant": None})
    _flip(path, 4096 * (pages - 1) + 2000)


def _damaged_log(home: Path, say: Say) -> None:
    """A writer was killed, and what it had written to the log has a damaged byte at its end."""
    _two(home, say)
    say(begin=texts_of("fox"))
    child = os.fork()
    if not child:
        failpoints.plan("session.finished=kill@1")
        _clean(home, lambda **_: None)
    os.waitpid(child, 0)
    failpoints.plan("")
    log = home / "collections" / NAME / "waggle.db-wal"
    _flip(log, log.stat().st_size - 100)


def _repair(home: Path, say: Say) -> None:
    embedder = HashEmbedder()
    repair.repair(home / "collections" / NAME, NAME, making=Making(embedder))


def _nothing(home: Path, say: Say) -> None:
    home.mkdir(exist_ok=True)


@dataclass(frozen=True)
class Scenario:
    """``prepare`` makes the folder, ``act`` is what the fault strikes."""

    prepare: Callable[[Path, Say], None]
    act: Callable[[Path, Say], None]


SCENARIOS = {
    "index": Scenario(_nothing, _index),
    "update": Scenario(_two, _update),
    "remove": Scenario(_two, _remove),
    "prune": Scenario(_files_indexed, _prune),
    "publish_aside": Scenario(_two, _publish_aside),
    "clean": Scenario(_littered, _clean),
    "derived_lost": Scenario(_without_derived, _clean),
    "reembed": Scenario(_two, _reembed),
    "repair_files": Scenario(_damaged_files, _repair),
    "repair_rows": Scenario(_damaged_rows, _repair),
    "repair_log": Scenario(_damaged_log, _repair),
    "migrate": Scenario(_golden, _migrate),
}
