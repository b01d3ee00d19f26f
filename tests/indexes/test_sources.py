import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.errors import SourceError, UsageError
from indexes.sources import Globs, Selection, scan


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


ALL = Globs()


def found(root: Path, globs: Globs = ALL, skip: Path | None = None) -> set[str]:
    return {Path(path).relative_to(root).as_posix() for path in scan([root], globs, skip).files}


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
    assert scan([tmp_path / "photo.jpg"], Globs()).files == (f"{tmp_path}/photo.jpg",)


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


def test_rules_of_the_repository_above_hold(tmp_path: Path) -> None:
    make(tmp_path, "repo/docs/a.md", "repo/docs/b.md", "repo/docs/out/c.md", "repo/docs/out/d.md")
    (tmp_path / ".gitignore").write_text("a.md\n")
    (tmp_path / "repo/.gitignore").write_text("b.md\n/docs/out/d.md\n")
    docs = tmp_path / "repo/docs"
    assert found(docs) == {"a.md", "b.md", "out/c.md", "out/d.md"}
    (tmp_path / "repo/.git").mkdir()
    assert found(docs) == {"a.md", "out/c.md"}
    (docs / ".gitignore").write_text("!b.md\n")
    assert found(docs) == {"a.md", "b.md", "out/c.md"}


@pytest.mark.parametrize("rule", ["build/", "*"])
def test_a_folder_that_is_named_counts_though_its_repository_ignores_it(
    tmp_path: Path, rule: str
) -> None:
    make(tmp_path, "build/a.md", "build/b.md")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text(rule)
    (tmp_path / "build/.gitignore").write_text("b.md\n")
    assert found(tmp_path) == set()
    assert found(tmp_path / "build") == {"a.md"}


# Only ASCII: to git, "?" is one byte.
_NAMES = st.sampled_from(["a", "b", "ab", "a.md", "b.md", "ab.md"])
_PLACES = st.lists(_NAMES, min_size=1, max_size=4).map("/".join)
_LINES = st.one_of(
    st.sampled_from(["*", "!*/", "!*.md", "/*", "# a.md", "", "!", "/", "//", "**", "[", "a[", "\\",
                     "**/", "*/", "[z-a].md", "[!a]*.md", "?.md", "a.md ", "\\#a", "a/**", "**/b",
                     "a/**/", "a/**/b.md", "a\\.md", "!!a", "\x00", "\ufeffa"]),
    st.builds(lambda no, root, place, end: no + root + place + end, st.sampled_from(["", "!"]),
              st.sampled_from(["", "/", "**/"]), _PLACES, st.sampled_from(["", "/", "/*", "*"])),
)  # fmt: skip


def test_a_folder_taken_back_does_not_take_back_what_is_in_it(tmp_path: Path) -> None:
    make(tmp_path, "docs/a.md", "docs/build/b.md")
    (tmp_path / ".gitignore").write_text("/*\nbuild/\n!docs\n")
    assert found(tmp_path) == {"docs/a.md"}


