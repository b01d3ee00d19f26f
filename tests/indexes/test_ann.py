"""FAISS indexes chosen by size: what they find, compared with brute force."""

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexes import ann

DIMENSION = 128
MANY = ann.EXACT_BELOW + 10_000


def unit(rows: NDArray[Any]) -> NDArray[np.float32]:
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return np.asarray(rows / lengths, np.float32)


def topics(rows: int, seed: int, spread: float = 0.7) -> NDArray[np.float16]:
    """Unit vectors around as many centres as a collection has topics."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((400, DIMENSION))
    near = centres[random.integers(len(centres), size=rows)]
    noise = spread * random.standard_normal((rows, DIMENSION))
    return unit(near + noise).astype(np.float16)


def brute_force(
    vectors: NDArray[np.float16], query: NDArray[np.float32], allowed: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The scores of the rows ``allowed``, best first."""
    scores = vectors[allowed].astype(np.float32) @ query
    return np.sort(scores)[::-1]


def made(vectors: NDArray[np.float16], numbers: NDArray[np.int64], total: int) -> Any:
    random = np.random.default_rng(5)
    rows = random.permutation(len(vectors))[: ann.sample_size(total)]
    index = ann.create(vectors.shape[1], total, vectors[rows].astype(np.float32))
    ann.add(index, numbers, vectors)
    return index


def recall(
    index: Any,
    vectors: NDArray[np.float16],
    queries: NDArray[np.float32],
    alive: NDArray[np.int64] | None = None,
    k: int = 10,
) -> float:
    """Recall@k after ranking what was found by the stored vectors; ids are row numbers."""
    allowed = np.arange(len(vectors)) if alive is None else alive
    bitmap = None if alive is None else ann.Bitmap.of(alive, len(vectors))
    hits = 0
    for query in queries:
        found = ann.search(index, query, k, bitmap, len(allowed) / len(vectors))[0]
        exact = np.sort(vectors[found].astype(np.float32) @ query)[::-1][:k]
        # Equal vectors are interchangeable, so scores are compared and not ids.
        wanted = brute_force(vectors, query, allowed)[:k]
        hits += int(np.sum(exact >= wanted[min(k, len(wanted)) - 1] - 1e-6))
    return hits / (k * len(queries))


@pytest.fixture(scope="module")
def many() -> NDArray[np.float16]:
    return topics(MANY, seed=1)


@pytest.fixture(scope="module")
def approximate(many: NDArray[np.float16]) -> Any:
    index = made(many, np.arange(MANY), MANY)
    assert not ann.is_exact(index)
    return index


