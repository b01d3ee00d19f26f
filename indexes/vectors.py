"""Dense search: immutable FAISS snapshots derived from the database.

A file under ``vectors/`` is written once under a new name, fsynced, hashed, renamed and only then
named by the database; it is never changed. What the database holds beyond it (newer chunks) is
searched exactly beside it, and what was deleted since is masked out inside the search.
"""

import hashlib
import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexes import ann
from indexes.database import Database
from indexes.failpoints import reach
from indexes.home import sync_folder
from indexes.records import VectorFile

_DIRECT = 2_000
"""So few chunks are compared one by one, from the database, rather than inside an index."""
_GROWTH = 2
"""Small indexes of newer chunks are read anew as one, unless each is more than so many times as
large as what came after it: then there are few, and no vector is read often."""

Hits = list[tuple[int, float]]
Stored = Callable[[Sequence[int]], tuple[NDArray[np.int64], NDArray[np.float16]]]


@dataclass(frozen=True, slots=True)
class VectorSnapshot:
    """The vectors of one generation: FAISS indexes to search side by side (the file ``file``, if
    there is one, and exact ones for newer chunks), and which chunks in them live. Part ``i`` holds
    no chunk above ``ends[i]``, and the next one none up to there."""

    generation: int
    file: str
    parts: tuple[Any, ...]
    ends: tuple[int, ...]
    alive: ann.Bitmap | None

    @property
    def last(self) -> int:
        """The last chunk in any part."""
        return self.ends[-1] if self.ends else 0

    @property
    def held(self) -> int:
        """Vectors in all parts, the dead ones included."""
        return sum(part.ntotal for part in self.parts)

    def search(
        self,
        query: NDArray[np.float32],
        k: int,
        stored: Stored,
        allowed: NDArray[np.int64] | None = None,
        certain: int | None = None,
    ) -> Hits:
        """The ``k`` nearest living chunks to ``query`` (dimension,), as (chunk, cosine), best
        first. With ``allowed``, living chunks in order, only those are considered, inside the
        search. ``stored`` gives the vectors of chunks as they are in the database. An approximate
        index takes pains over the first ``certain`` of them (by default all)."""
        if allowed is not None and len(allowed) <= _DIRECT:
            return _best(cosines(query, allowed.tolist(), stored), k)
        selector, share = self.alive, 1.0
        if allowed is not None:
            selector = ann.Bitmap.of(allowed, self.last)
            share = len(allowed) / max(1, self.held)
        found: dict[int, float] = {}
        for part in self.parts:
            if ann.is_exact(part):
                numbers, scores = ann.search(part, query, k, selector)
                found |= zip(numbers.tolist(), scores.tolist(), strict=True)
            else:
                numbers, _ = ann.search(part, query, certain or k, selector, share)
                found |= cosines(query, numbers.tolist(), stored)
        return _best(found, k)


def cosines(query: NDArray[np.float32], numbers: Sequence[int], stored: Stored) -> dict[int, float]:
    """The exact cosine of each of these chunks that is alive."""
    if not numbers:
        return {}
    alive, vectors = stored(numbers)
    return dict(zip(alive.tolist(), (vectors.astype(np.float32) @ query).tolist(), strict=True))


def _best(scores: dict[int, float], k: int) -> Hits:
    return sorted(scores.items(), key=lambda hit: (-hit[1], hit[0]))[:k]


class MovedError(Exception):
    """The file that a snapshot of the database names is not there: a newer one took its place
    meanwhile, or it is lost."""


