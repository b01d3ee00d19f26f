"""What was damaged is mended, and what cannot be is told."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from indexes import Collection
from indexes.database import Database
from indexes.embedding import LocalEmbedder
from indexes.errors import EmbedderMismatchError
from indexes.pages import PAGE, check_log
from indexes.repair import repair
from indexes.upkeep import check
from tests.indexes.damage import (
    SEED,
    assert_whole,
    copied,
    files_of,
    flip,
    folder_of,
    kinds,
    offsets,
    repaired,
    verified,
)
from tests.indexes.hash_embedder import HashEmbedder

ROOT = Path(__file__).resolve().parents[2]


def test_a_flipped_byte_is_mended_in_every_file(pristine: Path, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    for name in files_of(pristine):
        size = (folder_of(pristine) / name).stat().st_size
        database = name.name == "waggle.db"
        for offset in sorted(offsets(size, 6, chance) if database else {chance.randrange(size)}):
            home = copied(pristine, tmp_path / "home")
            flip(folder_of(home) / name, offset, chance.randrange(1, 256))
            report = repaired(home)
            assert report.problems == (), f"{name} {offset} seed {SEED}"
            assert report.lost == (), f"{name} {offset} seed {SEED}"
            assert report.repaired, f"{name} {offset} seed {SEED}"
            assert_whole(home)


def test_a_page_with_much_damage_costs_only_what_stood_there(home: Path, sources: Path) -> None:
    path = folder_of(home) / "waggle.db"
    pages = path.stat().st_size // PAGE
    for number in range(1, pages, 3):
        with path.open("r+b") as file:
            file.seek(number * PAGE + 8)
            file.write(random.Random(number).randbytes(1000))
    assert "page" in kinds(verified(home))
    report = repaired(home)
    assert report.problems == ()
    with Collection.open("t", home=home, embedder=HashEmbedder()) as collection:
        collection.add([sources], exclude=["weasel.md"])
    assert_whole(home)


@pytest.mark.parametrize("number", range(0, 24, 3))
def test_a_page_of_zeros_is_found(home: Path, number: int) -> None:
    """Zeros are their own checksum."""
    path = folder_of(home) / "waggle.db"
    if (number + 1) * PAGE > path.stat().st_size:
        pytest.skip("the database has fewer pages")
    content = path.read_bytes()
    path.write_bytes(content[: number * PAGE] + bytes(PAGE) + content[(number + 1) * PAGE :])
    assert not verified(home).ok
    report = repaired(home)
    assert report.problems == ()
    if number:
        assert report.lost == ()
        assert_whole(home)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_database_is_found_and_mended(home: Path, sources: Path, keep: float) -> None:
    path = folder_of(home) / "waggle.db"
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    assert not verified(home).ok
    report = repaired(home)
    assert report.problems == ()
    assert report.repaired
    kept = list(folder_of(home).glob("waggle.db.damaged-*"))
    assert kept
    with Collection.open("t", home=home, embedder=HashEmbedder()) as collection:
        collection.add([sources], exclude=["weasel.md"])
    assert_whole(home)


def test_bytes_behind_the_end_are_found(home: Path) -> None:
    with (folder_of(home) / "waggle.db").open("ab") as file:
        file.write(bytes(PAGE + 5))
    assert "page" in kinds(verified(home))
    assert repaired(home).ok
    assert_whole(home)


@pytest.mark.parametrize("damage", ["missing", "empty", "half"])
def test_derived_files_that_are_missing_or_cut_are_made_anew(
    pristine: Path, tmp_path: Path, damage: str
) -> None:
    for name in files_of(pristine):
        if name.name == "waggle.db":
            continue
        home = copied(pristine, tmp_path / "home")
        path = folder_of(home) / name
        if damage == "missing":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[: 0 if damage == "empty" else -5])
        assert not verified(home).ok, name
        assert repaired(home).ok, name
        assert_whole(home)


def test_orphans_are_found_and_removed_but_for_what_others_laid_there(home: Path) -> None:
    folder = folder_of(home)
    live = next((folder / "postings").iterdir())
    orphans = (
        folder / "vectors" / "0.faiss.tmp",
        folder / "postings" / "left",
        live / "0.term",
        folder / "waggle.db.mending",
    )
    for path in orphans:
        path.write_text("x", encoding="utf-8")
    (folder / "write.lock").write_text("x", encoding="utf-8")
    report = verified(home)
    assert {p.subject for p in report.problems} == {
        *(str(path.relative_to(folder)) for path in orphans), "write.lock"
    }  # fmt: skip
    assert repaired(home).ok
    assert not any(path.exists() for path in orphans)
    (folder / "letter.txt").write_text("mine", encoding="utf-8")
    assert kinds(repaired(home)) == {"orphan"}
    assert (folder / "letter.txt").exists()


def test_wrong_rows_are_found_and_mended(pristine: Path, tmp_path: Path) -> None:
    """Rows that are wrong in pages that are sound: what a mistake of the program would do."""
    for kind, sql in (
        ("counts", "UPDATE counts SET chunks = chunks + 1"),
        ("counts", "DELETE FROM counts"),
        ("document", "UPDATE texts SET text = text || '!' WHERE document = 2"),
        ("document", "UPDATE vectors SET vector = zeroblob(128) WHERE chunk = 3"),
        ("document", "DELETE FROM texts WHERE document = 2"),
        ("document", "DELETE FROM spans WHERE document = 2"),
        ("vector", "DELETE FROM vectors WHERE chunk = 3"),
        ("vector", "INSERT INTO vectors VALUES (900, zeroblob(128))"),
        ("chunk", "INSERT INTO chunks VALUES (900, 2, 0, 1, NULL, '[]')"),
        ("chunk", "INSERT INTO removed_postings VALUES (2)"),
        ("chunk", "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'chunks'"),
        ("vector_file", "UPDATE vector_file SET sha256 = ''"),
        ("postings_file", "UPDATE meta SET value = '0' WHERE key = 'postings_analysis'"),
    ):
        home = copied(pristine, tmp_path / "home")
        database = Database(folder_of(home) / "waggle.db")
        database.connection.execute("PRAGMA foreign_keys=OFF")
        database.connection.execute(sql)
        database.close()
        assert kind in kinds(verified(home)), sql
        report = repaired(home)
        assert report.problems == (), sql
        assert report.lost == (), sql
        assert_whole(home)


_DIE = """
import os, signal, sys
sys.path.insert(0, {root!r})
from tests.indexes.hash_embedder import HashEmbedder
from indexes import Collection
collection = Collection.open("t", home={home!r}, embedder=HashEmbedder())
database = collection._database
for number in range(4):
    with database.writing():
        database.set("mark", str(number) * 3000)
        database.next_generation()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(home: Path) -> Path:
    """A home whose last writer was killed with commits in the log."""
    script = _DIE.format(root=str(ROOT), home=str(home))
    subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert (folder_of(home) / "waggle.db-wal").stat().st_size > 2 * PAGE
    return home


