"""Removing one document of a large collection is quick and makes nothing anew."""

import statistics
import time
from pathlib import Path

from indexes.collection import Collection
from tests.scale.large import PER_DOCUMENT, file_name

_REMOVALS = 20
_CPU_SECONDS = 0.05


def test_one_document_is_removed_in_50_ms(large: Path, large_collection: Collection) -> None:
    before, file = large_collection.status(), file_name(large)
    large_collection.search("shared", where="number = 100")
    spent = []
    for number in range(100, 100 + _REMOVALS):
        begun = time.process_time()
        receipt = large_collection.remove([f"made/usual-{number:06d}"])
        spent.append(time.process_time() - begun)
        gone = (receipt.chunks, receipt.vectors, receipt.postings)
        assert gone == (PER_DOCUMENT, PER_DOCUMENT, PER_DOCUMENT)
    assert statistics.median(spent) <= _CPU_SECONDS, spent
    assert file_name(large) == file, "the file of vectors was made anew"
    after = large_collection.status()
    assert after.chunks == before.chunks - PER_DOCUMENT * _REMOVALS
    for mode in ("dense", "lexical", "hybrid"):
        found = large_collection.search("shared", where="number = 100", mode=mode)
        assert found.results == ()
