"""A home in one file, and back."""

import io
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.keeping_safe import _found, backup, restore
from indexes import failpoints
from indexes.collection import Collection
from indexes.errors import UsageError, WaggleError
from tests.indexes.hash_embedder import HashEmbedder

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ["Propolis seals the hive.", "洋槐蜜不易结晶。"]


def opened(home: Path, name: str = "bees") -> Collection:
    return Collection.open(name, home=home, embedder=HashEmbedder())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two documents, a key, a run of the agent, and what is not kept: a model and a lock."""
    home = tmp_path / "home"
    with opened(home) as collection:
        collection.add_texts(TEXTS, None, ["glue", "蜜"])
    run = home / "agents" / "runs" / "r1"
    (run / "notes").mkdir(parents=True)
    (run / "notes" / "plan.md").write_text("Look twice.")
    (run / "run.lock").touch()
    with sqlite3.connect(run / "checkpoints.sqlite") as database:
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (7)")
    (home / "keys.json").write_text("{}")
    (home / "audit.1.jsonl").write_text("{}")
    for odd in ("uploads/content/12ab.lock", "callers/k1/agents/runs/r2/notes/all.new"):
        (home / odd).parent.mkdir(parents=True)
        (home / odd).write_text("chosen by people")
    (home / "uploads" / "content" / "tmp8x_y").write_text("still coming in")
    (home / "models").mkdir()
    (home / "models" / "big.gguf").write_text("weights")
    return home


def test_all_of_it_comes_back(home: Path, tmp_path: Path) -> None:
    file, other = tmp_path / "bees.tar.gz", tmp_path / "other"
    made = backup(home, file)
    assert (made.collections, made.files) == (("bees",), 7)
    assert file.stat().st_mode & 0o077 == 0
    assert restore(file, other) == made
    with opened(other) as collection:
        assert collection.document("glue").text == TEXTS[0]
        assert collection.search("What seals the hive?", 1).results[0].source == "glue"
        assert collection.verify().ok
        collection.add_texts(["More."], None, ["more"])
    run = other / "agents" / "runs" / "r1"
    assert (run / "notes" / "plan.md").read_text() == "Look twice."
    with sqlite3.connect(run / "checkpoints.sqlite") as database:
        assert database.execute("SELECT x FROM t").fetchall() == [(7,)]
    assert not (run / "run.lock").exists()
    assert not (other / "models").exists()
    assert not (other / "restoring").exists()
    odd = ["audit.1.jsonl", "uploads/content/12ab.lock", "callers/k1/agents/runs/r2/notes/all.new"]
    assert all((other / name).is_file() for name in odd)
    assert not (other / "uploads" / "content" / "tmp8x_y").exists()


def test_uploads_are_listed_after_the_database_that_names_them(tmp_path: Path) -> None:
    """So each row of the copy has its content, whatever comes in meanwhile."""
    home = tmp_path / "home"
    (home / "uploads" / "content").mkdir(parents=True)
    database = home / "uploads" / "uploads.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE t (x)")
    found = _found(home, tmp_path / "b")
    assert next(found) == database
    late = home / "uploads" / "content" / "late"
    late.write_text("acknowledged while the database was copied")
    assert list(found) == [late]


def test_while_others_write(home: Path, tmp_path: Path) -> None:
    """Every backup is a state that was confirmed: all documents up to one of them, whole."""
    stop = threading.Event()
    written: list[str] = []

    def write() -> None:
        with opened(home) as collection:
            while not stop.is_set():
                name = f"n{len(written):04d}"
                collection.add_texts([f"{name} is a bee. " * 50], None, [name])
                written.append(name)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for n in range(5):
            before = list(written)
            backup(home, tmp_path / f"{n}.tar.gz")
            after = len(written) + 1
            restore(tmp_path / f"{n}.tar.gz", tmp_path / f"home{n}")
            with opened(tmp_path / f"home{n}") as collection:
                names = [d.source for d, _ in collection.documents() if d.source.startswith("n")]
                assert names == [f"n{i:04d}" for i in range(len(names))]
                assert len(before) <= len(names) <= after
                collection.search("bee", 1)
                assert collection.verify().ok
    finally:
        stop.set()
        thread.join()
    assert written


def test_it_overwrites_nothing(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "bees.tar.gz"
    backup(home, file)
    content = file.read_bytes()
    with pytest.raises(UsageError, match="there already"):
        backup(home, file)
    with pytest.raises(UsageError, match="collections"):
        restore(file, home)
    assert file.read_bytes() == content
    with opened(home) as collection:
        assert len(collection.documents()) == 2


def test_beside_models_it_comes_back(home: Path, tmp_path: Path) -> None:
    backup(home, tmp_path / "b")
    other = tmp_path / "other"
    (other / "models").mkdir(parents=True)
    (other / "collections").mkdir()
    restore(tmp_path / "b", other)
    assert (other / "models").exists()
    with opened(other) as collection:
        assert len(collection.documents()) == 2


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to back up"):
        backup(tmp_path, tmp_path / "b")
    with pytest.raises(UsageError, match="no file"):
        restore(tmp_path / "b", tmp_path / "home")
    assert list(tmp_path.iterdir()) == [tmp_path / "home"]


def test_a_backup_inside_the_home_does_not_hold_itself(home: Path, tmp_path: Path) -> None:
    (home / "prompts").mkdir()
    made = backup(home, home / "prompts" / "b.tar.gz")
    assert made.files == 7


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    with opened(folder / "home") as collection:
        collection.add_texts(TEXTS, None, ["glue", "蜜"])
    (folder / "home" / "keys.json").write_text("{}")
    backup(folder / "home", folder / "b")
    return (folder / "b").read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damage_changes_nothing(whole: bytes, tmp_path: Path, data: st.DataObject) -> None:
    """A backup that is cut off, or has a wrong byte, leaves the home as it was, or is as good as
    the whole one (the gzip header holds bytes that say nothing)."""
    shutil.rmtree(tmp_path / "home", ignore_errors=True)
    if data.draw(st.booleans()):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 9))]
    else:
        at = data.draw(st.integers(0, len(whole) - 1))
        damaged = bytes([*whole[:at], whole[at] ^ data.draw(st.integers(1, 255)), *whole[at + 1 :]])
    (tmp_path / "b").write_bytes(damaged)
    try:
        restore(tmp_path / "b", tmp_path / "home")
    except WaggleError:
        assert not list((tmp_path / "home").glob("*"))
    else:
        with opened(tmp_path / "home") as collection:
            assert collection.search("hive", 1).results[0].text == TEXTS[0]
            assert collection.verify().ok


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "collections/../../evil", "collections/./x", "elsewhere/x"]
)
def test_no_name_leads_outside(whole: bytes, tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "b", "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = 4
        tar.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(WaggleError, match="not a whole backup"):
        restore(tmp_path / "b", tmp_path / "in" / "home")
    assert not list(tmp_path.rglob("evil"))


def test_a_link_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "b", "w:gz") as tar:
        member = tarfile.TarInfo("collections/x")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(WaggleError, match="not a whole backup"):
        restore(tmp_path / "b", tmp_path / "home")


def test_a_full_disk_leaves_no_half_backup(home: Path, tmp_path: Path) -> None:
    failpoints.plan("backup.written=full")
    try:
        with pytest.raises(WaggleError, match="No space left"):
            backup(home, tmp_path / "b")
    finally:
        failpoints.plan("")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


PLACES = ["restore.checked=kill@1", *(f"restore.moving=kill@{n}" for n in (1, 3, 6)),
          "restore.moved=kill@1"]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_killed_while_it_comes_back(home: Path, tmp_path: Path, place: str) -> None:
    """The next call comes to the same end, without a manual step."""
    file, other = tmp_path / "b", tmp_path / "other"
    backup(home, file)
    killed = subprocess.run(
        [sys.executable, "-c",
         "import sys; from pathlib import Path; from agents.keeping_safe import restore; "
         "restore(Path(sys.argv[1]), Path(sys.argv[2]))", str(file), str(other)],
        env={**os.environ, "WAGGLE_FAILPOINTS": place, "PYTHONPATH": str(ROOT)}, timeout=60,
    )  # fmt: skip
    assert killed.returncode == -9
    restore(file, other)
    with opened(other) as collection:
        assert len(collection.documents()) == 2
    assert (other / "keys.json").exists()
    assert (other / "agents" / "runs" / "r1" / "notes" / "plan.md").exists()
    assert not (other / "restoring").exists()
