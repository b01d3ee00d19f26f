"""Approximate dense search finds what brute force finds, also after deletions, beside newer chunks,
and before, while and after the file of vectors is made anew."""

from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest

from indexes.collection import Collection
from indexes.session import Prepared
from tests.scale.conftest import lowered
from tests.scale.large import (
    NAME,
    PER_DOCUMENT,
    Clustered,
    document,
    file_name,
    fill,
    is_approximate,
    stored_vectors,
)

K = 10
QUERIES = 60
RECALL = 0.97


def documents(first: int) -> Iterator[Prepared]:
    for number in count(first):
        passages = [f"passage {PER_DOCUMENT * number + i}" for i in range(PER_DOCUMENT)]
        yield document(f"made/{number}", passages)


def recall(collection: Collection, home: Path, seed: int) -> float:
    """The share of the ten nearest that a search for passages with noise finds."""
    numbers, halves = stored_vectors(home)
    vectors, hits = halves.astype(np.float32), 0
    for number in np.random.default_rng(seed).choice(numbers, QUERIES, replace=False):
        query = f"near passage {number}"
        scores = vectors @ np.asarray(collection.embedder.embed_query(query), np.float32)
        least = np.sort(scores)[-K] - 1e-4
        found = collection.search(query, k=K, mode="dense").results
        assert len({result.chunk_id for result in found}) == K
        hits += sum((result.dense or 0) >= least for result in found)
    return hits / (K * QUERIES)


@pytest.mark.parametrize("chunks", [16_000, pytest.param(100_000, marks=[pytest.mark.slow])])
def test_recall_at_ten_through_the_life_of_a_collection(chunks: int, tmp_path: Path) -> None:
    made, embedder = chunks // PER_DOCUMENT, Clustered()
    with lowered(chunks):
        with Collection.open(NAME, home=tmp_path, embedder=embedder) as collection:
            fill(collection, islice(documents(0), made), embedder.encode)
        assert is_approximate(tmp_path)
        built = file_name(tmp_path)
        with Collection.open(NAME, home=tmp_path, embedder=embedder) as collection:
            assert recall(collection, tmp_path, 1) >= RECALL
            collection.remove([f"made/{number}" for number in range(0, made, 25)])
            assert recall(collection, tmp_path, 2) >= RECALL
            fill(collection, islice(documents(made), made // 25), embedder.encode)
            assert recall(collection, tmp_path, 3) >= RECALL
            assert file_name(tmp_path) == built
            fill(collection, islice(documents(2 * made), made // 10), embedder.encode)
            assert recall(collection, tmp_path, 4) >= RECALL
        assert file_name(tmp_path) != built
        assert is_approximate(tmp_path)
        with Collection.open(NAME, home=tmp_path, embedder=embedder) as collection:
            assert recall(collection, tmp_path, 5) >= RECALL
