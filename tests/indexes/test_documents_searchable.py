"""Real files of many formats indexed in one run: what each states is found, and the hostile ones
take neither the others nor the machine with them."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexes.collection import Collection
from indexes.embedding import LocalEmbedder
from indexes.errors import LoadError
from indexes.loaders import Limits, LoaderPool
from indexes.types import IndexReport
from tests.indexes.manifest import CASES, MANIFEST

HONEST = [case for case in CASES if not case["hostile"]]
HOSTILE = [case for case in CASES if case["hostile"]]

pytestmark = [
    pytest.mark.sets,
    pytest.mark.timeout(900),  # 600,000 characters are embedded on the first test's account
    pytest.mark.skipif(not CASES, reason="the evaluation set 'documents' is not here"),
]


def path_of(case: dict[str, Any]) -> Path:
    return (MANIFEST.parent / str(case["file"])).resolve()


def name_of(case: dict[str, Any]) -> str:
    return Path(case["file"]).name


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory, embedder: LocalEmbedder
) -> Iterator[tuple[Collection, IndexReport]]:
    """A collection of all the files, and what its one run of indexing reported."""
    home = tmp_path_factory.mktemp("home")
    with Collection.open("documents", home=home, embedder=embedder) as collection:
        yield collection, collection.add([path_of(case) for case in CASES])


def test_the_run_indexes_the_rest_and_reports_the_failed(
    run: tuple[Collection, IndexReport],
) -> None:
    collection, report = run
    failed = {Path(source).name for source, _ in report.failed}
    indexed = {Path(document.source).name for document, _ in collection.documents()}
    assert failed | indexed == {name_of(case) for case in CASES}
    assert not failed & indexed
    assert {name_of(case) for case in HONEST} <= indexed
    for case in HOSTILE:
        allowed = {"text": indexed, "error": failed, "error_or_empty": failed}
        assert name_of(case) in allowed.get(case["expect"], failed | indexed), case["expect"]
    assert report.added == len(indexed)
    assert all(reason for _, reason in report.failed)


@pytest.mark.parametrize("case", [c for c in CASES if c["fact"]], ids=name_of)
def test_what_a_file_states_is_found(
    case: dict[str, Any], run: tuple[Collection, IndexReport]
) -> None:
    collection, report = run
    if name_of(case) in {Path(source).name for source, _ in report.failed}:
        assert case["expect"] == "text_or_error"
        return
    found = collection.search(case["fact"], k=5).results
    assert name_of(case) in {Path(result.source).name for result in found}


def peak(pid: int) -> int:
    """The most memory, in bytes, that a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("case", HOSTILE, ids=name_of)
def test_a_hostile_file_takes_little_time_and_memory(case: dict[str, Any]) -> None:
    with LoaderPool() as pool:
        child = pool._children[0]
        started = time.monotonic()
        with contextlib.suppress(LoadError):
            child.load(path_of(case), Limits())
        assert time.monotonic() - started < 10
        process = child._process
        assert process is not None
        assert peak(process.pid) < 1024**3
