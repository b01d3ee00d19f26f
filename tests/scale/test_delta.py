"""Many small additions to a large collection: what is not yet in the file of vectors stays bounded,
and a reader reads little anew."""

from itertools import islice
from pathlib import Path

from indexes.collection import Collection
from indexes.vectors import VectorSnapshot
from tests.indexes.hash_embedder import HashEmbedder
from tests.scale.large import PER_DOCUMENT, document, file_name, fill, texts

_SHARE = 8
_ADDITIONS = 40


def snapshot(collection: Collection) -> VectorSnapshot:
    with collection._readers.view(dense=True) as view:
        assert view.dense
        return view.dense


def test_small_additions_cost_readers_little(large: Path, large_collection: Collection) -> None:
    chunks = large_collection.status().chunks
    # Together a sixth: that is more than an eighth of what there is in the end.
    each = chunks // 6 // _ADDITIONS // PER_DOCUMENT * PER_DOCUMENT + PER_DOCUMENT
    embedder = HashEmbedder()
    built, seen = file_name(large), snapshot(large_collection)
    read = 0
    for addition in range(_ADDITIONS):
        passages = iter(texts(each, 100 + addition))
        fill(
            large_collection,
            (
                document(f"new/{addition}-{n}", list(islice(passages, PER_DOCUMENT)))
                for n in range(each // PER_DOCUMENT)
            ),
            embedder.encode,
        )
        fresh = snapshot(large_collection)
        assert large_collection.search("shared", k=1, mode="dense").results
        if fresh.file == seen.file:
            kept = set(map(id, seen.parts))
            assert fresh.parts[0] is seen.parts[0], "the file was read again"
            read += sum(part.ntotal for part in fresh.parts if id(part) not in kept)
            assert len(fresh.parts) <= 8
        beyond = sum(part.ntotal for part in fresh.parts[1:])
        # The new file is made beside the additions, which go on meanwhile.
        assert beyond <= 2 * fresh.held / _SHARE
        seen = fresh
    large_collection._derived.wait()
    assert file_name(large) != built, "it was never made anew"
    assert read <= 4 * each * _ADDITIONS
    total = large_collection.status().chunks
    assert total == chunks + each * _ADDITIONS
    large_collection.remove(["new/0-0"])
    last = snapshot(large_collection)
    assert last.file == file_name(large)
    assert last.held >= total
    assert sum(part.ntotal for part in last.parts[1:]) <= total / _SHARE
