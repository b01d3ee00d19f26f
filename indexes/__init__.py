"""Documents to searchable collections: load, split, embed, store, search."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexes.collection import Collection
    from indexes.errors import WaggleError
    from indexes.types import Document, SearchResult

__all__ = ["Collection", "Document", "SearchResult", "WaggleError"]


def __getattr__(name: str) -> object:
    """Imports on first use, so that ``import indexes`` costs nothing."""
    import importlib

    homes = {"Collection": "collection", "WaggleError": "errors"}
    if name in __all__:
        return getattr(importlib.import_module(f"indexes.{homes.get(name, 'types')}"), name)
    raise AttributeError(f"module 'indexes' has no attribute {name!r}")
