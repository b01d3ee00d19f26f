"""Real files of many formats, sixteen of them hostile."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexes.errors import LoadError
from indexes.loaders import LoaderPool

DATA = Path(
    os.environ.get(
        "WAGGLE_EVAL_DATA", Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
    )
)
MANIFEST = DATA / "documents" / "manifest.jsonl"
CASES: list[dict[str, Any]] = (
    [json.loads(line) for line in MANIFEST.read_text(encoding="utf-8").splitlines()]
    if MANIFEST.exists()
    else []
)

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