def load(
    database: Database,
    folder: Path,
    dimension: int,
    known: VectorSnapshot | None = None,
    *,
    lost: bool = False,
) -> VectorSnapshot:
    """The snapshot of the generation that ``database`` is reading. What ``known``, of an earlier
    one, already holds is used again. Raises `MovedError` where the live file is missing or does
    not have the recorded checksum; with ``lost``, everything is then taken from the database."""
    file = database.vector_file()
    name = file.name if file else ""
    if known and known.file == name:
        parts, ends = _kept(known, database.last_chunk())
    else:
        index = _read(folder, file) if file else None
        if file and index is None and not lost:
            raise MovedError
        parts, ends = ([], []) if index is None or file is None else ([index], [file.last_chunk])
    last = ends[-1] if ends else 0
    newer = ann.create(dimension, 0, np.empty((0, dimension), np.float32))
    for numbers, vectors in database.vector_batches(last, dimension):
        ann.add(newer, numbers, vectors)
        last = int(numbers[-1])
    if newer.ntotal:
        parts.append(newer)
        ends.append(last)
    alive = _alive(database.removed_vectors(), last)
    return VectorSnapshot(database.generation, name, tuple(parts), tuple(ends), alive)


def _kept(known: VectorSnapshot, last_chunk: int) -> tuple[list[Any], list[int]]:
    """The parts that are used again beside one for what is newer, and their ends."""
    parts, ends = list(known.parts), list(known.ends)
    newer = last_chunk - known.last
    while newer and len(parts) > bool(known.file) and parts[-1].ntotal <= _GROWTH * newer:
        newer += parts.pop().ntotal
        ends.pop()
    return parts, ends


def _alive(removed: NDArray[np.int64], last: int) -> ann.Bitmap | None:
    """Everything but ``removed``; nothing where that is everything."""
    removed = removed[removed <= last]
    if not len(removed):
        return None
    living = np.ones(last + 1, dtype=bool)
    living[removed] = False
    return ann.Bitmap(living)


def write(database: Database, folder: Path, dimension: int, prefix: str = "") -> VectorFile:
    """Write a file of every chunk that lives in the generation that ``database`` is reading, not
    yet known to the database."""
    last = database.last_chunk(prefix)
    total = database.counts()[1]
    step = max(1, total // max(1, ann.sample_size(total)))
    sample = [np.empty((0, dimension), np.float32)]
    if ann.sample_size(total):
        sample += [
            vectors[::step].astype(np.float32)
            for _, vectors in database.vector_batches(0, dimension, prefix=prefix)
        ]
    index = ann.create(dimension, total, np.concatenate(sample))
    for numbers, vectors in database.vector_batches(0, dimension, prefix=prefix):
        ann.add(index, numbers, vectors)
    reach("vectors.built")
    return _save(folder, index, last)


def _save(folder: Path, index: Any, last_chunk: int) -> VectorFile:
    """Not by ``faiss.write_index``, which can lose data on a full disk in silence."""
    folder.mkdir(parents=True, exist_ok=True)
    data = ann.serialize(index)
    name = f"{uuid.uuid4().hex}.faiss"
    temporary = folder / f"{name}.tmp"
    with temporary.open("wb") as out:
        out.write(data.data[: len(data) // 2])
        reach("vectors.half_written")
        out.write(data.data[len(data) // 2 :])
        out.flush()
        os.fsync(out.fileno())
    reach("vectors.written")
    temporary.replace(folder / name)
    sync_folder(folder)
    reach("vectors.renamed")
    return VectorFile(name, hashlib.sha256(data.data).hexdigest(), last_chunk)


def intact(folder: Path, file: VectorFile) -> bool:
    """Whether the file is there, with the bytes that were published."""
    return _bytes(folder, file) is not None


def _read(folder: Path, file: VectorFile) -> Any | None:
    """The index, or nothing where the bytes are not those that were published: FAISS itself
    loads damaged pages without an error."""
    data = _bytes(folder, file)
    return None if data is None else ann.deserialize(data)


def _bytes(folder: Path, file: VectorFile) -> NDArray[np.uint8] | None:
    try:
        data = np.fromfile(folder / file.name, dtype=np.uint8)
    except OSError:
        return None
    return data if hashlib.sha256(data.data).hexdigest() == file.sha256 else None
