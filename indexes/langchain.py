"""LangChain's faces of a collection: a retriever and a vector store."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, Self

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore
from pydantic import ConfigDict, Field

from indexes.collection import Collection
from indexes.embedding import LangChainEmbedder, LocalEmbedder
from indexes.types import SearchResult

Embeddings.register(LocalEmbedder)
Embeddings.register(LangChainEmbedder)


def to_langchain(result: SearchResult) -> LangChainDocument:
    """A search result as a LangChain document; the place of the passage is in its metadata."""
    return LangChainDocument(
        id=result.chunk_id,
        page_content=result.text,
        metadata={
            **result.metadata,
            "source": result.source,
            "title": result.title,
            "page": result.page,
            "heading": " › ".join(result.heading),
            "start": result.start,
            "end": result.end,
            "score": result.score,
        },
    )


class CollectionRetriever(BaseRetriever):
    """Hybrid search as a retriever; ``options`` are those of `Collection.search`."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    collection: Collection
    options: dict[str, Any] = Field(default_factory=dict)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - named by the base class
    ) -> list[LangChainDocument]:
        return [to_langchain(r) for r in self.collection.search(query, **self.options).results]


class CollectionVectorStore(VectorStore):
    """A collection as a vector store. Similarity search is the hybrid search of the collection
    unless ``mode="dense"`` is passed."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection

    @property
    def embeddings(self) -> Embeddings:
        return self.collection.embedder  # type: ignore[return-value]

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **_: Any,
    ) -> list[str]:
        """Add each text as a document; its id, given or derived from the text, is its source."""
        return self.collection.add_texts(list(texts), metadatas, ids)

    def delete(self, ids: list[str] | None = None, **_: Any) -> bool:
        """Remove the documents of these sources."""
        self.collection.remove(ids or [])
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[LangChainDocument]:
        """The documents of these sources, whole."""
        found = [self.collection.document(source) for source in ids]
        return [
            LangChainDocument(id=d.source, page_content=d.text, metadata=dict(d.metadata))
            for d in found
        ]

    def similarity_search(self, query: str, k: int = 4, **options: Any) -> list[LangChainDocument]:
        """The ``k`` best passages."""
        return [to_langchain(r) for r in self.collection.search(query, k, **options).results]

    def similarity_search_with_score(
        self, query: str, k: int = 4, **options: Any
    ) -> list[tuple[LangChainDocument, float]]:
        """The ``k`` best passages with their scores, 0..1, larger is better."""
        results = self.collection.search(query, k, **options).results
        return [(to_langchain(r), r.score) for r in results]

    def _select_relevance_score_fn(self) -> Any:
        return lambda score: score

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        name: str | None = None,
        home: str | os.PathLike[str] | None = None,
        **_: Any,
    ) -> Self:
        """A store over the collection ``name`` to which the texts are added."""
        store = cls(Collection.open(name, home=home, embedder=embedding))
        store.add_texts(texts, metadatas, ids=ids)
        return store
