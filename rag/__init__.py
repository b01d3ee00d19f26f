"""Questions to cited answers over a collection."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.answering import RAG
    from rag.types import Answer, Citation

__all__ = ["RAG", "Answer", "Citation"]


def __getattr__(name: str) -> object:
    """Imports on first use, so that ``import rag`` costs nothing."""
    if name == "RAG":
        from rag.answering import RAG

        return RAG
    if name in __all__:
        import rag.types

        return getattr(rag.types, name)
    raise AttributeError(f"module 'rag' has no attribute {name!r}")
