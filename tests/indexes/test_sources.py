import os
from pathlib import Path

import pytest

from indexes.errors import SourceError, UsageError
from indexes.sources import Globs, scan


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


ALL = Globs()


def found(root: Path, globs: Globs = ALL, skip: Path | None = None) -> set[str]:
    return {path.relative_to(root).as_posix() for path in scan([root], globs, skip).files}


def test_a_folder_gives_the_documents_below_it(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "b/c.txt", "b/d/e.py", "photo.jpg", ".hidden.md", ".git/x.md",
         "node_modules/y.md", "中文/蜜.txt")  # fmt: skip
    assert found(tmp_path) == {"a.md", "b/c.txt", "b/d/e.py", "中文/蜜.txt"}


def test_gitignore_is_respected_at_each_level(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "build/b.md", "docs/c.md", "docs/keep.md", "docs/deep/c.md")
    (tmp_path / ".gitignore").write_text("build/\n*.log\n")
    (tmp_path / "docs/.gitignore").write_text("c.md\n")
    assert found(tmp_path) == {"a.md", "docs/keep.md"}
    (tmp_path / "docs/deep/.gitignore").write_text("!c.md\n")
    assert found(tmp_path) == {"a.md", "docs/keep.md", "docs/deep/c.md"}


def test_globs_choose(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "b.txt", "old/c.md")
    assert found(tmp_path, Globs(include=["*.md"])) == {"a.md", "old/c.md"}
    assert found(tmp_path, Globs(include=["*.md"], exclude=["old/*"])) == {"a.md"}
    assert found(tmp_path, Globs(exclude=["b.txt"])) == {"a.md", "old/c.md"}


def test_links_stay_inside_and_loops_end(tmp_path: Path) -> None:
    root = tmp_path / "root"
    make(root, "a.md", "b/c.md")
    make(tmp_path, "secret.md")
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "b/loop").symlink_to(root / "b", target_is_directory=True)
    (root / "out.md").symlink_to(tmp_path / "secret.md")
    (root / "in.md").symlink_to(root / "a.md")
    (root / "dangling.md").symlink_to(root / "nowhere.md")
    assert found(root) == {"a.md", "b/c.md", "in.md"}


def test_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a.md")
    os.mkfifo(tmp_path / "pipe.md")
    assert found(tmp_path) == {"a.md"}
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        scan([tmp_path / "pipe.md"], Globs())


def test_the_home_folder_is_never_indexed(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "home/models/README.md")
    assert found(tmp_path, skip=tmp_path / "home") == {"a.md"}


def test_a_named_file_is_taken_whatever_it_is(tmp_path: Path) -> None:
    make(tmp_path, "photo.jpg")
    assert scan([tmp_path / "photo.jpg"], Globs()).files == (tmp_path / "photo.jpg",)


def test_a_file_named_twice_comes_once(tmp_path: Path) -> None:
    make(tmp_path, "a.md")
    assert len(scan([tmp_path, tmp_path / "a.md", f"{tmp_path}/x/../a.md"], Globs()).files) == 1


@pytest.mark.parametrize("name", ["nowhere", "a.md/inside", "nul\0byte"])
def test_a_path_that_does_not_exist_is_named(tmp_path: Path, name: str) -> None:
    make(tmp_path, "a.md")
    with pytest.raises(SourceError):
        scan([tmp_path / name], Globs())


def test_an_empty_path_is_not_the_working_folder() -> None:
    with pytest.raises(UsageError):
        scan([""], Globs())


def test_a_web_address_is_not_taken_for_a_file() -> None:
    with pytest.raises(SourceError, match="on the web"):
        scan(["https://example.org/bees.html"], Globs())
