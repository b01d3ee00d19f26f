"""What an embedding model is found to know."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from indexes.embedding import LocalEmbedder
from indexes.embedding.base import Matrix
from indexes.fusion import choose_blend
from indexes.probes import measure_knowledge


class _Alike:
    """A model that gives every text the same vector."""

    name = fingerprint = "alike"
    dimension = 4
    max_tokens = 16

    def count_tokens(self, text: str) -> int:
        return len(text)

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Matrix:
        return np.full((len(texts), 4), 0.5, dtype=np.float32)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[0.5] * 4 for _ in texts]

    def embed_query(self, text: str) -> list[float]:
        return [0.5] * 4


def test_a_model_that_tells_nothing_apart_knows_nothing() -> None:
    known = measure_knowledge(_Alike())
    assert [k.recall for k in known.values()] == [0.0, 0.0]
    assert known["latin"].floor == pytest.approx(1.0)
    assert choose_blend("palace", known).weight == pytest.approx(0.02)


def test_the_default_model_knows_english_and_not_chinese(embedder: LocalEmbedder) -> None:
    known = measure_knowledge(embedder)
    assert known["latin"].recall >= 0.9
    assert known["latin"].floor < 0.15
    assert known["han"].recall <= 0.3
