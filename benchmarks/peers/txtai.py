"""txtai: an embeddings database with content and hybrid search; paragraphs by its Segmentation."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.peers.protocol import Search, main, texts


def index(folder: Path, store: Path, model: str) -> tuple[int, int]:
    """Build an index of the files and save it."""
    from txtai import Embeddings  # type: ignore[import-not-found]
    from txtai.pipeline import Segmentation  # type: ignore[import-not-found]

    segments = Segmentation(paragraphs=True)
    documents = list(texts(folder))

    def rows() -> Iterator[tuple[str, str]]:
        for source, text in documents:
            for number, paragraph in enumerate(segments(text)):
                yield f"{source}#{number}", paragraph

    embeddings = Embeddings(path=model, content=True, hybrid=True)
    embeddings.index(rows())
    embeddings.save(str(store))
    return len(documents), embeddings.count()


def open_store(store: Path, _model: str) -> Search:
    """Load the index; it remembers its model."""
    from txtai import Embeddings

    embeddings = Embeddings()
    embeddings.load(str(store))

    def search(question: str, k: int) -> list[str]:
        return [row["id"].rpartition("#")[0] for row in embeddings.search(question, k)]

    return search


if __name__ == "__main__":
    main(index, open_store)
