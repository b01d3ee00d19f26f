"""The two indexes that are derived from the database, kept together.

::

    waggle.db              names the live ones of the files below
    postings/NAME/         tantivy
    vectors/NAME.faiss     FAISS; its checksum is in the database
    vectors/build.lock     held by whoever builds a new file
"""

import json
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from indexes import vectors
from indexes.database import Database
from indexes.errors import DamagedError
from indexes.failpoints import reach
from indexes.fusion import Knowledge, Script
from indexes.home import BUILD_LOCK, POSTINGS, VECTORS, sync_folder
from indexes.postings import Postings, PostingsReader, remove
from indexes.records import VectorFile
from indexes.types import StoredChunk
from indexes.vectors import VectorSnapshot
from indexes.words import ANALYSIS_VERSION

_AT_ONCE = 5_000
"""Up to so many chunks the FAISS file is made anew after each change; it takes 30 ms. Above, in a
thread of its own, and when an eighth is new or gone."""
_SHARE = 8
_COMMIT = 20_000
_PATIENCE = 5.0
"""Seconds that a builder waits for the lock: whoever cleans up holds it for a moment, just when the
builder begins."""


class Derived:
    """Vectors and postings of the collection in ``folder``. Safe to use from several threads, each
    with its own `Database`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mutex = threading.Lock()
        self._postings: Postings | None = None
        self._reader: tuple[int, PostingsReader] | None = None
        self._snapshot: VectorSnapshot | None = None
        self._builder: threading.Thread | None = None

    # -- for readers -------------------------------------------------------------------------

    def reader(self, database: Database, latest: Callable[[], int]) -> PostingsReader | None:
        """The postings of the generation that ``database`` is reading; nothing where a writer was
        quicker, so that the snapshot must be taken anew. ``latest`` tells the newest generation
        that is committed."""
        generation = database.generation
        with self._mutex:
            if self._reader and self._reader[0] == generation:
                return self._reader[1]
            reader = self.postings(database).reader()
            # Postings of chunks that were deleted since this snapshot may be gone by now.
            if latest() != generation:
                return None
            self._reader = (generation, reader)
            return reader

    def vectors(self, database: Database, *, lost: bool = False) -> VectorSnapshot:
        """The vectors of the generation that ``database`` is reading (see `vectors.load`)."""
        with self._mutex:
            known = self._snapshot
            if known and known.generation == database.generation:
                return known
            # Row numbers begin anew when every document was embedded again.
            if known and known.generation > database.generation:
                known = None
            fresh = vectors.load(
                database, self._folder / VECTORS, dimension(database), known, lost=lost
            )
            if self._snapshot is None or self._snapshot.generation < fresh.generation:
                self._snapshot = fresh
            return fresh

    def postings(self, database: Database) -> Postings:
        """The live postings. Raises `DamagedError` where they are missing, cannot be read, or were
        made by other rules."""
        name = database.get("postings")
        if not name or database.get("postings_analysis") != ANALYSIS_VERSION:
            raise DamagedError("postings")
        folder = self._folder / POSTINGS / name
        if self._postings is None or self._postings.folder != folder:
            self._postings = Postings(folder)
        return self._postings

    # -- for the writer, who holds the collection's lock ---------------------------------------

    def ready(self, database: Database) -> Postings:
        """The live postings, made anew where they cannot serve."""
        with self._mutex:
            try:
                return self.postings(database)
            except DamagedError:
                fresh = self.write_postings(database.every_chunk())
                with database.writing():
                    name_postings(database, fresh)
                reach("postings.published")
                self._reader = None
                return self.postings(database)

    def write_postings(self, chunks: Iterable[StoredChunk]) -> Postings:
        """Write postings of ``chunks`` in a new folder."""
        fresh = Postings(self._folder / POSTINGS / uuid.uuid4().hex, create=True)
        for batch in _batched(chunks):
            fresh.change(batch)
        fresh.change(())
        fresh.finish()
        sync_folder(self._folder / POSTINGS)
        sync_folder(self._folder)
        reach("postings.written")
        return fresh

    def reachable(self, database: Database, numbers: Sequence[int]) -> int:
        """How many of these chunks a dense search could return: those with a stored vector, and
        those that the live FAISS file holds and does not mask."""
        file = database.vector_file()
        in_file = {n for n in numbers if file and n <= file.last_chunk}
        unmasked = in_file.difference(database.removed_vectors().tolist())
        stored, _ = database.vectors(numbers, dimension(database))
        return len(unmasked.union(stored.tolist()))

    @contextmanager
    def other_vectors(
        self, database: Database, dimension: int, prefix: str
    ) -> Iterator[VectorFile]:
        """A FAISS file of the passages in the tables with ``prefix``; nobody cleans it up until
        the block ends. Waits for whoever builds a file now."""
        folder = self._vectors_folder()
        with FileLock(folder / BUILD_LOCK):
            yield vectors.write(database, folder, dimension, prefix)

    def _vectors_folder(self) -> Path:
        folder = self._folder / VECTORS
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(self._folder)
        return folder

    def discard_damaged(self, database: Database) -> None:
        """Remove a FAISS file that is not what was published, so that `publish` makes it anew."""
        folder, file = self._folder / VECTORS, database.vector_file()
        if file and not vectors.intact(folder, file):
            (folder / file.name).unlink(missing_ok=True)

    def publish(self, database: Database) -> None:
        """Write a new FAISS file if enough has changed: at once if that is quick, else in a thread
        for which `wait` waits."""
        total = database.counts()[1]
        file = database.vector_file()
        there = file and (self._folder / VECTORS / file.name).is_file()
        pending = database.pending(file.last_chunk if file and there else 0)
        if not pending or (total > _AT_ONCE and pending * _SHARE < total):
            return
        if total <= _AT_ONCE:
            self.build(database)
        elif self._builder is None or not self._builder.is_alive():
            self._builder = threading.Thread(
                target=self._build_aside, args=(database.path,), daemon=True, name="vectors"
            )
            self._builder.start()

    def building(self) -> bool:
        """Whether a FAISS file is being written in this process."""
        return self._builder is not None and self._builder.is_alive()

    def wait(self) -> None:
        """Wait until it is written."""
        if self._builder is not None:
            self._builder.join()

    def _build_aside(self, path: Path) -> None:
        database = Database(path)
        try:
            self.build(database)
        finally:
            database.close()

    def build(self, database: Database) -> None:
        """Write and publish a FAISS file of all living chunks, unless another process does."""
        folder = self._vectors_folder()
        try:
            with FileLock(folder / BUILD_LOCK).acquire(timeout=_PATIENCE):
                with database.reading():
                    generation, rows = database.generation, database.get("passages")
                    file = vectors.write(database, folder, dimension(database))
                with database.writing():
                    # Numbers of chunks mean others when all were embedded again meanwhile.
                    if database.get("passages") == rows:
                        database.publish_vectors(file, generation)
                    reach("vectors.publishing")
                reach("vectors.published")
        except Timeout:
            return

    def clean(self, database: Database) -> None:
        """Remove files that no snapshot names: what newer ones replaced, and the remains of
        writers that were killed."""
        live = database.get("postings")
        for path in _entries(self._folder / POSTINGS):
            if path.name != live:
                reach("clean.postings")
                remove(path)
        for path in (self._folder / POSTINGS / live).glob(".tmp*"):
            reach("clean.temporary")  # what tantivy was about to rename when it was killed
            path.unlink(missing_ok=True)
        try:
            with FileLock(self._folder / VECTORS / BUILD_LOCK).acquire(timeout=0):
                file = database.vector_file()
                for path in _entries(self._folder / VECTORS):
                    if path.name not in (BUILD_LOCK, file.name if file else ""):
                        reach("clean.vectors")
                        path.unlink(missing_ok=True)
        except (Timeout, FileNotFoundError):
            return  # the builder at work cleans up


def dimension(database: Database) -> int:
    """Numbers in a vector; 0 while nothing has been added."""
    return int(database.get("dimension", "0"))


def name_postings(database: Database, fresh: Postings) -> None:
    """Make ``fresh``, which holds every living chunk and no other, the live postings."""
    database.set("postings", fresh.folder.name)
    database.set("postings_analysis", ANALYSIS_VERSION)
    database.set("postings_state", fresh.state())
    database.forget_postings(database.removed_postings())


def knowledge(database: Database) -> dict[Script, Knowledge]:
    """What the embedding model knows, as measured when the collection was begun."""
    stored = json.loads(database.get("knowledge", "{}"))
    return {script: Knowledge(**measured) for script, measured in stored.items()}


def knowledge_to_json(measured: Mapping[Script, Knowledge]) -> str:
    """The form in which `knowledge` reads it back."""
    return json.dumps({script: asdict(known) for script, known in measured.items()})


def _batched(chunks: Iterable[StoredChunk]) -> Iterator[list[StoredChunk]]:
    batch: list[StoredChunk] = []
    for chunk in chunks:
        batch.append(chunk)
        if len(batch) == _COMMIT:
            yield batch
            batch = []
    if batch:
        yield batch


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