@given(
    rows=st.integers(1, 60),
    k=st.integers(1, 80),
    seed=st.integers(0, 2**32 - 1),
    masked=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_exact_index_equals_brute_force(rows: int, k: int, seed: int, masked: bool) -> None:
    random = np.random.default_rng(seed)
    vectors = unit(random.standard_normal((rows, 16))).astype(np.float16)
    numbers = np.sort(random.choice(10 * rows, size=rows, replace=False))
    query = unit(random.standard_normal((1, 16)))[0]
    chosen = np.flatnonzero(random.random(rows) < 0.4) if masked else np.arange(rows)
    alive = ann.Bitmap.of(numbers[chosen], int(numbers.max())) if masked else None

    index = made(vectors, numbers, rows)
    found, scores = ann.search(index, query, k, alive)

    assert ann.is_exact(index)
    wanted = brute_force(vectors, query, chosen)[:k]
    np.testing.assert_allclose(scores, wanted, atol=1e-5)
    row_of = {int(number): row for row, number in enumerate(numbers)}
    own = vectors[[row_of[int(n)] for n in found]].astype(np.float32) @ query
    np.testing.assert_allclose(own, scores, atol=1e-5)
    assert set(found) <= set(numbers[chosen])


@given(members=st.lists(st.booleans(), max_size=70))
def test_a_bitmap_holds_what_it_was_given(members: list[bool]) -> None:
    bitmap = ann.Bitmap(np.array(members, np.bool_))
    beyond = len(members) + 40
    held = [i for i in range(beyond) if bitmap.selector.is_member(i)]
    assert held == [i for i, member in enumerate(members) if member]
    assert len(bitmap) == sum(members)


def test_size_decides_and_says_how_many_rows_to_bring() -> None:
    assert ann.sample_size(ann.EXACT_BELOW) == 0
    assert 0 < ann.sample_size(MANY) <= MANY
    assert ann.sample_size(10**9) == ann.TRAINING_ROWS


def test_approximate_index_finds_what_exact_finds(
    approximate: Any, many: NDArray[np.float16]
) -> None:
    queries = topics(100, seed=2).astype(np.float32)
    assert recall(approximate, many, queries) >= 0.97
    assert ann.serialize(approximate).nbytes < many.nbytes / 2
    expected = ann.candidates(10, MANY, DIMENSION)
    assert len(ann.search(approximate, queries[0], 10)[0]) == expected < 800


@pytest.mark.parametrize("share", [0.5, 0.05, 0.005, 0.0005])
def test_a_filter_costs_no_recall(
    approximate: Any, many: NDArray[np.float16], share: float
) -> None:
    alive = np.flatnonzero(np.random.default_rng(3).random(MANY) < share)
    queries = topics(40, seed=4).astype(np.float32)
    assert recall(approximate, many, queries, alive) >= 0.97


@pytest.mark.parametrize("claimed", [1.0, 1e-6])
def test_k_come_back_whenever_k_pass(
    approximate: Any, many: NDArray[np.float16], claimed: float
) -> None:
    """Even where the caller is wrong about the share, and the matches stand far from the query."""
    query = topics(1, seed=6).astype(np.float32)[0]
    farthest = np.argsort(many.astype(np.float32) @ query)[:20].astype(np.int64)
    alive = ann.Bitmap.of(farthest, MANY)
    found, scores = ann.search(approximate, query, 20, alive, claimed)
    assert set(found) == set(farthest)
    assert np.all(np.diff(scores) <= 0)
    assert len(ann.search(approximate, query, 50, alive, claimed)[0]) == 20
    assert len(ann.search(approximate, query, 3)[0]) >= 3


def test_nothing_passes_and_nothing_is_asked(approximate: Any) -> None:
    query = topics(1, seed=7).astype(np.float32)[0]
    empty = ann.Bitmap(np.zeros(MANY, np.bool_))
    assert len(ann.search(approximate, query, 5, empty)[0]) == 0
    assert len(ann.search(approximate, query, 0)[0]) == 0
    assert (
        len(ann.search(ann.create(DIMENSION, 0, np.empty((0, DIMENSION), np.float32)), query, 5)[0])
        == 0
    )


@pytest.mark.parametrize("total", [300, MANY])
def test_what_was_written_is_read(total: int, many: NDArray[np.float16]) -> None:
    vectors = many[:total]
    numbers = np.arange(total) * 3 + 2
    index = made(vectors, numbers, total)
    data = ann.serialize(index)
    again = ann.deserialize(data.copy())  # only the index keeps these bytes alive

    assert ann.is_exact(again) == ann.is_exact(index)
    assert sorted(ann.ids(again)) == sorted(ann.ids(index)) == list(numbers)
    for query in topics(20, seed=8).astype(np.float32):
        for left, right in zip(
            ann.search(index, query, 10), ann.search(again, query, 10), strict=True
        ):
            np.testing.assert_array_equal(left, right)
    np.testing.assert_array_equal(ann.serialize(again), data)
    with pytest.raises(RuntimeError):
        ann.add(again, np.array([1]), vectors[:1])


def test_the_same_input_makes_the_same_index(many: NDArray[np.float16]) -> None:
    first, second = (ann.serialize(made(many, np.arange(MANY), MANY)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_an_id_is_given_once() -> None:
    index = ann.create(DIMENSION, 10, np.empty((0, DIMENSION), np.float32))
    with pytest.raises(ValueError, match="id of its own"):
        ann.add(index, np.array([4, 4]), topics(2, seed=1))
    with pytest.raises(ValueError, match="id of its own"):
        ann.add(index, np.array([4]), topics(2, seed=1))
    assert len(ann.ids(index)) == 0


def test_copies_and_zeros_break_nothing(many: NDArray[np.float16]) -> None:
    """Half of the collection is one and the same vector, a tenth is empty."""
    vectors = many.copy()
    vectors[: MANY // 2] = vectors[0]
    vectors[MANY // 2 : MANY // 2 + MANY // 10] = 0
    index = made(vectors, np.arange(MANY), MANY)
    queries = topics(40, seed=9).astype(np.float32)
    assert recall(index, vectors, queries) >= 0.97


@pytest.mark.parametrize("rows", [1, 2, 30, 300])
def test_a_sample_smaller_than_the_lists_will_do(rows: int, many: NDArray[np.float16]) -> None:
    index = ann.create(DIMENSION, MANY, many[:rows].astype(np.float32))
    ann.add(index, np.arange(5000), many[:5000])
    assert recall(index, many[:5000], topics(20, seed=10).astype(np.float32)) >= 0.9


def test_newer_vectors_of_another_kind_are_found() -> None:
    """Trained on one half of the topics, filled with the other."""
    vectors = topics(MANY, seed=11)
    turned = np.linalg.qr(np.random.default_rng(0).standard_normal((DIMENSION, DIMENSION)))[0]
    drifted = unit(vectors.astype(np.float32) @ turned).astype(np.float16)
    sample = vectors[: ann.sample_size(MANY)].astype(np.float32)
    index = ann.create(DIMENSION, MANY, sample)
    ann.add(index, np.arange(MANY), drifted)
    queries = unit(topics(60, seed=12).astype(np.float32) @ turned)
    assert recall(index, drifted, queries) >= 0.9


def test_many_threads_may_search_at_once(approximate: Any) -> None:
    queries = topics(64, seed=13).astype(np.float32)
    alive = ann.Bitmap(np.arange(MANY) % 3 == 0)
    alone = [ann.search(approximate, query, 10, alive, 1 / 3)[0] for query in queries]
    wrong: list[int] = []

    def reader() -> None:
        for position, query in enumerate(queries):
            found = ann.search(approximate, query, 10, alive, 1 / 3)[0]
            if not np.array_equal(found, alone[position]):
                wrong.append(position)

    threads = [threading.Thread(target=reader) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
