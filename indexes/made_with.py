"""What a collection was made with: its embedding model, and how documents were cut."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from indexes.database import Database
from indexes.derived import knowledge_to_json
from indexes.embedding import Embedder, LangChainEmbedder, embedder_of
from indexes.errors import EmbedderMismatchError
from indexes.i18n import t
from indexes.probes import measure_knowledge
from indexes.settings import IndexSettings
from indexes.splitter import SPLITTING_VERSION


@dataclass(frozen=True, slots=True)
class Making:
    """The embedding model that is set now, and the tokens of a passage (by default as many as the
    model reads)."""

    embedder: Embedder
    chunk_tokens: int | None = None

    @property
    def splitting(self) -> str:
        """Equal for two ways of cutting exactly when they cut at the same places."""
        return f"{SPLITTING_VERSION}/{self.chunk_tokens or 'model'}"

    def record(self, database: Database) -> None:
        """Store it as what the collection is made with; the caller has begun a transaction."""
        database.set("embedder_fingerprint", self.embedder.fingerprint)
        database.set("embedder", self.embedder.name)
        database.set("dimension", str(self.embedder.dimension))
        database.set("splitting", self.splitting)
        database.set("knowledge", knowledge_to_json(measure_knowledge(self.embedder)))

    def check_embedder(self, database: Database, collection: str) -> None:
        """Vectors of different models must never meet. Raises `EmbedderMismatchError`."""
        known = database.get("embedder_fingerprint")
        if known and known != self.embedder.fingerprint:
            raise EmbedderMismatchError(
                t(
                    "The collection «{name}» was made with the embedding model «{known}», and "
                    "«{ours}» is set now. Set the embedder back, or embed all documents again "
                    "with: waggle index --reembed -c {name}",
                    name=collection,
                    known=database.get("embedder"),
                    ours=self.embedder.name,
                )
            )

    def check(self, database: Database, collection: str) -> None:
        """Passages cut in different ways must not meet either. Raises `EmbedderMismatchError`."""
        self.check_embedder(database, collection)
        known = database.get("splitting")
        if known and known != self.splitting:
            raise EmbedderMismatchError(
                t(
                    "The documents of the collection «{name}» were cut into passages in another "
                    "way than is set now (chunk_tokens). Set it back, or cut and embed all "
                    "documents again with: waggle index --reembed -c {name}",
                    name=collection,
                )
            )


def making_of(
    settings: IndexSettings, embedder: Any | None, notice: Callable[[str], None] | None
) -> Making:
    """How documents are made searchable: with the settings' embedding model, or with ``embedder``,
    an `Embedder` or any LangChain ``Embeddings``."""
    if embedder is None:
        embedder = embedder_of(settings, notice)
    elif not hasattr(embedder, "encode"):
        embedder = LangChainEmbedder(embedder, name=type(embedder).__name__)
    return Making(embedder, settings.chunk_tokens)
