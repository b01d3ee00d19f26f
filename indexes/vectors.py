"""Dense search: immutable FAISS snapshots derived from the database.

A file under ``vectors/`` is written once under a new name, fsynced, hashed, renamed and only then
named by the database; it is never changed. What the database holds beyond it (newer chunks) is
searched exactly beside it, and what was deleted since is masked out inside the search.
"""

import hashlib
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexes.database import Database, VectorFile

_ALWAYS_REBUILD_BELOW = 20_000
_REBUILD_SHARE = 8

Hits = list[tuple[int, float]]


def build(numbers: NDArray[np.int64], vectors: NDArray[np.float16]) -> Any:
    """An exact inner-product index over float16 codes; ids are chunk numbers."""
    import faiss

    codes = faiss.IndexScalarQuantizer(
        vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    index = faiss.IndexIDMap2(codes)
    index.add_with_ids(vectors.astype(np.float32), numbers)
    return index


@dataclass(frozen=True, slots=True)
class VectorSnapshot:
    """The vectors of one generation: FAISS indexes to search side by side, and the chunk numbers
    that are in one of them but dead."""

    generation: int
    indexes: tuple[Any, ...]
    removed: NDArray[np.int64]

    def search(
        self, query: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None
    ) -> Hits:
        """The ``k`` nearest living chunks to ``query`` (dimension,), as (chunk, cosine), best
        first. With ``allowed`` only those chunks are considered, inside the search."""
        import faiss

        selector = self._selector(allowed)
        params: Any = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        hits: Hits = []
        for index in self.indexes:
            scores, numbers = index.search(query[None, :], min(k, index.ntotal), params=params)
            hits += [
                (int(n), float(s)) for n, s in zip(numbers[0], scores[0], strict=True) if n >= 0
            ]
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]

    def scores(self, query: NDArray[np.float32], numbers: Sequence[int]) -> dict[int, float]:
        """The cosine of each of these chunks, where it is alive."""
        if not numbers:
            return {}
        wanted = np.asarray(numbers, dtype=np.int64)
        return dict(self.search(query, len(wanted), wanted))

    def count(self, numbers: Sequence[int]) -> int:
        """How many of these chunks a search could return."""
        held = np.concatenate([_ids(index) for index in self.indexes] or [np.empty(0, np.int64)])
        return int(np.isin(np.asarray(numbers, np.int64), np.setdiff1d(held, self.removed)).sum())

    def _selector(self, allowed: NDArray[np.int64] | None) -> Any:
        import faiss

        if allowed is not None:
            return faiss.IDSelectorBatch(np.setdiff1d(allowed, self.removed))
        return faiss.IDSelectorNot(faiss.IDSelectorBatch(self.removed))


def _ids(index: Any) -> NDArray[np.int64]:
    import faiss

    return np.asarray(faiss.vector_to_array(index.id_map), dtype=np.int64)


def load(database: Database, folder: Path, dimension: int) -> VectorSnapshot:
    """The snapshot of the database's present generation. A live file that is missing or does not
    have the recorded checksum is not used: everything is then taken from the database."""
    with database.transaction():
        file = database.vector_file()
        index = _read(folder, file) if file else None
        last = file.last_chunk if file and index is not None else 0
        numbers, vectors = database.vectors_after(last, dimension)
        removed = database.removed()
        generation = database.generation
    parts = [index] if index is not None else []
    if len(numbers):
        parts.append(build(numbers, vectors))
    return VectorSnapshot(generation, tuple(parts), removed)


def publish(database: Database, folder: Path, dimension: int) -> bool:
    """Write and publish a new file when enough has changed; tells whether it did.

    Small collections are rebuilt after each change, large ones when an eighth is new or gone.
    The caller holds the collection's write lock.
    """
    file = database.vector_file()
    last = file.last_chunk if file and (folder / file.name).is_file() else 0
    total = database.counts()[1]
    pending = database.pending(last)
    if not pending or (total > _ALWAYS_REBUILD_BELOW and pending * _REBUILD_SHARE < total):
        return False
    numbers, vectors = database.vectors_after(0, dimension)
    new = _write(folder, build(numbers, vectors), database.last_chunk())
    with database.transaction():
        database.publish_vectors(new)
    for stale in folder.iterdir():
        if stale.name != new.name:
            stale.unlink(missing_ok=True)
    return True


def _write(folder: Path, index: Any, last_chunk: int) -> VectorFile:
    """Not by ``faiss.write_index``, which can lose data on a full disk in silence."""
    import faiss

    folder.mkdir(parents=True, exist_ok=True)
    data = faiss.serialize_index(index)
    name = f"{uuid.uuid4().hex}.faiss"
    temporary = folder / f"{name}.tmp"
    with temporary.open("wb") as out:
        out.write(data.data)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(folder / name)
    sync_folder(folder)
    return VectorFile(name, hashlib.sha256(data.data).hexdigest(), last_chunk)


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut (POSIX only; elsewhere there is no way)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _read(folder: Path, file: VectorFile) -> Any | None:
    """The index, or nothing where the bytes are not those that were published: FAISS itself
    loads damaged pages without an error."""
    import faiss

    try:
        data = (folder / file.name).read_bytes()
    except OSError:
        return None
    if hashlib.sha256(data).hexdigest() != file.sha256:
        return None
    return faiss.deserialize_index(np.frombuffer(data, dtype=np.uint8))
