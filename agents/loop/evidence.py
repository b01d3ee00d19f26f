"""The passages that a run has seen, numbered from 1 in the order in which they came.

A tool hands them on as the artifact of its message, from which they are there again when the run
is gone on with.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from indexes.types import SearchResult

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

_KEY: Final = "passages"


class Evidence:
    """Numbers passages; the same passage keeps its number. ``goal`` is what they are sought for,
    where that is known."""

    def __init__(self, goal: str = "") -> None:
        self.goal = goal
        self._numbers: dict[tuple[str, int, int], int] = {}
        self._contexts: list[SearchResult] = []
        self._lock = threading.Lock()

    @property
    def contexts(self) -> tuple[SearchResult, ...]:
        """The passages; number ``n`` is at ``n - 1``."""
        with self._lock:
            return tuple(self._contexts)

    def number(self, passage: SearchResult) -> int:
        """The passage's number, a new one where it has not been seen."""
        key = (passage.source, passage.start, passage.end)
        with self._lock:
            if key not in self._numbers:
                self._contexts.append(passage)
                self._numbers[key] = len(self._contexts)
            return self._numbers[key]

    def artifact(self, passages: Sequence[SearchResult]) -> dict[str, Any]:
        """What a tool's message carries, so that `recall` finds the passages in it: plain values
        only, as they are stored."""
        return {_KEY: [{"number": self.number(one), **asdict(one)} for one in passages]}

    def recall(self, messages: Iterable["BaseMessage"]) -> None:
        """Number the passages in the artifacts of ``messages`` as they were numbered."""
        seen = [
            one for message in messages for one in _passages(getattr(message, "artifact", None))
        ]
        for one in sorted(seen, key=lambda one: int(one["number"])):
            values = {name: value for name, value in one.items() if name != "number"}
            values["heading"] = tuple(values["heading"])
            values["page_starts"] = tuple(values["page_starts"])
            self.number(SearchResult(**values))


def _passages(artifact: object) -> Sequence[dict[str, Any]]:
    found = artifact.get(_KEY, ()) if isinstance(artifact, Mapping) else ()
    return list(found)
