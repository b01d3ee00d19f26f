"""A filter works inside the search: whatever passes it is found, however little that is."""

from pathlib import Path

import numpy as np
import pytest

from indexes.collection import Collection
from indexes.retrieval import Mode
from tests.indexes.hash_embedder import HashEmbedder
from tests.scale.large import database, stored_vectors

K = 20
QUERY = "shared w7 w1234 w99"
TWENTY = {
    "metadata": "rare = true",
    "like": 'source like "rare-*"',
    "page": "page = 3 and number < 20",
    "numbers": "number in (500, 900)",
    "negation": "not (number < 500 or number >= 502)",
}


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
@pytest.mark.parametrize("where", TWENTY.values(), ids=TWENTY)
def test_twenty_that_match_come_back_as_twenty(
    large_collection: Collection, where: str, mode: Mode
) -> None:
    found = large_collection.search(QUERY, k=K, where=where, mode=mode).results
    assert len({result.chunk_id for result in found}) == K
    for result in found:
        number = int(result.metadata["number"])
        expected = {
            TWENTY["metadata"]: result.metadata["rare"],
            TWENTY["like"]: "/rare-" in result.source,
            TWENTY["page"]: result.page == 3 and number < 20,
            TWENTY["numbers"]: number in (500, 900),
            TWENTY["negation"]: number in (500, 501),
        }
        assert expected[where], result


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
@pytest.mark.parametrize("where", ["wordy = true", "page in (3, 4)", "wordy = false"])
def test_a_filter_that_passes_many_fills_the_list(
    large_collection: Collection, where: str, mode: Mode
) -> None:
    """Of "wordy" none is among the best by words, so that a search which filters what it found
    would come back with nothing."""
    found = large_collection.search(QUERY, k=K, where=where, mode=mode).results
    assert len({result.chunk_id for result in found}) == K
    for result in found:
        wordy = result.metadata["wordy"]
        assert {"wordy = true": wordy, "wordy = false": not wordy}.get(where, result.page in (3, 4))


def test_the_nearest_of_a_fifth_are_those_of_brute_force(
    large: Path, large_collection: Collection
) -> None:
    numbers, vectors = stored_vectors(large)
    opened = database(large)
    passing = opened.matching("json_extract(metadata, '$.wordy') = ?", (True,), by_chunk=False)
    opened.close()
    among = vectors[np.isin(numbers, passing)].astype(np.float32)
    assert len(among) == len(numbers) // 5
    queries = [f"shared w{n} w{2 * n} w{3 * n}" for n in range(1, 41)]
    hits = 0
    for query in queries:
        scores = np.sort(among @ HashEmbedder().encode([query])[0])[::-1]
        found = large_collection.search(query, k=10, where="wordy = true", mode="dense").results
        hits += sum((result.dense or 0) >= scores[9] - 1e-4 for result in found)
    assert hits / (10 * len(queries)) >= 0.97


def test_nothing_matches(large_collection: Collection) -> None:
    assert large_collection.search(QUERY, k=K, where="number > 10000000").results == ()
