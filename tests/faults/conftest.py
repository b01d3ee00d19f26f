"""Folders for collections that processes break."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def ground() -> Iterator[Path]:
    """A folder in memory where there is one: a kill loses nothing there that a disk would keep, and
    thousands of fsyncs cost nothing."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    above = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="waggle-faults-", dir=above) as folder:
        yield Path(folder)


@pytest.fixture
def folder(ground: Path) -> Iterator[Path]:
    """An empty folder, gone after the test."""
    made = Path(tempfile.mkdtemp(dir=ground))
    yield made
    shutil.rmtree(made, ignore_errors=True)
