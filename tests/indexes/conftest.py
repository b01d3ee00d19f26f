"""A small collection to be damaged, made once for a module."""

from pathlib import Path

import pytest

from tests.indexes.damage import copied, make_home, make_sources


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the files that are in it."""
    return make_sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def pristine(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the collection, for tests that damage copies of it."""
    return make_home(sources, tmp_path_factory.mktemp("pristine"))


@pytest.fixture
def home(pristine: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return copied(pristine, tmp_path / "home")
