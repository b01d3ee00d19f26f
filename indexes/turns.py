"""Whose turn it is to change a collection: one writer at a time, among threads and processes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from indexes.database import Database
from indexes.derived import Derived
from indexes.errors import LockedError
from indexes.home import holder, noted_holder
from indexes.i18n import t
from indexes.session import Session


class Turns:
    """The turns of one process at the collection in ``folder``."""

    def __init__(self, folder: Path, database: Database, derived: Derived) -> None:
        self._folder = folder
        self._database = database
        self._derived = derived
        self._mutex = threading.RLock()
        self._lock = FileLock(folder / "write.lock")

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
            raise self._held()
        try:
            with self._lock.acquire(timeout=patience), noted_holder(self._folder):
                yield
        except Timeout:
            raise self._held() from None
        finally:
            self._mutex.release()

    def _held(self) -> LockedError:
        return LockedError(
            t(
                "Another process is writing to the collection «{name}»: {holder}. Wait until "
                "it has finished, or stop it.",
                name=self._folder.name,
                holder=holder(self._folder),
            )
        )
