"""Real files of many formats, sixteen of them hostile."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexes.errors import LoadError
from indexes.loaders import LoaderPool
from tests.indexes.manifest import CASES, MANIFEST

pytestmark = [
    pytest.mark.sets,
    pytest.mark.skipif(not CASES, reason="the evaluation set 'documents' is not here"),
]


@pytest.fixture(scope="module")
def pool() -> Iterator[LoaderPool]:
    with LoaderPool() as shared:
        yield shared


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("case", CASES, ids=lambda case: Path(case["file"]).name)
def test_a_real_file(case: dict[str, Any], pool: LoaderPool) -> None:
    allowed = {
        "text": {"text"},
        "error": {"error"},
        "error_or_empty": {"error"},  # an empty text is an error here
        "text_or_error": {"text", "error"},
        "error_or_text": {"text", "error"},
    }[case["expect"]]
    started = time.monotonic()
    [(_, found)] = pool.load_many([MANIFEST.parent / case["file"]])
    if isinstance(found, LoadError):
        assert "error" in allowed, found
        assert "parser failed" not in str(found)
    else:
        assert "text" in allowed
        assert squeezed(case["fact"] or "") in squeezed(found.text)
    assert time.monotonic() - started < 10
