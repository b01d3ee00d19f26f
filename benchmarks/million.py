"""A large collection: how long it takes to open, to search and to remove from, and how large it is.

``python -m benchmarks.million --chunks 1000000 --folder FOLDER`` makes a collection of that many
passages (words drawn by Zipf's law, a fifth of the documents Chinese; vectors around random
centres, or those of ``--vectors FILE.npy``, float16 of shape (rows, 384)), unless the folder
already holds one, and measures it in a process of its own. It prints a Markdown table.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine
from indexes.collection import Collection
from indexes.home import collection_folder, disk_usage
from indexes.session import Prepared
from indexes.types import Chunk, Document

DIMENSION = 384
_PER_DOCUMENT = 10
_DOCUMENTS_AT_ONCE = 500
_WORDS = 80
_QUERIES = 200
_NAME = "large"
_SEED = 7


class Drawn:
    """An embedding model that knows nothing: a text's vector is drawn with the text's length as
    the seed. Only queries come here; passages bring their vectors along."""

    name = fingerprint = "drawn"
    dimension = DIMENSION
    max_tokens = 256

    def __init__(self, vectors: "Vectors") -> None:
        self._vectors = vectors

    def count_tokens(self, text: str) -> int:
        return len(text)

    def encode(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        if progress:
            progress(len(texts))
        return np.asarray([self.embed_query(text) for text in texts], dtype=np.float32)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [float(number) for number in self._vectors.near(len(text))]


class Vectors:
    """Unit vectors, from a file or around random centres."""

    def __init__(self, file: Path | None) -> None:
        self._random = np.random.default_rng(_SEED)
        self._centres = self._random.standard_normal((20_000, DIMENSION), np.float32)
        self._file = np.load(file, mmap_mode="r") if file else None

    def rows(self, first: int, count: int) -> NDArray[np.float32]:
        """The vectors ``first`` to ``first + count``."""
        if self._file is not None:
            return np.asarray(self._file[np.arange(first, first + count) % len(self._file)],
                              dtype=np.float32)  # fmt: skip
        random = np.random.default_rng([_SEED, first])
        near = self._centres[random.integers(len(self._centres), size=count)]
        return _unit(near + random.standard_normal((count, DIMENSION), np.float32))

    def near(self, seed: int) -> NDArray[np.float32]:
        """A query: a passage's vector with noise."""
        random = np.random.default_rng(seed)
        noise = 0.03 * random.standard_normal(DIMENSION).astype(np.float32)
        row: NDArray[np.float32] = _unit(self.rows(int(random.integers(100_000)), 1) + noise)[0]
        return row


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