def test_a_killed_writer_is_no_damage(killed: Path) -> None:
    before = check_log(folder_of(killed) / "waggle.db-wal")
    assert before.frames
    assert not before.damaged
    assert verified(killed).ok
    assert_whole(killed)


def test_a_flipped_byte_in_the_log_is_found_and_told(killed: Path, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    size = (folder_of(killed) / "waggle.db-wal").stat().st_size
    for offset in sorted(offsets(size, 3, chance)):
        home = copied(killed, tmp_path / "damaged")
        flip(folder_of(home) / "waggle.db-wal", offset, chance.randrange(1, 256))
        assert "log" in kinds(verified(home)), f"{offset} seed {SEED}"
        assert "log" in kinds(verified(home)), "looking must not drop the damaged log"
        report = repaired(home)
        assert report.problems == (), f"{offset} seed {SEED}"
        assert list(folder_of(home).glob("waggle.db-wal.damaged-*"))
        assert_whole(home)


def test_a_log_that_ends_within_an_entry_is_no_damage(killed: Path) -> None:
    log = folder_of(killed) / "waggle.db-wal"
    log.write_bytes(log.read_bytes()[:-100])
    assert not check_log(log).damaged


_REPAIR = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from indexes.repair import repair
repair(Path({folder!r}), "t")
"""


def _page_of_rubbish(folder: Path) -> None:
    path = folder / "waggle.db"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 3 * PAGE)
        file.write(bytes(range(256)) * 16)


def _rubbish_everywhere(folder: Path) -> None:
    _page_of_rubbish(folder)
    flip(next((folder / "vectors").glob("*.faiss")), 100)
    flip(next((folder / "postings").glob("*/*.term")), 10)
    flip(folder / "waggle.db", 2 * PAGE + 1)


def test_a_repair_that_is_killed_can_be_run_again(pristine: Path, tmp_path: Path) -> None:
    log = tmp_path / "points"
    home = copied(pristine, tmp_path / "home")
    _rubbish_everywhere(folder_of(home))
    assert _repair_with(home, WAGGLE_FAILPOINTS_LOG=str(log)) == 0
    points = sorted({p for p in log.read_text("utf-8").split() if p.startswith("repair.")})
    assert {"repair.page", "repair.copied", "repair.renamed", "repair.postings"} <= set(points)
    for point in points:
        home = copied(pristine, tmp_path / "home")
        _rubbish_everywhere(folder_of(home))
        assert _repair_with(home, WAGGLE_FAILPOINTS=f"{point}=kill@1") != 0
        assert repaired(home).ok, point
        assert_whole(home)


def _repair_with(home: Path, **environment: str) -> int:
    script = _REPAIR.format(root=str(ROOT), folder=str(folder_of(home)))
    return subprocess.run(
        [sys.executable, "-c", script], check=False, timeout=60, env={**os.environ, **environment}
    ).returncode


def _spoil_meta(home: Path) -> None:
    """The record of what the collection was made with."""
    path = folder_of(home) / "waggle.db"
    database = Database(path)
    ((root,),) = database.connection.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'meta'"
    ).fetchall()
    database.close()
    with path.open("r+b") as file:
        file.seek((int(str(root)) - 1) * PAGE)
        file.write(bytes(range(256)) * 16)


def test_a_model_whose_record_is_lost_is_recognised_by_its_vectors(home: Path) -> None:
    _spoil_meta(home)
    report = repaired(home)
    assert report.problems == ()
    assert report.lost == ()
    assert_whole(home)


def test_the_model_may_be_told_by_its_name(
    home: Path, models_folder: Path, embedder: LocalEmbedder
) -> None:
    (home / "models").symlink_to(models_folder)
    _spoil_meta(home)
    assert check("t", home=home, embedder=embedder.name, mend=True).problems == ()


def test_vectors_of_a_model_that_is_not_known_meet_no_others(home: Path) -> None:
    _spoil_meta(home)
    assert repair(folder_of(home), "t").problems == ()
    with (
        Collection.open("t", home=home, embedder=HashEmbedder()) as collection,
        pytest.raises(EmbedderMismatchError),
    ):
        collection.search("heron")
