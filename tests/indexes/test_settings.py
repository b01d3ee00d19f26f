from pathlib import Path

import pytest

from indexes.errors import UsageError
from indexes.settings import IndexSettings, load_settings
from rag.settings import load_chat_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    here = tmp_path / "work" / "deep"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    return here


def settings(**options: object) -> IndexSettings:
    return load_settings(IndexSettings, "index", **options)


def test_the_stronger_source_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings().collection == "default"
    (folder.parent / "waggle.toml").write_text('[index]\ncollection = "from-file"\n')
    assert settings().collection == "from-file"
    (folder / "waggle.toml").write_text('[index]\ncollection = "nearer"\n')
    assert settings().collection == "nearer"
    monkeypatch.setenv("WAGGLE_COLLECTION", "from-variable")
    assert settings().collection == "from-variable"
    assert settings(collection="from-option").collection == "from-option"
    assert settings(collection=None).collection == "from-variable"


def test_the_users_folder_counts_last(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config" / "waggle").mkdir(parents=True)
    (tmp_path / "config" / "waggle" / "waggle.toml").write_text('[index]\ncollection = "mine"\n')
    assert settings().collection == "mine"
    (folder / "waggle.toml").write_text("[index]\n")
    assert settings().collection == "default"


def test_each_table_has_its_variables(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "waggle.toml").write_text('[chat]\nmodel = "m"\n[index]\nhome = "~/library"\n')
    monkeypatch.setenv("WAGGLE_CHAT_URL", "http://127.0.0.1:8000/v1")
    monkeypatch.setenv("WAGGLE_CHAT_API_KEY", "secret")
    chat = load_chat_settings()
    assert (chat.url, chat.model) == ("http://127.0.0.1:8000/v1", "m")
    assert "secret" not in repr(chat)
    assert settings().home == Path.home() / "library"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[index]\nhom = 1\n", "index.hom"),
        ("[index]\nworkers = 0\n", "index.workers"),
        ("[indexes]\n", "indexes"),
        ("stray = 1\n", "stray"),
        ("[index\n", "waggle.toml"),
        ("\xff", "waggle.toml"),
    ],
)
def test_a_mistake_in_the_file_is_named(folder: Path, text: str, named: str) -> None:
    (folder / "waggle.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=named):
        settings()


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAGGLE_CHAT_URL", "ftp://x")
    with pytest.raises(UsageError, match=r"chat\.url"):
        load_chat_settings()
