"""LanceDB: a table that embeds its text by itself, its full-text index, and hybrid search."""

from pathlib import Path

from benchmarks.peers.protocol import Search, main, paragraphs, texts

_NAME = "documents"


def index(folder: Path, store: Path, model: str) -> tuple[int, int]:
    """Add the paragraphs of the files to a table and index their words."""
    import lancedb  # type: ignore[import-not-found]
    from lancedb.embeddings import get_registry  # type: ignore[import-not-found]
    from lancedb.index import FTS  # type: ignore[import-not-found]
    from lancedb.pydantic import LanceModel, Vector  # type: ignore[import-not-found]

    embedding = get_registry().get("sentence-transformers").create(name=model)

    class Entry(LanceModel):  # type: ignore[misc]
        source: str
        text: str = embedding.SourceField()
        vector: Vector(embedding.ndims()) = embedding.VectorField()  # type: ignore[valid-type]

    documents = list(texts(folder))
    table = lancedb.connect(str(store)).create_table(_NAME, schema=Entry)
    table.add(
        [
            {"source": source, "text": part}
            for source, text in documents
            for part in paragraphs(text)
        ]
    )
    table.create_index("text", config=FTS())
    return len(documents), table.count_rows()


def open_store(store: Path, _model: str) -> Search:
    """Open the table; it remembers its model."""
    import lancedb

    table = lancedb.connect(str(store)).open_table(_NAME)

    def search(question: str, k: int) -> list[str]:
        found = table.search(question, query_type="hybrid").limit(k).to_list()
        return [row["source"] for row in found]

    return search


if __name__ == "__main__":
    main(index, open_store)
