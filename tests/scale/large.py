"""Large collections, stored without files and without a model."""

import random
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexes import ann
from indexes.collection import Collection
from indexes.database import Database
from indexes.derived import dimension
from indexes.home import DATABASE, VECTORS, collection_folder
from indexes.session import Prepared
from indexes.types import Chunk, Document

NAME = "large"
PER_DOCUMENT = 10
_AT_ONCE = 500

Rows = NDArray[np.float32]


def document(source: str, passages: Sequence[str], **facts: Any) -> Prepared:
    """A document whose passages are these, each on a page of its own."""
    text, chunks, at = "\n".join(passages), [], 0
    for page, passage in enumerate(passages, 1):
        chunks.append(Chunk(passage, at, at + len(passage), page))
        at += len(passage) + 1
    made = Document(
        source, source.rpartition("/")[2], "text", "en", len(text), 0, source, "2026-01-01",
        facts, text,
    )  # fmt: skip
    return Prepared(made, chunks)


def texts(count: int, seed: int, words: int = 8) -> list[str]:
    """Passages of drawn words, which all hold the word "shared"."""
    dice = random.Random(seed)
    known = [f"w{number}" for number in range(3_000)]
    return [f"shared {' '.join(dice.choices(known, k=words))}" for _ in range(count)]


def fill(
    collection: Collection, documents: Iterable[Prepared], encode: Callable[[list[str]], Rows]
) -> None:
    """Store documents in one turn, with the vectors that ``encode`` gives."""
    rest = iter(documents)
    with collection.writing() as session:
        collection.begin()
        while batch := list(islice(rest, _AT_ONCE)):
            passages = [chunk.text for one in batch for chunk in one.chunks]
            session.store(batch, encode(passages))


def database(home: Path) -> Database:
    return Database(collection_folder(home, NAME, create=False) / DATABASE)


def is_approximate(home: Path) -> bool:
    """Whether the live file of vectors is one that `ann` searches by approximation."""
    with closing(database(home)) as opened:
        file = opened.vector_file()
    if file is None:
        return False
    path = collection_folder(home, NAME, create=False) / VECTORS / file.name
    return not ann.is_exact(ann.deserialize(np.fromfile(path, np.uint8)))


def file_name(home: Path) -> str:
    with closing(database(home)) as opened:
        file = opened.vector_file()
    return file.name if file else ""


def stored_vectors(home: Path) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """The numbers and vectors of every living chunk, from the database."""
    with closing(database(home)) as opened, opened.reading():
        batches = list(opened.vector_batches(0, dimension(opened)))
    return np.concatenate([n for n, _ in batches]), np.concatenate([v for _, v in batches])


class Clustered:
    """An embedder of clustered vectors, drawn with the text as the seed. The vector of "near TEXT"
    is that of TEXT with some noise, as questions are near what answers them."""

    name = fingerprint = "clustered-384"
    dimension = 384
    max_tokens = 128

    def __init__(self, centres: int = 300, spread: float = 0.7) -> None:
        self._spread = spread
        shape = (centres, self.dimension)
        self._centres = np.random.default_rng(3).standard_normal(shape, np.float32)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Rows:
        if progress:
            progress(len(texts))
        return np.stack([self._drawn(text) for text in texts])

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[float(x) for x in row] for row in self.encode(texts)]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    def _drawn(self, text: str) -> Rows:
        dice = np.random.default_rng(zlib.crc32(text.encode()))
        noise = dice.standard_normal(self.dimension, np.float32)
        if text.startswith("near "):
            return _unit(self._drawn(text.removeprefix("near ")) + 0.02 * noise)
        return _unit(self._centres[dice.integers(len(self._centres))] + self._spread * noise)


def _unit(vector: Rows) -> Rows:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)
