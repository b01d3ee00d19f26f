"""``waggle backup`` and ``waggle restore`` as a person types them."""

from pathlib import Path

from tests.cli.conftest import Command


def test_there_and_back(waggle: Command, home: Path, tmp_path: Path, examples: Path) -> None:
    assert waggle("index", examples / "honeys.csv", "--home", home, "-q").code == 0
    file, other = tmp_path / "bees.tar.gz", tmp_path / "other"
    told = waggle("backup", file, "--home", home)
    assert told.code == 0
    assert "files of 1 collections" in told.out
    back = waggle("restore", file, "--home", other, "--json").json
    assert back["collections"] == ["default"]
    assert back["file"] == str(file)
    assert not (other / "models").exists()  # no model is needed for it
    (other / "models").symlink_to(home / "models")
    # Nothing is left to be mended, nor to be rebuilt at the first question.
    assert waggle("verify", "--home", other).code == 0
    assert waggle("search", "acacia", "-k", "1", "--home", other, "--json").json["results"]


def test_what_goes_wrong_is_one_sentence(waggle: Command, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"\x89PNG" * 99)
    wrong = waggle("restore", tmp_path / "photo.png", "--home", tmp_path / "home")
    assert wrong.code == 1
    assert "is not a whole backup" in wrong.err
    assert wrong.err.count("\n") == 1
    assert waggle("backup", tmp_path / "b", "--home", tmp_path / "none").code == 2
