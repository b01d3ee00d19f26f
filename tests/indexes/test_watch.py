"""Following folders with a real watcher on a real disk."""

import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from indexes.collection import Collection
from indexes.errors import SourceError
from indexes.sources import Globs, scan
from indexes.types import IndexReport
from indexes.watch import follow
from tests.indexes.hash_embedder import HashEmbedder

SECONDS = 30.0


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    with Collection.open("test", home=tmp_path / "home", embedder=HashEmbedder()) as opened:
        yield opened


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    write(folder / "bee.md", "The queen lays eggs.")
    return folder


@pytest.fixture
def notices_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but notices leads to a run, so that a wrong answer to one shows."""
    monkeypatch.setattr("indexes.watch._AUDIT_SOONEST", 3600.0)
    monkeypatch.setattr("indexes.watch._AUDIT_LATEST", 3600.0)


needs_notices = pytest.mark.usefixtures("notices_only")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class Follower:
    """`follow` in a thread."""

    def __init__(self, collection: Collection, *paths: Path, **options: Any) -> None:
        self.collection = collection
        self.reports: list[IndexReport] = []
        self.error: BaseException | None = None
        self._paths = paths
        self._options = {"debounce_ms": 50, **options}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            for report in follow(self.collection, self._paths, stop=self._stop, **self._options):
                self.reports.append(report)
        except BaseException as error:  # noqa: BLE001 - the test asks for it
            self.error = error

    def __enter__(self) -> "Follower":
        self._thread.start()
        self.until(lambda: self.reports)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        assert self.error is None

    def until(self, condition: Callable[[], object], seconds: float = SECONDS) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert self.error is None, self.error
            assert time.monotonic() < end, sorted(sources(self.collection))
            time.sleep(0.05)

    def until_holds(self, expected: set[str], seconds: float = SECONDS) -> None:
        self.until(lambda: sources(self.collection) == expected, seconds)

    def until_text(self, path: Path, piece: str) -> None:
        self.until(lambda: piece in text(self.collection, path))


def sources(collection: Collection) -> set[str]:
    return {document.source for document, _ in collection.documents()}


def text(collection: Collection, path: Path) -> str:
    return collection.document(path).text if str(path) in sources(collection) else ""


def scanned(root: Path) -> set[str]:
    return set(scan([root], Globs()).files)


@needs_notices
def test_what_happens_to_a_file_happens_to_its_document(collection: Collection, root: Path) -> None:
    with Follower(collection, root) as follower:
        assert sources(collection) == {f"{root}/bee.md"}
        write(root / "new.md", "Propolis.")
        follower.until_holds({f"{root}/bee.md", f"{root}/new.md"})
        write(root / "bee.md", "The drones leave in autumn.")
        follower.until_text(root / "bee.md", "drones")
        (root / "new.md").rename(root / "old.md")
        follower.until_holds({f"{root}/bee.md", f"{root}/old.md"})
        (root / "old.md").unlink()
        follower.until_holds({f"{root}/bee.md"})


@needs_notices
def test_a_small_change_touches_one_file_only(collection: Collection, root: Path) -> None:
    for number in range(20):
        write(root / f"{number}.md", f"Number {number}")
    with Follower(collection, root) as follower:
        save_by_rename(root / "3.md", "Three.")  # or it may be read between emptied and written
        follower.until(lambda: len(follower.reports) == 2)
    report = follower.reports[1]
    assert (report.added, report.updated, report.unchanged, report.removed) == (0, 1, 0, 0)


@needs_notices
def test_folders_are_moved_with_what_is_in_them(collection: Collection, root: Path) -> None:
    with Follower(collection, root) as follower:
        for name in ("a", "b/c"):
            write(root / "hive" / name / "comb.md", f"Comb {name}.")
        follower.until_holds(scanned(root))
        (root / "hive").rename(root / "skep")
        follower.until_holds(
            {f"{root}/bee.md", f"{root}/skep/a/comb.md", f"{root}/skep/b/c/comb.md"}
        )
        write(root / "skep/b/c/late.md", "The new folder is watched too.")
        follower.until(lambda: f"{root}/skep/b/c/late.md" in sources(collection))
        (root / "skep").rename(root.parent / "outside")
        follower.until_holds({f"{root}/bee.md"})


def save_by_rename(path: Path, text: str) -> None:
    write(path.with_suffix(".md~"), text)
    path.with_suffix(".md~").replace(path)


def save_by_deletion(path: Path, text: str) -> None:
    path.unlink()
    write(path, text)


def save_with_backup(path: Path, text: str) -> None:
    path.rename(path.with_suffix(".bak"))
    write(path, text)
    path.with_suffix(".bak").unlink()


@needs_notices
@pytest.mark.parametrize("save", [save_by_rename, save_by_deletion, save_with_backup])
def test_an_editor_that_saves_does_not_lose_the_document(
    collection: Collection, root: Path, save: Callable[[Path, str], None]
) -> None:
    # The pause that is waited for must be longer than one in the middle of saving, on a machine at
    # work with other things too.
    with Follower(collection, root, debounce_ms=500) as follower:
        for turn in range(5):
            save(root / "bee.md", f"Version {turn} of the text.")
            follower.until_text(root / "bee.md", f"Version {turn}")
        assert sources(collection) == {f"{root}/bee.md"}
        assert sum(report.removed for report in follower.reports) == 0


@needs_notices
def test_the_rules_of_the_scan_hold(collection: Collection, root: Path) -> None:
    write(root / ".gitignore", "build/\n")
    with Follower(collection, root, include=("*.md",), exclude=("secret*",)) as follower:
        for name in ("x.txt", "secret.md", "build/out.md", ".git/note.md", "node_modules/m.md"):
            write(root / name, name)
        write(root / "yes.md", "Yes.")
        follower.until(lambda: f"{root}/yes.md" in sources(collection))
        write(root / ".gitignore", "yes.md\n")
        follower.until_holds({f"{root}/bee.md", f"{root}/build/out.md"})


@needs_notices
def test_rules_above_the_root_may_change(collection: Collection, root: Path) -> None:
    (root.parent / ".git").mkdir()
    with Follower(collection, root) as follower:
        write(root / "new.md", "New.")
        follower.until_holds({f"{root}/bee.md", f"{root}/new.md"})
        write(root.parent / ".gitignore", "new.md\n")
        follower.until_holds({f"{root}/bee.md"})


@needs_notices
def test_without_prune_documents_stay(collection: Collection, root: Path) -> None:
    with Follower(collection, root, prune=False) as follower:
        (root / "bee.md").rename(root / "wasp.md")
        follower.until_holds({f"{root}/bee.md", f"{root}/wasp.md"})
        (root / "wasp.md").unlink()
        write(root / "ant.md", "Ants.")
        follower.until_holds({f"{root}/{name}.md" for name in ("bee", "wasp", "ant")})


def test_an_empty_folder_can_be_followed(collection: Collection, tmp_path: Path) -> None:
    for prune in (True, False):
        folder = tmp_path / f"empty{prune}"
        folder.mkdir()
        with Follower(collection, folder, prune=prune) as follower:
            assert follower.reports[0].added == 0
            write(folder / "a.md", "At last.")
            follower.until_text(folder / "a.md", "At last.")


@needs_notices
def test_a_root_that_vanishes_is_waited_for(collection: Collection, root: Path) -> None:
    away = root.parent / "away"
    with Follower(collection, root) as follower:
        root.rename(away)
        time.sleep(1)
        write(away / "meanwhile.md", "Written elsewhere.")
        assert sources(collection) == {f"{root}/bee.md"}
        away.rename(root)
        follower.until_holds({f"{root}/bee.md", f"{root}/meanwhile.md"})
        shutil.rmtree(root)
        write(root / "again.md", "Made anew at once.")
        follower.until_holds({f"{root}/again.md"})
        write(root / "watched.md", "And watched.")
        follower.until_holds({f"{root}/again.md", f"{root}/watched.md"})


@needs_notices
def test_a_file_is_followed_through_replacement(collection: Collection, root: Path) -> None:
    bee = root / "bee.md"
    with Follower(collection, bee) as follower:
        write(root / "other.md", "Not asked for.")
        save_by_rename(bee, "The drones leave.")
        follower.until_text(bee, "drones")
        save_by_deletion(bee, "The workers stay.")
        follower.until_text(bee, "workers")
        assert sources(collection) == {str(bee)}


@needs_notices
def test_what_changes_during_the_first_run_is_not_lost(collection: Collection, root: Path) -> None:
    def late(_: object) -> None:
        if not (root / "late.md").exists():
            write(root / "late.md", "Written after the folder was listed.")

    with Follower(collection, root, progress=late) as follower:
        follower.until_holds({f"{root}/bee.md", f"{root}/late.md"})


@needs_notices
def test_another_writer_is_waited_for(
    collection: Collection, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexes.collection._LOCK_SECONDS", 0.2)
    with Follower(collection, root) as follower:
        with FileLock(collection.home / "collections/test/write.lock"):
            write(root / "new.md", "Wait.")
            (root / "bee.md").unlink()
            time.sleep(1.5)
            assert sources(collection) == {f"{root}/bee.md"}
        follower.until_holds({f"{root}/new.md"})


@needs_notices
def test_a_name_that_is_no_text_does_not_end_it(collection: Collection, root: Path) -> None:
    with Follower(collection, root) as follower:
        (root / os.fsdecode(b"\xff.md")).write_text("Unnamable.")
        write(root / "new.md", "Named.")
        follower.until(lambda: f"{root}/new.md" in sources(collection))
        write(root / "later.md", "Still watched.")
        follower.until(lambda: f"{root}/later.md" in sources(collection))


def test_the_collection_may_lie_in_the_folder(collection: Collection, tmp_path: Path) -> None:
    write(tmp_path / "a.md", "A.")
    with Follower(collection, tmp_path) as follower:
        write(tmp_path / "b.md", "B.")
        follower.until(lambda: sum(report.added for report in follower.reports) == 2)
        reported = len(follower.reports)
        time.sleep(4)
        assert len(follower.reports) == reported


def test_a_path_that_does_not_exist_is_named_at_once(collection: Collection, root: Path) -> None:
    with pytest.raises(SourceError, match="no file or folder"):
        next(iter(follow(collection, [root / "nowhere"], debounce_ms=50)))


@needs_notices
@pytest.mark.parametrize("seed", range(3))
def test_after_any_series_of_changes_it_equals_a_scan(
    collection: Collection, root: Path, seed: int
) -> None:
    check_series(collection, root, random.Random(seed), kinds=9)


@pytest.mark.parametrize("seed", range(2))
def test_after_any_series_of_changes_with_links_too(
    collection: Collection, root: Path, seed: int
) -> None:
    check_series(collection, root, random.Random(seed), kinds=10)


def test_what_came_without_notice_is_found_after_a_while(
    collection: Collection, root: Path
) -> None:
    (root / "link.md").symlink_to(root / "bee.md")
    with Follower(collection, root) as follower:
        write(root / "bee.md", "The drones leave.")
        follower.until_text(root / "link.md", "drones")


def check_series(collection: Collection, root: Path, chance: random.Random, kinds: int) -> None:
    with Follower(collection, root) as follower:
        for _ in range(150):
            change(root, chance, kinds)
            if chance.random() < 0.1:
                time.sleep(chance.random() / 3)
        follower.until_holds(scanned(root))
        for source in sources(collection):
            follower.until_text(Path(source), Path(source).read_text())


def change(root: Path, chance: random.Random, kinds: int) -> None:
    """Change something, whatever comes of it."""
    folders = [root, *sorted(p for p in root.rglob("*") if p.is_dir() and not p.is_symlink())]
    files = sorted(p for p in root.rglob("*") if p.is_file())
    folder, other = chance.choice(folders), chance.choice(folders)
    name = f"{chance.randrange(12)}"
    match chance.randrange(kinds):
        case 0 | 1 | 2:
            write(folder / f"{name}.md", f"Text {chance.random()}.")
        case 3:
            write(folder / name / "deep" / "x.md", f"Text {chance.random()}.")
        case 4 if files:
            chance.choice(files).unlink()
        case 5 if files:
            chance.choice(files).replace(other / f"{name}.md")
        case 6 if folder != root and folder not in (other, *other.parents):
            if not (other / name).exists():
                folder.rename(other / name)
        case 7 if folder != root:
            shutil.rmtree(folder)
        case 8:
            write(folder / ".gitignore", f"{name}.md\n/{chance.randrange(12)}/\n")
        case 9 if files and not (folder / f"{name}.md").exists():
            (folder / f"{name}.md").unlink(missing_ok=True)
            (folder / f"{name}.md").symlink_to(chance.choice(files))


def test_a_burst_of_ten_thousand_changes_and_renames(collection: Collection, root: Path) -> None:
    with Follower(collection, root) as follower:
        for number in range(5000):
            write(root / f"part{number % 50}" / f"{number}.md", f"Note {number}.")
        for number in range(0, 5000, 2):
            path = root / f"part{number % 50}" / f"{number}.md"
            path.rename(path.with_name(f"moved-{number}.md"))
        for part in range(0, 50, 5):
            (root / f"part{part}").rename(root / f"renamed{part}")
        for number in range(1, 5000, 4):
            for folder in ("part", "renamed"):
                (root / f"{folder}{number % 50}" / f"{number}.md").unlink(missing_ok=True)
        for number in range(1250):
            write(root / f"late{number % 7}" / f"{number}.md", f"Late {number}.")
        follower.until_holds(scanned(root), seconds=240)
        write(root / "after.md", "It goes on.")
        follower.until(lambda: f"{root}/after.md" in sources(collection))
