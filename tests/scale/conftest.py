"""Collections large enough for the approximate index of vectors, made once for a module."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from indexes import ann
from indexes.collection import Collection
from tests.indexes.hash_embedder import HashEmbedder
from tests.scale.large import NAME, PER_DOCUMENT, document, fill, is_approximate, texts

SMALL = 16_000
LARGE = 100_000
RARE = (11, 777)
"""The two documents, twenty passages, that are marked."""


@contextmanager
def lowered(chunks: int) -> Iterator[None]:
    """A collection of ``chunks`` passages counts as large."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ann, "EXACT_BELOW", min(ann.EXACT_BELOW, chunks // 2))
        yield


@pytest.fixture(
    scope="module", params=[SMALL, pytest.param(LARGE, marks=[pytest.mark.slow])], ids=str
)
def large(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The home of a collection of short passages, ten in a document. Every fifth document is
    "wordy": its passages are four times as long, so that BM25 ranks them last."""
    chunks: int = request.param
    home = tmp_path_factory.mktemp("large")
    short = iter(texts(chunks, 1))
    long = iter(texts(chunks, 2, words=32))
    documents = (
        document(
            f"made/{'rare' if number in RARE else 'usual'}-{number:06d}",
            [next(long if number % 5 == 0 else short) for _ in range(PER_DOCUMENT)],
            number=number, rare=number in RARE, wordy=number % 5 == 0,
        )
        for number in range(chunks // PER_DOCUMENT)
    )  # fmt: skip
    with lowered(chunks):
        with Collection.open(NAME, home=home, embedder=HashEmbedder()) as collection:
            fill(collection, documents, HashEmbedder().encode)
        assert is_approximate(home)
        yield home


@pytest.fixture(scope="module")
def large_collection(large: Path) -> Iterator[Collection]:
    """That collection, open."""
    with Collection.open(NAME, home=large, embedder=HashEmbedder()) as collection:
        yield collection
