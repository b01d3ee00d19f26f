"""Damage of every kind is found."""

import os
import random
from collections.abc import Callable
from pathlib import Path

from indexes import Collection
from indexes.database import Database
from indexes.pages import PAGE, check_pages, correction
from indexes.verify import verify
from tests.indexes.damage import (
    ANIMALS,
    SEED,
    assert_whole,
    files_of,
    flip,
    folder_of,
    kinds,
    offsets,
    repaired,
    restore,
    verified,
)
from tests.indexes.hash_embedder import HashEmbedder


def test_a_sound_collection_has_no_problems(home: Path) -> None:
    report = verified(home)
    assert report.ok
    assert report.documents == len(ANIMALS)
    assert report.chunks == report.vectors == report.postings > len(ANIMALS)
    assert report.pages == (folder_of(home) / "waggle.db").stat().st_size // PAGE
    assert report.outdated == report.vanished == ()


def test_a_flipped_byte_is_found_in_every_file(home: Path) -> None:
    chance = random.Random(SEED)
    missed = []
    for name in files_of(home):
        path = folder_of(home) / name
        content = path.read_bytes()
        for offset in offsets(len(content), 6, chance):
            flip(path, offset, chance.randrange(1, 256))
            if verified(home).ok:
                missed.append((str(name), offset))
            restore(path, content)
    assert missed == [], f"seed {SEED}"


def test_every_byte_of_a_page_is_covered_and_most_can_be_put_right(home: Path) -> None:
    page = (folder_of(home) / "waggle.db").read_bytes()[PAGE : 2 * PAGE]
    chance = random.Random(SEED)
    for offset in range(0, PAGE, 7):
        damaged = bytearray(page)
        damaged[offset] ^= chance.randrange(1, 256)
        mended = correction(bytes(damaged))
        assert mended in (page, None), f"{offset} seed {SEED}"
        assert mended is not None or offset % 4 == 3 or offset >= PAGE - 8 or offset < 16


def test_a_missing_database_is_found(home: Path) -> None:
    (folder_of(home) / "waggle.db").unlink()
    assert kinds(verified(home)) == {"database"}
    assert not (folder_of(home) / "waggle.db").exists(), "verify must not make a new one"
    report = repaired(home)
    assert report.problems == ()
    assert report.documents == 0


def test_postings_that_lack_or_repeat_a_passage_are_found(home: Path) -> None:
    from indexes.postings import Postings

    database = Database(folder_of(home) / "waggle.db")
    postings = Postings(folder_of(home) / "postings" / database.get("postings"))
    postings.change((), [2])
    postings.change(list(database.chunks([3]).values()))
    postings.finish()
    with database.writing():
        database.set("postings_state", postings.state())
    database.close()
    report = verified(home)
    assert [problem.kind for problem in report.problems] == ["posting", "posting"]
    assert repaired(home).ok
    assert_whole(home)


def test_sources_changed_gone_and_damaged(home: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for name in ("one", "two", "three", "four"):
        (files / f"{name}.txt").write_text(f"The {name} text.", encoding="utf-8")
    with Collection.open("t", home=home, embedder=HashEmbedder()) as collection:
        collection.add([files])
    (files / "one.txt").write_text("Another and longer text.", encoding="utf-8")
    (files / "two.txt").unlink()
    (files / "three.txt").touch()
    assert verified(home).ok
    before = (files / "four.txt").stat()
    flip(files / "four.txt", 5)
    os.utime(files / "four.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    report = verified(home)
    assert report.outdated == (str(files / "one.txt"),)
    assert report.vanished == (str(files / "two.txt"),)
    assert [(p.kind, p.subject) for p in report.problems] == [
        ("source_changed", str(files / "four.txt"))
    ]


def test_the_receipt_of_a_removal_agrees(home: Path, sources: Path) -> None:
    before = verified(home)
    with Collection.open("t", home=home, embedder=HashEmbedder()) as collection:
        receipt = collection.remove([sources / "otter.md", sources / "heron.md"])
    after = verified(home)
    assert after.ok
    assert after.documents == before.documents - len(receipt.documents)
    for told, then, now in (
        (receipt.chunks, before.chunks, after.chunks),
        (receipt.vectors, before.vectors, after.vectors),
        (receipt.postings, before.postings, after.postings),
    ):
        assert told == then - now > 0


def test_bytes_of_a_page_are_summed_as_sqlite_does(home: Path) -> None:
    found = check_pages(folder_of(home) / "waggle.db")
    assert found.ok
    assert found.count > 10


def test_a_page_that_became_zeros_is_told_from_one_that_never_held_anything(home: Path) -> None:
    """Zeros are their own checksum."""
    path = folder_of(home) / "waggle.db"
    database = Database(path)
    free = int(str(database.connection.pragma("freelist_count")))
    database.close()
    content = path.read_bytes()
    pages = len(content) // PAGE
    unnoticed = 0
    for at in range(0, len(content), PAGE):
        path.write_bytes(content[:at] + bytes(PAGE) + content[at + PAGE :])
        unnoticed += check_pages(path).ok
    assert unnoticed <= free < pages / 2


def test_progress_is_told(home: Path) -> None:
    told: list[tuple[str, int, int]] = []
    note: Callable[[str, int, int], None] = lambda *step: told.append(step)  # noqa: E731
    verify(folder_of(home), "t", note)
    assert {step for step, _, _ in told} >= {"database", "postings", "sources"}
