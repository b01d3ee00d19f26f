"""LangChain: RecursiveCharacterTextSplitter, HuggingFaceEmbeddings and FAISS in a folder."""

from pathlib import Path

from benchmarks.peers.protocol import Search, main


def index(folder: Path, store: Path, model: str) -> tuple[int, int]:
    """Build an index of the files and save it."""
    from langchain_community.document_loaders import (  # type: ignore[import-not-found]
        DirectoryLoader,
        TextLoader,
    )
    from langchain_community.vectorstores import FAISS  # type: ignore[import-not-found]
    from langchain_huggingface import HuggingFaceEmbeddings  # type: ignore[import-not-found]
    from langchain_text_splitters import (  # type: ignore[import-not-found]
        RecursiveCharacterTextSplitter,
    )

    documents = DirectoryLoader(str(folder), glob="**/*.txt", loader_cls=TextLoader).load()
    splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)
    splits = splitter.split_documents(documents)
    vectors = FAISS.from_documents(splits, HuggingFaceEmbeddings(model_name=model))
    vectors.save_local(str(store))
    return len(documents), len(splits)


def open_store(store: Path, model: str) -> Search:
    """Load the index into memory."""
    from langchain_community.vectorstores import FAISS
    from langchain_huggingface import HuggingFaceEmbeddings

    vectors = FAISS.load_local(
        str(store), HuggingFaceEmbeddings(model_name=model), allow_dangerous_deserialization=True
    )

    def search(question: str, k: int) -> list[str]:
        return [found.metadata["source"] for found in vectors.similarity_search(question, k=k)]

    return search


if __name__ == "__main__":
    main(index, open_store)
