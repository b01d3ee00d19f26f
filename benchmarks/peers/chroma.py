"""Chroma: a collection of a PersistentClient with its sentence-transformers embedding function."""

from pathlib import Path
from typing import Any

from benchmarks.peers.protocol import Search, main, paragraphs, texts

_NAME = "documents"


def index(folder: Path, store: Path, model: str) -> tuple[int, int]:
    """Add the paragraphs of the files to a collection."""
    import chromadb  # type: ignore[import-not-found]

    collection = chromadb.PersistentClient(path=str(store)).create_collection(
        _NAME, embedding_function=_embedding(model)
    )
    documents = list(texts(folder))
    entries = [(source, part) for source, text in documents for part in paragraphs(text)]
    collection.add(
        ids=[str(number) for number in range(len(entries))],
        documents=[part for _, part in entries],
        metadatas=[{"source": source} for source, _ in entries],
    )
    return len(documents), collection.count()


def open_store(store: Path, model: str) -> Search:
    """Open the collection."""
    import chromadb

    collection = chromadb.PersistentClient(path=str(store)).get_collection(
        _NAME, embedding_function=_embedding(model)
    )

    def search(question: str, k: int) -> list[str]:
        found = collection.query(query_texts=[question], n_results=k)
        return [metadata["source"] for metadata in found["metadatas"][0]]

    return search


def _embedding(model: str) -> Any:
    from chromadb.utils.embedding_functions import (  # type: ignore[import-not-found]
        SentenceTransformerEmbeddingFunction,
    )

    return SentenceTransformerEmbeddingFunction(model_name=model)


if __name__ == "__main__":
    main(index, open_store)
