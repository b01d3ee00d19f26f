"""Who is at the door, and what it is led to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agents.doors.rights import Caller
from indexes.errors import UnknownCollectionError, UsageError
from indexes.i18n import t

if TYPE_CHECKING:
    from agents.doors.audit import Audit
    from agents.doors.gate import Gate
    from agents.doors.metrics import Metrics
    from agents.doors.shelf import Shelf

MOST_SEARCHED: Final = 8
"""Collections that one search goes through."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a connection may use. ``bound`` is the one collection that it is about, ``None`` for all
    that the caller sees; ``first`` is made where there is none at all. Files below ``folders`` may
    be indexed. ``local``: the client is on the same machine, and belongs to the same person.
    ``page`` is the address of the chat page, where there is one, with a slash at its end."""

    shelf: "Shelf"
    caller: Caller
    audit: "Audit"
    gate: "Gate | None" = None
    metrics: "Metrics | None" = None
    bound: str | None = None
    first: str = "default"
    folders: tuple[Path, ...] = ()
    local: bool = False
    page: str = ""

    @property
    def writes(self) -> bool:
        """Whether it may index."""
        return "write" in self.caller.rights

    def names(self) -> list[str]:
        """The collections that it is about."""
        found = self.shelf.names(self.caller)
        return [name for name in found if name == self.bound] if self.bound else found

    def several(self, named: str) -> list[str]:
        """The collections that are meant: the one that is ``named``, else all. Raises
        `UnknownCollectionError` where there is none, `UsageError` where there are too many."""
        if named or self.bound:
            return [self._one(named)]
        names = self.names()
        if not names:
            raise UnknownCollectionError(
                t("There is no collection yet. Make one with: waggle index PATH")
            )
        if len(names) > MOST_SEARCHED:
            raise _unnamed(names)
        return names

    def single(self, named: str) -> str:
        """The one collection that is meant. Raises as `several`, and `UsageError` where there are
        several."""
        names = self.several(named)
        if len(names) > 1:
            raise _unnamed(names)
        return names[0]

    def goal(self, named: str) -> str:
        """The collection that something is added to, which need not be there yet."""
        if named or self.bound:
            return self._one(named)
        return self.single("") if self.names() else self.first

    def _one(self, named: str) -> str:
        if self.bound and named and named != self.bound:
            raise UsageError(
                t("This connection is about the collection «{name}» alone.", name=self.bound)
            )
        return self.bound or named

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Within it the caller has its place among all others. Raises `BusyError`."""
        if self.gate is None:
            yield
        else:
            async with self.gate.slot(self.caller):
                yield


def _unnamed(names: list[str]) -> UsageError:
    return UsageError(t("Name the collection. There is: {known}.", known=", ".join(names)))
