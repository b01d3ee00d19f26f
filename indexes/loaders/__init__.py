"""A file's text, whatever its format: ``load`` in this process, ``LoaderPool`` in limited ones."""

from indexes.loaders.formats import supported
from indexes.loaders.pool import Limits, LoaderPool
from indexes.loaders.registry import load

__all__ = ["Limits", "LoaderPool", "load", "supported"]
