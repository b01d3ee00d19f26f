"""Views for searching: whoever finds a derived index damaged makes it anew."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from indexes.database import Database
from indexes.derived import Derived
from indexes.errors import DamagedError, LockedError
from indexes.snapshot import Readers, View
from indexes.turns import Turns


class Mending:
    """Views of a collection that are sound, if that can be had."""

    def __init__(
        self, readers: Readers, turns: Turns, derived: Derived, database: Database
    ) -> None:
        self._readers = readers
        self._turns = turns
        self._derived = derived
        self._database = database

    @contextmanager
    def view(self, *, lexical: bool, dense: bool, patience: float) -> Iterator[View]:
        """The newest generation; vectors that are still missing are read from the database. Raises
        `LockedError` where another writes after ``patience`` seconds and postings are damaged,
        without which there is no lexical search."""
        with ExitStack() as stack:
            try:
                view = stack.enter_context(self._readers.view(lexical=lexical, dense=dense))
            except DamagedError:
                self._mend(patience if lexical and self._lost_postings() else None)
                view = stack.enter_context(
                    self._readers.view(lexical=lexical, dense=dense, lost=True)
                )
            yield view

    def _mend(self, patience: float | None) -> None:
        """In a writer's turn. A writer at work would do the same: it is waited for only with
        ``patience``."""
        try:
            with self._turns.take_soon(patience or 0):
                self._derived.discard_damaged(self._database)
        except LockedError:
            if patience is not None:
                raise

    def _lost_postings(self) -> bool:
        try:
            with self._readers.view(lexical=True):
                return False
        except DamagedError:
            return True
