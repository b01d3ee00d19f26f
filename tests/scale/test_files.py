"""Many files: what is unchanged costs next to nothing, in time and in memory."""

import sys
from pathlib import Path

import pytest

from benchmarks.files import step_alone, write_files

FEW, MANY = 5_000, 100_000
SECONDS_FOR_MANY = 5.0
MEGABYTES = 60


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=[pytest.mark.slow])])
def test_an_unchanged_folder_is_passed_over(count: int, tmp_path: Path) -> None:
    files, home = tmp_path / "files", tmp_path / "home"
    write_files(files, count)
    indexed = step_alone("index", home, files)
    assert indexed["index: CPU s"] < 0.01 * count
    again = step_alone("rescan", home, files)
    assert again["unchanged: files"] == count
    # What does not depend on the number of files: the start of a turn.
    assert again["unchanged: CPU s"] < 0.5 + SECONDS_FOR_MANY * count / MANY
    pruned = step_alone("prune", home, files)
    assert pruned["prune: removed"] == 1_000
    assert pruned["prune: CPU s"] < 5.0 + SECONDS_FOR_MANY * count / MANY
    if sys.platform == "linux":
        # A path takes about 300 bytes; indexing has buffers of its own, which do not grow.
        assert again["unchanged: memory grew by MB"] < MEGABYTES
        assert indexed["index: memory grew by MB"] < 200 + 0.001 * count
