"""Any LangChain embedding model (a served one, for instance) as an Embedder."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import numpy as np

from indexes.embedding.base import Matrix, normalised, well_formed
from indexes.errors import EndpointError
from indexes.i18n import t

_WINDOW = 256
_PROBE = "probe"
_PIECES = re.compile(r"[A-Za-z]+|\s+|.", re.DOTALL)
_SPECIAL_TOKENS = 2


class LangChainEmbeddings(Protocol):
    """The two methods of ``langchain_core.embeddings.Embeddings``."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages."""
        ...

    def embed_query(self, text: str) -> list[float]:
        """Embed one question."""
        ...


class LangChainEmbedder:
    """Wraps a LangChain ``Embeddings`` object and scales its vectors to length 1.

    ``count_tokens`` should be the model's own, special tokens included; without one, an estimate
    that errs upward is used. ``max_tokens`` may be a function that finds it out. This and the
    dimension are asked of the model at first need. Any use may raise
    EndpointError.
    """

    def __init__(
        self,
        embeddings: LangChainEmbeddings,
        *,
        name: str,
        max_tokens: int | Callable[[], int] = 512,
        count_tokens: Callable[[str], int] | None = None,
    ) -> None:
        self.name = name
        self._max_tokens = max_tokens
        self._embeddings = embeddings
        self._count_tokens = count_tokens or estimate_tokens
        self._dimension: int | None = None

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are read, special tokens included."""
        if callable(self._max_tokens):
            with self._errors():
                return self._max_tokens()
        return self._max_tokens

    @property
    def dimension(self) -> int:
        """Numbers in one vector."""
        if self._dimension is None:
            self._dimension = self._query(_PROBE).shape[1]
        return self._dimension

    @property
    def fingerprint(self) -> str:
        """Hash of name and dimension.

        A probe's vector is left out: servers round differently from run to run, and a collection
        must not be refused for that.
        """
        return hashlib.sha256(f"{self.name}\0{self.dimension}".encode()).hexdigest()

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text``, or an estimate that errs upward."""
        return self._count_tokens(well_formed(text))

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Matrix:
        """Embed passages: float32 (len(texts), dimension), rows of length 1, in the given order.

        ``progress`` is told how many texts of this call are done so far.
        """
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for first in range(0, len(texts), _WINDOW):
            window = [well_formed(text) for text in texts[first : first + _WINDOW]]
            rows = self._ask(partial(self._embeddings.embed_documents, window))
            if rows.shape != (len(window), self.dimension):
                raise self._malformed(rows)
            vectors[first : first + len(window)] = rows
            if progress is not None:
                progress(first + len(window))
        return normalised(vectors)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages, as lists (LangChain)."""
        rows: list[list[float]] = self.encode(texts).tolist()
        return rows

    def embed_query(self, text: str) -> list[float]:
        """Embed one question (LangChain)."""
        vector = self._query(text)
        if vector.shape[1] != self.dimension:
            raise self._malformed(vector)
        row: list[float] = normalised(vector)[0].tolist()
        return row

    def _query(self, text: str) -> Matrix:
        return self._ask(lambda: [self._embeddings.embed_query(well_formed(text))])

    def _ask(self, call: Callable[[], list[list[float]]]) -> Matrix:
        with self._errors():
            rows = np.asarray(call(), dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] == 0 or not np.isfinite(rows).all():
            raise self._malformed(rows)
        return rows

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # Each provider has its own exceptions; all mean that no vectors came.
            raise EndpointError(
                t(
                    "The embedding model {name} does not answer: {reason}. "
                    "Check that its server runs and that its address is right.",
                    name=self.name,
                    reason=str(error).strip().rstrip(".") or type(error).__name__,
                )
            ) from error

    def _malformed(self, rows: Matrix) -> EndpointError:
        return EndpointError(
            t(
                "The embedding model {name} returned vectors of the wrong shape: {shape}. "
                "Check that the name is that of an embedding model.",
                name=self.name,
                shape=rows.shape,
            )
        )


def estimate_tokens(text: str) -> int:
    """Tokens of ``text`` for an unknown tokenizer, special tokens included; errs upward.

    Three letters a token in ASCII words, one token for each other ASCII character, and one less
    than its UTF-8 length for any other character, as byte-level tokenizers need at worst.
    """
    return _SPECIAL_TOKENS + sum(_piece_tokens(piece) for piece in _PIECES.findall(text))


def _piece_tokens(piece: str) -> int:
    if piece.isspace():
        return piece.count("\n")
    if piece.isascii():
        return -(-len(piece) // 3)
    return len(piece.encode()) - 1
