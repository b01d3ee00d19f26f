"""The two indexes that are derived from the database, kept together."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from indexes import vectors
from indexes.database import Database
from indexes.fusion import Knowledge, Script
from indexes.postings import Postings


class Derived:
    """Vectors and postings of one collection, opened when first needed."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._postings: Postings | None = None
        self._snapshot: vectors.VectorSnapshot | None = None

    @property
    def dimension(self) -> int:
        """Numbers in a vector; 0 while nothing has been added."""
        return int(self._database.get("dimension", "0"))

    def publish(self) -> None:
        """Bring both up to the database; the caller holds the write lock. The postings go first:
        they need the list of removed chunks, which a new vector file makes void."""
        if self.dimension:
            self.postings().refresh(self._database)
            vectors.publish(self._database, self._folder / "vectors", self.dimension)

    def postings(self) -> Postings:
        """The lexical index."""
        if self._postings is None:
            self._postings = Postings(self._folder / "postings")
        return self._postings

    def behind(self) -> bool:
        """Whether the postings lag behind the database, as after a kill."""
        return self.dimension > 0 and not self.postings().current(self._database)

    def knowledge(self) -> dict[Script, Knowledge]:
        """What the embedding model knows, as measured when the collection was begun."""
        stored = json.loads(self._database.get("knowledge", "{}"))
        return {script: Knowledge(**measured) for script, measured in stored.items()}

    def vectors(self) -> vectors.VectorSnapshot:
        """The vectors of the database's present generation."""
        if self._snapshot is None or self._snapshot.generation != self._database.generation:
            self._snapshot = vectors.load(self._database, self._folder / "vectors", self.dimension)
        return self._snapshot


def knowledge_to_json(measured: Mapping[Script, Knowledge]) -> str:
    """The form in which `Derived.knowledge` reads it back."""
    return json.dumps({script: asdict(knowledge) for script, knowledge in measured.items()})
