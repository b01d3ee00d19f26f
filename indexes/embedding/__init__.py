"""Embedding models: texts to unit vectors."""

from indexes.embedding.adapter import LangChainEmbedder
from indexes.embedding.base import Embedder
from indexes.embedding.default import default_embedder, embedder_of
from indexes.embedding.local import LocalEmbedder
from indexes.embedding.served import served_embedder

__all__ = [
    "Embedder",
    "LangChainEmbedder",
    "LocalEmbedder",
    "default_embedder",
    "embedder_of",
    "served_embedder",
]
