"""What every embedding model offers to the index."""

import re
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

# An unpaired surrogate is no character: UTF-8, and so every tokenizer, refuses it.
_SURROGATES = re.compile("[\ud800-\udfff]")


def well_formed(text: str) -> str:
    """``text`` with each unpaired surrogate replaced by U+FFFD; the length stays the same."""
    return text if text.isascii() else _SURROGATES.sub("�", text)


def normalised(vectors: Matrix) -> Matrix:
    """``vectors`` (n, d) with every row scaled to length 1; a row of zeros stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


class Embedder(Protocol):
    """Texts to unit vectors, so that a dot product is the cosine similarity.

    It has LangChain's two ``Embeddings`` methods and may stand wherever LangChain expects one.
    Every method may be called from several threads.
    """

    @property
    def name(self) -> str:
        """The model's name, for people."""
        ...

    @property
    def fingerprint(self) -> str:
        """Equal for two embedders exactly when their vectors may be compared."""
        ...

    @property
    def dimension(self) -> int:
        """Numbers in one vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are read, special tokens included; the rest is cut off."""
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text``, special tokens included; never below the true number."""
        ...

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Matrix:
        """Embed passages, as float32 of shape (len(texts), dimension), in the given order.

        ``progress`` is told how many texts of this call are done so far.
        """
        ...

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages, as lists (LangChain)."""
        ...

    def embed_query(self, text: str) -> list[float]:
        """Embed one question (LangChain)."""
        ...