@pytest.mark.skipif(shutil.which("git") is None, reason="git is the judge, and is not installed")
@settings(max_examples=60, deadline=None)
@given(
    places=st.sets(_PLACES, max_size=10),
    rules=st.dictionaries(
        st.sampled_from([".", "a", "a/b", "ab"]), st.lists(_LINES, max_size=4), max_size=3
    ),
)
def test_what_is_ignored_is_what_git_ignores(places: set[str], rules: dict[str, list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for place in sorted(places, key=len, reverse=True):
            with contextlib.suppress(OSError):
                make(root, place)
        for below, lines in rules.items():
            with contextlib.suppress(OSError):  # where a file stands
                (root / below).mkdir(parents=True, exist_ok=True)
                (root / below / ".gitignore").write_text("\n".join(lines), encoding="utf-8")
        git = ["git", "-c", "core.excludesFile=", "-C", folder]
        subprocess.run([*git, "init", "-q"], check=True)
        listed = (
            subprocess.run(
                [*git, "ls-files", "-z", "--others", "--exclude-standard"],
                check=True,
                capture_output=True,
            )
            .stdout.decode()
            .split("\0")
        )
        assert found(root) == {name for name in listed if name.endswith(".md")}


@pytest.mark.parametrize("content", ["[z-a]\n!\n//\n", "\0\xff[\n", "a[\n\\\n"])
def test_a_garbled_gitignore_is_passed_over(tmp_path: Path, content: str) -> None:
    make(tmp_path, "a.md")
    (tmp_path / ".gitignore").write_text(content, encoding="latin-1")
    assert found(tmp_path) == {"a.md"}


def test_a_gitignore_that_is_a_pipe_does_not_block(tmp_path: Path) -> None:
    make(tmp_path, "a.md")
    os.mkfifo(tmp_path / ".gitignore")
    assert found(tmp_path) == {"a.md"}


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator can read every folder")
def test_a_folder_that_cannot_be_read_is_named_and_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "closed/b.md")
    (tmp_path / "closed").chmod(0)
    try:
        result = scan([tmp_path], Globs())
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert result.files == (f"{tmp_path}/a.md",)
    assert result.unread == (f"{tmp_path}/closed",)


def test_what_vanishes_meanwhile_is_passed_over(tmp_path: Path) -> None:
    """Folders and files come and go while the folder is scanned again and again."""
    make(tmp_path, *(f"{n}/stay.md" for n in range(50)))
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            for number in range(50):
                make(tmp_path, f"{number}/below/a.md")
                shutil.rmtree(tmp_path / f"{number}/below")

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(30):
            assert {f"{n}/stay.md" for n in range(50)} <= found(tmp_path)
    finally:
        stop.set()
        thread.join()


def test_overlapping_roots_give_each_file_once(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "b/c.md")
    files = scan([tmp_path, tmp_path / "b", tmp_path / "b/c.md"], Globs()).files
    assert sorted(files) == [f"{tmp_path}/a.md", f"{tmp_path}/b/c.md"]


def test_the_home_folder_is_known_by_its_real_place(tmp_path: Path) -> None:
    make(tmp_path / "real", "a.md", "home/README.md")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert found(tmp_path / "link", skip=tmp_path / "real/home") == {"a.md"}
    assert found(tmp_path / "real", skip=tmp_path / "link/home") == {"a.md"}


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A folder so deep that pytest, which removes old folders step by step, could not."""
    folders = [tmp_path.joinpath(*["d"] * depth) for depth in range(1, 1201)]
    for folder in folders:
        folder.mkdir()
    yield folders[-1]
    (folders[-1] / "a.md").unlink()
    for folder in reversed(folders):
        folder.rmdir()


def test_deep_folders_are_walked(tmp_path: Path, deep: Path) -> None:
    (deep / "a.md").write_text("deep")
    assert len(scan([tmp_path], Globs()).files) == 1
    assert Selection([tmp_path], Globs()).below([f"{deep}/a.md"]) == [f"{deep}/a.md"]


def test_below_asks_by_the_rules_of_the_scan(tmp_path: Path) -> None:
    root = tmp_path / "root"
    make(root, "a.md", "b/c.md", "b/no.md", "b/d/e.txt", "out/f.md", ".git/g.md", "home/h.md",
         "b/node_modules/i.md", "p.jpg")  # fmt: skip
    make(tmp_path, "secret/s.md")
    (root / ".gitignore").write_text("out/\n")
    (root / "b/.gitignore").write_text("no.md\n")
    (root / "way").symlink_to(tmp_path / "secret")
    (root / "round").symlink_to(root)
    (root / "in.md").symlink_to(root / "a.md")
    selection = Selection([root], Globs(exclude=["*.txt"]), skip=root / "home")
    everything = selection.scan().files
    assert set(everything) == {f"{root}/a.md", f"{root}/b/c.md", f"{root}/in.md"}
    for folder, folders, files in os.walk(root, followlinks=False):
        for name in [*folders, *files]:
            path = f"{folder}/{name}"
            expected = [f for f in everything if f == path or f.startswith(path + "/")]
            assert selection.below([path]) == expected, path
    for path in ("way/s.md", "round/a.md", "nowhere/x.md", "../secret/s.md"):
        assert selection.below([f"{root}/{path}"]) == []
    assert selection.below([str(root), str(tmp_path), f"{root}/a.md"]) == list(everything)


def test_names_tell_what_cannot_concern_a_scan(tmp_path: Path) -> None:
    make(tmp_path, "home/waggle.db")
    selection = Selection([tmp_path], Globs(), skip=tmp_path / "home")
    for name in ("a.md", "b", "b/photo.jpg", ".gitignore", "b/.gitignore", ""):
        assert selection.concerns(f"{tmp_path}/{name}".rstrip("/")), name
    for name in ("home", "home/waggle.db", ".git/index", "b/.x/a.md", "node_modules/a.md", ".x.md"):
        assert not selection.concerns(f"{tmp_path}/{name}"), name
    assert not selection.concerns(f"{tmp_path}x/a.md")
