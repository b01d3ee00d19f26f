"""LlamaIndex with entries no longer than the model reads: its own are cut off by the model."""

from pathlib import Path

from benchmarks.peers import llama_index
from benchmarks.peers.protocol import main

_ENTRY_TOKENS = 220
"""LlamaIndex counts tokens of another model; this many are at most about 256 of MiniLM's."""


def index(folder: Path, store: Path, model: str) -> tuple[int, int]:
    """Build an index of the files and persist it."""
    from llama_index.core import Settings  # type: ignore[import-not-found]

    Settings.chunk_size = _ENTRY_TOKENS
    Settings.chunk_overlap = 0
    return llama_index.index(folder, store, model)


if __name__ == "__main__":
    main(index, llama_index.open_store)
