"""What the tests share: the real embedding model, exported once, and collections to use it in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.embedding import LocalEmbedder, default_embedder


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the person who runs the tests reaches them."""
    for name in ("WAGGLE_HOME", "WAGGLE_CHAT_URL", "WAGGLE_CHAT_MODEL", "WAGGLE_CHAT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WAGGLE_LANG", "en")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the exported embedding model lies."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def embedder(models_folder: Path) -> LocalEmbedder:
    """all-MiniLM-L6-v2."""
    model = default_embedder(models_folder, threads=1)
    model.embed_query("ready")
    return model


@pytest.fixture
def collection(tmp_path: Path, embedder: LocalEmbedder) -> Iterator[Collection]:
    """An empty collection."""
    with Collection.open("test", home=tmp_path / "home", embedder=embedder) as opened:
        yield opened


@pytest.fixture
def home(tmp_path: Path, models_folder: Path) -> Path:
    """A home folder for commands, with the embedding model already exported."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "models").symlink_to(models_folder)
    return folder


@pytest.fixture(scope="session")
def examples() -> Path:
    """The example documents of the project."""
    return Path(__file__).resolve().parent.parent / "examples"
