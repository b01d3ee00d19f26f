"""Whose turn it is to change a collection: one writer at a time, among threads and processes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from indexes.database import Database
from indexes.derived import Derived
from indexes.home import WRITE_LOCK, held, noted_holder
from indexes.session import Session


class Turns:
    """The turns of one process at the collection in ``folder``."""

    def __init__(self, folder: Path, database: Database, derived: Derived) -> None:
        self._folder = folder
        self._database = database
        self._derived = derived
        self._mutex = threading.RLock()
        self._lock = FileLock(folder / WRITE_LOCK)

    @contextmanager
    def take(self, patience: float) -> Iterator[Session]:
        """A turn, after other threads of this process have had theirs. After a failure the next
        turn puts in order what this one left. Raises `LockedError` where another process still
        writes after ``patience`` seconds."""
        with self._mutex, self.take_soon(patience) as session:
            yield session

    @contextmanager
    def take_soon(self, patience: float) -> Iterator[Session]:
        """`take`, but raises `LockedError` where another thread still writes as well."""
        with self._locked(patience):
            postings = self._derived.ready(self._database)
            session = Session(self._database, postings)
            try:
                yield session
                session.finish()
            except BaseException:
                postings.abandon()
                raise
            self._derived.publish(self._database)
            self._derived.clean(self._database)

    @contextmanager
    def _locked(self, patience: float) -> Iterator[None]:
        if not self._mutex.acquire(timeout=patience):
            raise held(self._folder)
        try:
            with self._lock.acquire(timeout=patience), noted_holder(self._folder):
                yield
        except Timeout:
            raise held(self._folder) from None
        finally:
            self._mutex.release()
