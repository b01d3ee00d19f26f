"""Embedding models: texts to unit vectors."""

from indexes.embedding.adapter import LangChainEmbedder
from indexes.embedding.base import Embedder
from indexes.embedding.default import default_embedder
from indexes.embedding.local import LocalEmbedder

__all__ = ["Embedder", "LangChainEmbedder", "LocalEmbedder", "default_embedder"]
