"""What a reader sees: database, postings and vectors of one generation, whatever a writer does."""

import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexes.database import Database
from indexes.derived import Derived, dimension
from indexes.errors import DamagedError, LockedError
from indexes.i18n import t
from indexes.postings import PostingsReader
from indexes.vectors import MovedError, VectorSnapshot

_TRIES = 100
_MOVES = 2
"""Files that are missing twice, in two snapshots, are not such as were just replaced."""


@dataclass(frozen=True, slots=True)
class View:
    """One generation of a collection. ``lexical`` and ``dense`` are missing where they were not
    asked for, and in a collection that never held anything."""

    database: Database
    lexical: PostingsReader | None
    dense: VectorSnapshot | None

    def best_lexical(self, query: str, depth: int, k: int) -> dict[int, float]:
        """The best living chunks of the postings with their scores: up to ``depth``, and no fewer
        than ``k`` if there are so many. The postings may hold chunks that were deleted, or that a
        killed writer never committed; these must not take the place of others."""
        assert self.lexical is not None
        while True:
            hits = self.lexical.search(query, depth)
            living = self.database.living([number for number, _ in hits])
            if len(living) >= k or len(hits) < depth:
                return {number: score for number, score in hits if number in living}
            depth *= 4

    def stored(self, numbers: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Those of these chunks that are alive, and their vectors, as the database has them."""
        return self.database.vectors(numbers, dimension(self.database))


class Readers:
    """Views of a collection, for any number of threads at once."""

    def __init__(self, path: Path, derived: Derived) -> None:
        self._path = path
        self._derived = derived
        self._idle: queue.SimpleQueue[Database] = queue.SimpleQueue()

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get().close()

    @contextmanager
    def view(
        self, *, lexical: bool = False, dense: bool = False, lost: bool = False
    ) -> Iterator[View]:
        """The newest generation. Raises `DamagedError` where postings or vectors are damaged or
        missing; with ``lost``, vectors that are missing are read from the database."""
        with self.connection() as database:
            for attempt in range(_TRIES):
                with database.reading():
                    view = self._try(database, lexical, dense, lost, attempt)
                    if view:
                        yield view
                        return
        raise LockedError(t("The collection changes too fast to be read. Try again."))

    def _try(
        self, database: Database, lexical: bool, dense: bool, lost: bool, attempt: int
    ) -> View | None:
        """Nothing where a writer was quicker than the reader."""
        if not dimension(database):
            return View(database, None, None)
        try:
            reader = self._derived.reader(database, self.latest) if lexical else None
        except DamagedError:
            if attempt + 1 < _MOVES:
                return None
            raise
        if lexical and reader is None:
            return None
        try:
            vectors = self._derived.vectors(database, lost=lost) if dense else None
        except MovedError:
            if attempt + 1 < _MOVES:
                return None
            raise DamagedError(t("A file of vectors is damaged or missing.")) from None
        return View(database, reader, vectors)

    def latest(self) -> int:
        """The newest generation's number."""
        with self.connection() as database:
            return database.generation

    @contextmanager
    def connection(self) -> Iterator[Database]:
        """A connection that no other thread uses meanwhile."""
        try:
            database = self._idle.get_nowait()
        except queue.Empty:
            database = Database(self._path)
        try:
            yield database
        finally:
            self._idle.put(database)
