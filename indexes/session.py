"""A writer's turn at a collection, and the order in which it commits.

Postings first, database last: what the database shows is everywhere (see `indexes.postings`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexes.database import Database
from indexes.failpoints import reach
from indexes.postings import Postings
from indexes.records import Span
from indexes.types import Chunk, Document, Metadata, StoredChunk


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that is ready to be stored but for its vectors."""

    document: Document
    chunks: Sequence[Chunk]


class Session:
    """Changes documents; the caller holds the collection's lock, and calls `finish` at the end."""

    def __init__(self, database: Database, postings: Postings) -> None:
        self.database = database
        self._postings = postings
        self._finished = False
        self._left_by_a_kill = database.get("postings_state") != postings.state()

    def store(self, batch: Sequence[Prepared], vectors: NDArray[np.float32]) -> int:
        """Store documents with the vectors (chunks, dimension) of all their chunks, in one
        transaction; returns how many replaced one of the same source."""
        at = updated = 0
        with self._changing() as added:
            for prepared in batch:
                end = at + len(prepared.chunks)
                span, replaced = self.database.insert(
                    prepared.document, prepared.chunks, vectors[at:end]
                )
                updated += replaced
                at = end
                added += [
                    StoredChunk(number, chunk, prepared.document)
                    for number, chunk in zip(span.numbers(), prepared.chunks, strict=True)
                ]
        return updated

    def delete(self, sources: Sequence[str]) -> dict[str, Span]:
        """Delete documents, in one transaction; returns what were their chunks."""
        if not sources:
            return {}
        with self._changing():
            spans = {source: self.database.delete(source) for source in sources}
        return {source: span for source, span in spans.items() if span}

    def touch(self, modified: Mapping[str, int]) -> None:
        """Record new times of modification (ns) of files that are unchanged."""
        if modified:
            with self.database.writing():
                for source, modified_ns in modified.items():
                    self.database.touch(source, modified_ns)

    def describe(self, metadata: Mapping[str, Metadata]) -> None:
        """Give documents, by their sources, other metadata."""
        with self.database.writing():
            for source, facts in metadata.items():
                self.database.describe(source, facts)
            self.database.next_generation()

    @contextmanager
    def _changing(self) -> Iterator[list[StoredChunk]]:
        added: list[StoredChunk] = []
        with self.database.writing():
            reach("store.begun")
            last, gone = self.database.last_chunk(), self.database.removed_postings()
            yield added
            reach("store.changed")
            if added:
                # Above ``last`` there can only be what a killed writer left.
                self._postings.change(added, gone, after=last)
                self._left_by_a_kill = False
                self.database.forget_postings(gone)
            self.database.unset("postings_state")
            self.database.next_generation()
            reach("store.committing")
        reach("store.committed")

    def finish(self) -> None:
        """Take what was deleted out of the postings, and record their state."""
        replaced = self.database.get("postings") != self._postings.folder.name
        if self._finished or replaced:
            return
        gone = self.database.removed_postings()
        if gone or self._left_by_a_kill:
            self._postings.change((), gone, after=self.database.last_chunk())
        self._postings.finish()
        if gone or not self.database.get("postings_state"):
            with self.database.writing():
                self.database.forget_postings(gone)
                self.database.set("postings_state", self._postings.state())
        reach("session.finished")
        self.database.checkpoint()
        reach("session.checkpointed")
        self._finished = True
