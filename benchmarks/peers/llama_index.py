"""LlamaIndex: a VectorStoreIndex in its default store, which is persisted to a folder."""

from pathlib import Path

from benchmarks.peers.protocol import Search, main


def index(folder: Path, store: Path, model: str) -> tuple[int, int]:
    """Build an index of the files and persist it."""
    from llama_index.core import (  # type: ignore[import-not-found]
        Settings,
        SimpleDirectoryReader,
        VectorStoreIndex,
    )
    from llama_index.embeddings.huggingface import (  # type: ignore[import-not-found]
        HuggingFaceEmbedding,
    )

    Settings.embed_model = HuggingFaceEmbedding(model_name=model)
    documents = SimpleDirectoryReader(str(folder)).load_data()
    built = VectorStoreIndex.from_documents(documents)
    built.storage_context.persist(persist_dir=str(store))
    return len(documents), len(built.index_struct.nodes_dict)


def open_store(store: Path, model: str) -> Search:
    """Load the index into memory."""
    from llama_index.core import Settings, StorageContext, load_index_from_storage
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    Settings.embed_model = HuggingFaceEmbedding(model_name=model)
    loaded = load_index_from_storage(StorageContext.from_defaults(persist_dir=str(store)))

    def search(question: str, k: int) -> list[str]:
        found = loaded.as_retriever(similarity_top_k=k).retrieve(question)
        return [result.node.metadata["file_path"] for result in found]

    return search


if __name__ == "__main__":
    main(index, open_store)