class Words:
    """Text with the word frequencies of language."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(_SEED)
        letters = np.array(list("etaoinshrdlucmfwypvbgk"))
        self._english = [
            "".join(self._random.choice(letters, size=self._random.integers(3, 10)))
            for _ in range(60_000)
        ]
        han = [chr(code) for code in range(0x4E00, 0x4E00 + 3000)]
        self._chinese = ["".join(self._random.choice(han, size=2)) for _ in range(30_000)]

    def passage(self, *, chinese: bool) -> str:
        words = self._chinese if chinese else self._english
        ranks = np.minimum(self._random.zipf(1.15, _WORDS), len(words)) - 1
        return ("" if chinese else " ").join(words[rank] for rank in ranks) + "."

    def query(self) -> str:
        """Eight words, frequent and rare."""
        ranks = np.minimum(self._random.zipf(1.15, 8), len(self._english)) - 1
        return " ".join(self._english[rank] for rank in ranks)


def documents(chunks: int) -> Iterator[Prepared]:
    """So many passages, ten in a document."""
    words = Words()
    for number in range(chunks // _PER_DOCUMENT):
        chinese = number % 5 == 0
        passages = [words.passage(chinese=chinese) for _ in range(_PER_DOCUMENT)]
        text, spans, at = "\n".join(passages), [], 0
        for passage in passages:
            spans.append(Chunk(passage, at, at + len(passage)))
            at += len(passage) + 1
        facts = {"number": number, "rare": number % 50_000 == 7}
        document = Document(
            f"made:{number}", f"Document {number}", "text", "zh" if chinese else "en", len(text), 0,
            f"{number:064x}", "2026-01-01T00:00:00+00:00", facts, text,
        )  # fmt: skip
        yield Prepared(document, spans)


def build(home: Path, chunks: int, vectors: Vectors) -> dict[str, float]:
    """Fill the collection; returns the seconds for storing, and for the vector index."""
    started = time.perf_counter()
    made, batch = 0, []
    with Collection.open(_NAME, home=home, embedder=Drawn(vectors)) as collection:
        with collection.writing() as session:
            collection.begin()
            for prepared in documents(chunks):
                batch.append(prepared)
                if len(batch) == _DOCUMENTS_AT_ONCE:
                    rows = sum(len(one.chunks) for one in batch)
                    session.store(batch, vectors.rows(made, rows))
                    made, batch = made + rows, []
                    print(f"{made:,} passages, {time.perf_counter() - started:.0f} s",
                          file=sys.stderr, flush=True)  # fmt: skip
            if batch:
                session.store(batch, vectors.rows(made, sum(len(one.chunks) for one in batch)))
        stored = time.perf_counter() - started
    return {"store s": stored, "vector index s": time.perf_counter() - started - stored}


def measure(home: Path, vectors: Vectors) -> dict[str, float]:
    """What a process that has just been started finds."""
    words = Words()
    queries = [words.query() for _ in range(_QUERIES)]
    figures: dict[str, float] = {}
    started = time.perf_counter()
    with closing(Collection.open(_NAME, home=home, embedder=Drawn(vectors))) as collection:
        collection.search(queries[0])
        figures["first query s"] = time.perf_counter() - started
        for mode, stage in (("dense", "dense"), ("lexical", "lexical"), ("hybrid", "total")):
            spent = [collection.search(q, mode=mode).timings_ms[stage] for q in queries]  # type: ignore[arg-type]
            figures[f"{mode} p50 ms"], figures[f"{mode} p95 ms"] = np.percentile(spent, [50, 95])
        for where in ("rare = true", 'lang = "zh"'):
            begun = time.perf_counter()
            found = collection.search(queries[1], where=where)
            figures[f"where {where} ms"] = (time.perf_counter() - begun) * 1000
            figures[f"where {where} results"] = len(found.results)
        figures["memory MB"] = _memory() / 1e6
        figures |= _removals(collection)
        status = collection.status()
    text = _text_bytes(home)
    figures["disk MB"] = status.bytes / 1e6
    figures["disk / (text + float16 vectors)"] = status.bytes / (
        text + status.chunks * 2 * DIMENSION
    )
    return figures


def _removals(collection: Collection) -> dict[str, float]:
    spent = []
    sources = [document.source for document, _ in collection.documents()]
    for source in sources[3 :: len(sources) // 20]:
        begun = time.perf_counter()
        collection.remove([source])
        spent.append((time.perf_counter() - begun) * 1000)
    p50, p95 = np.percentile(spent, [50, 95])
    return {"removal p50 ms": p50, "removal p95 ms": p95}


def _memory() -> int:
    """The largest resident size of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _text_bytes(home: Path) -> int:
    from indexes.database import Database
    from indexes.home import DATABASE

    with closing(Database(collection_folder(home, _NAME, create=False) / DATABASE)) as database:
        sql = "SELECT sum(octet_length(text)) FROM texts"
        return int(next(iter(database.connection.execute(sql)))[0])


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--chunks", type=int, default=1_000_000)
    arguments.add_argument("--folder", type=Path, required=True)
    arguments.add_argument("--vectors", type=Path)
    arguments.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    vectors = Vectors(options.vectors)
    if options.measure:
        print(json.dumps(measure(options.folder, vectors)))
        return 0
    figures: dict[str, float] = {}
    if not (options.folder / "collections" / _NAME).exists():
        figures |= build(options.folder, options.chunks, vectors)
    command = [sys.executable, "-m", "benchmarks.million", "--measure", *sys.argv[1:]]
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    figures |= json.loads(done.stdout)
    print(
        f"{options.chunks:,} passages on {machine()}, {disk_usage(options.folder) / 1e6:.0f} MB\n"
    )
    print("| | |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value:,.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
