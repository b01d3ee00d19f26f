"""An embedder without a model: hashed words. Deterministic, and quick enough for 10,000 files."""

import re
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from indexes.embedding.base import Matrix, normalised

_WORD = re.compile(r"[a-z0-9]+|[^\W\da-z_]", re.IGNORECASE)


class HashEmbedder:
    """A bag of words (of Chinese: of characters), each counted at the place its hash names."""

    name = "hash-64"
    fingerprint = "hash-64"
    dimension = 64
    max_tokens = 128

    def count_tokens(self, text: str) -> int:
        return len(_WORD.findall(text)) + 2

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Matrix:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in _WORD.findall(text.lower()):
                vectors[row, zlib.crc32(word.encode()) % self.dimension] += 1
        if progress:
            progress(len(texts))
        return normalised(vectors)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[float(x) for x in vector] for vector in self.encode(texts)]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]
