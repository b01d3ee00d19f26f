"""Uploads beneath the door: whose they are, and what happens when things go wrong."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents import keeping_safe
from agents.doors.rights import LOCAL, RIGHTS, Caller
from agents.doors.upload_types import StoreFacts
from indexes.collection import Collection
from indexes.errors import (
    ForbiddenError,
    LockedError,
    UnknownCollectionError,
    UnknownSourceError,
    UsageError,
    WaggleError,
)
from tests.http.kept_uploads import Opened
from tests.indexes.hash_embedder import HashEmbedder

LIME = b"Lime honey is pale and strong."
ALL = frozenset(RIGHTS)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    with Opened(tmp_path / "home") as made:
        for name in ("honey", "wax"):
            made.uploads.create(LOCAL, name, StoreFacts(name))
        yield made


def keep(opened: Opened, caller: Caller, name: str = "lime.txt", data: bytes = LIME) -> str:
    with opened.uploads.incoming(caller) as incoming:
        incoming.write(data)
        return opened.uploads.keep(caller, incoming, name, "assistants").id


def words(work: Any, *arguments: Any) -> str:
    """What the error says."""
    with pytest.raises(WaggleError) as caught:
        work(*arguments)
    return f"{type(caught.value).__name__}: {caught.value}"


def test_all_files_of_a_key_have_their_room_and_no_more(tmp_path: Path) -> None:
    ann, bob = Caller("ann", ALL), Caller("bob", ALL)
    with Opened(tmp_path / "home", key_upload_mb=0.000_1) as opened:
        first = keep(opened, ann, data=b"x" * 60)
        told = words(keep, opened, ann, "b.txt", b"y" * 41)
        assert told.startswith("QuotaError: The uploads of a key may take 0.0001 MB together.")
        keep(opened, ann, data=b"y" * 40)
        assert words(opened.uploads.incoming, ann).startswith("QuotaError")
        keep(opened, bob, data=b"z" * 100)
        keep(opened, LOCAL, data=b"z" * 1000)
        opened.uploads.delete(ann, first)
        keep(opened, ann, data=b"w" * 60)
        assert len(opened.uploads.files(ann)) == 2


def test_what_comes_in_side_by_side_has_the_room_of_its_key_together(tmp_path: Path) -> None:
    ann, bob = Caller("ann", ALL), Caller("bob", ALL)
    with Opened(tmp_path / "home", key_upload_mb=0.000_1) as opened:
        keep(opened, ann, data=b"x" * 40)
        with opened.uploads.incoming(ann) as first, opened.uploads.incoming(ann) as second:
            first.write(b"y" * 35)
            assert words(second.write, b"z" * 26).startswith("QuotaError")
            keep(opened, bob, data=b"z" * 100)
            second.write(b"z" * 25)
            assert words(opened.uploads.incoming, ann).startswith("QuotaError")
            opened.uploads.keep(ann, first, "y.txt", "assistants")
        assert keep(opened, ann, data=b"w" * 25)
        assert words(opened.uploads.incoming, ann).startswith("QuotaError")


def test_a_backup_names_no_upload_that_was_deleted_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Opened(tmp_path / "home") as opened:
        uploads = opened.uploads
        uploads.create(LOCAL, "honey", StoreFacts("honey"))
        kept, gone = opened.upload("kept", LIME), opened.upload("gone", b"Heather honey is thick.")
        uploads.attach(LOCAL, "honey", {kept: {}, gone: {}})
        assert uploads.settle(30)
        found = keeping_safe._found

        def deleting(home: Path, but: Path) -> Iterator[Path]:
            for path in found(home, but):
                yield path
                if path.name == "uploads.db":
                    asyncio.run(uploads.removed(uploads.delete(LOCAL, gone)))

        monkeypatch.setattr(keeping_safe, "_found", deleting)
        keeping_safe.backup(tmp_path / "home", tmp_path / "b.tar.gz")
    keeping_safe.restore(tmp_path / "b.tar.gz", tmp_path / "other")
    with Opened(tmp_path / "other") as again:
        files = again.uploads.files(LOCAL)
        assert [(one.id, again.uploads.path(one).read_bytes()) for one in files] == [(kept, LIME)]
        assert [one.file for one in again.uploads.attachments(LOCAL, "honey")] == [kept]
        documents = again.shelf.collection(LOCAL, "honey").documents()
        assert [one.source for one, _ in documents] == [f"{kept}/kept.txt"]


def test_a_file_is_its_keys_own_until_it_is_attached(opened: Opened) -> None:
    uploads = opened.uploads
    ann = Caller("ann", ALL, frozenset({"honey"}))
    bob = Caller("bob", ALL, frozenset({"honey"}))
    eve = Caller("eve", ALL, frozenset({"wax"}))
    file = keep(opened, ann)
    assert [one.id for one in uploads.files(ann)] == [file]
    nowhere = words(uploads.file, bob, "file-" + "0" * 24)
    for other in (bob, eve, LOCAL):
        assert uploads.files(other) == []
        assert words(uploads.file, other, file) == nowhere.replace("file-" + "0" * 24, file)
        assert words(uploads.delete, other, file).startswith("UnknownSourceError")
        with pytest.raises((UnknownSourceError, UnknownCollectionError)):
            uploads.attach(other, "wax", {file: {}})
    uploads.attach(ann, "honey", {file: {}})
    assert uploads.settle(10)
    assert uploads.file(bob, file).name == "lime.txt"
    assert uploads.files(bob) == []
    with pytest.raises(ForbiddenError):
        uploads.delete(bob, file)
    with pytest.raises(UnknownSourceError):
        uploads.file(eve, file)
    uploads.detach(bob, "honey", file)
    with pytest.raises(UnknownSourceError):
        uploads.file(bob, file)


def test_without_the_right_nothing_is_kept(opened: Opened) -> None:
    reader = Caller("reader", frozenset({"read"}))
    with pytest.raises(ForbiddenError):
        keep(opened, reader)
    assert opened.uploads.files(reader) == []


METHODS = ["attach", "attachments", "attachment", "describe", "detach", "by_source", "attach_batch",
           "batch", "cancel", "facts", "set_facts", "delete_collection"]  # fmt: skip


def called(opened: Opened, method: str, caller: Caller, collection: str, file: str) -> str:
    """What a call says, with the name of the collection taken out."""
    arguments: dict[str, tuple[Any, ...]] = {
        "attach": ({file: {}},), "attachment": (file,), "describe": (file, {"a": 1}),
        "detach": (file,), "by_source": ([file],), "attach_batch": ({file: {}},),
        "batch": ("vsfb-1",), "cancel": ("vsfb-1",), "set_facts": (StoreFacts("x"),),
    }  # fmt: skip
    work = getattr(opened.uploads, method)
    return words(work, caller, collection, *arguments.get(method, ())).replace(collection, "?")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Opened, str]]:
    with Opened(tmp_path_factory.mktemp("tenants") / "home") as made:
        for name in ("honey", "wax"):
            made.uploads.create(LOCAL, name, StoreFacts(name, "secret", {"a": "secret"}))
        file = keep(made, LOCAL)
        made.uploads.attach(LOCAL, "honey", {file: {}})
        assert made.uploads.settle(10)
        yield made, file


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(METHODS),
    st.sampled_from(["honey", "wax"]),
    st.frozensets(st.sampled_from(["propolis", "nectar", "hone", "honey2"])),
)
def test_a_key_cannot_tell_a_foreign_collection_from_none(
    shared: tuple[Opened, str], method: str, foreign: str, own: frozenset[str]
) -> None:
    opened, file = shared
    caller = Caller("eve", ALL, own)
    there = called(opened, method, caller, foreign, file)
    assert there == called(opened, method, caller, "nowhere", file)
    assert "secret" not in there
    assert "UnknownCollectionError" in there


def test_what_waits_for_another_writer_is_indexed_later(opened: Opened, tmp_path: Path) -> None:
    """Another process holds the lock of one collection; the other collection goes on."""
    file = keep(opened, LOCAL)
    released = threading.Event()
    with Collection.open("honey", home=tmp_path / "home", embedder=HashEmbedder()) as other:
        held = threading.Event()

        def hold() -> None:
            with other.writing():
                held.set()
                released.wait(30)

        thread = threading.Thread(target=hold)
        thread.start()
        assert held.wait(10)
        opened.uploads.attach(LOCAL, "honey", {file: {}})
        assert not opened.uploads.settle(0.3)
        assert opened.uploads.attachment(LOCAL, "honey", file).state == "in_progress"
        released.set()
        thread.join()
    assert opened.uploads.settle(20)
    one = opened.uploads.attachment(LOCAL, "honey", file)
    assert (one.state, one.attempts) == ("completed", 0)


def test_a_file_that_ends_the_service_each_time_is_given_up(opened: Opened) -> None:
    records = opened.uploads._records
    file = keep(opened, LOCAL)
    opened.uploads._worker.stop()
    opened.uploads.attach(LOCAL, "honey", {file: {}})
    one = opened.uploads.attachment(LOCAL, "honey", file)
    for _ in range(3):
        records.attempted([one])
    with Opened(opened.shelf.home) as again:
        assert again.uploads.settle(10)
        failed = again.uploads.attachment(LOCAL, "honey", file)
        assert (failed.state, failed.code) == ("failed", "server_error")
        again.uploads.attach(LOCAL, "honey", {file: {}})  # the person tries again
        assert again.uploads.settle(10)
        assert again.uploads.attachment(LOCAL, "honey", file).state == "completed"


def test_what_waits_when_the_service_ends_is_indexed_when_it_begins(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Opened(home) as opened:
        opened.uploads.create(LOCAL, "honey", StoreFacts("honey"))
        opened.uploads._worker.stop()
        file = keep(opened, LOCAL)
        opened.uploads.attach(LOCAL, "honey", {file: {"a": 1}})
    with Opened(home) as again:
        assert again.uploads.settle(10)
        assert again.uploads.attachment(LOCAL, "honey", file).state == "completed"


def test_what_is_cancelled_is_not_indexed(opened: Opened) -> None:
    opened.uploads._worker.stop()
    files = [keep(opened, LOCAL, f"{n}.txt", b"Hive %d gave honey." % n) for n in range(3)]
    batch = opened.uploads.attach_batch(LOCAL, "honey", {file: {} for file in files})
    opened.uploads.cancel(LOCAL, "honey", batch.id)
    opened.uploads.attach(LOCAL, "honey", {files[0]: {}})
    with Opened(opened.shelf.home) as again:
        assert again.uploads.settle(10)
        states = [one.state for one in again.uploads.attachments(LOCAL, "honey")]
        assert states == ["completed", "cancelled", "cancelled"]
        assert again.shelf.collection(LOCAL, "honey").status().documents == 1


def test_a_collection_that_is_gone_takes_its_files_with_it(opened: Opened) -> None:
    file = keep(opened, LOCAL)
    opened.uploads.attach(LOCAL, "honey", {file: {}})
    opened.shelf.delete(LOCAL, "honey")  # as another door may do it
    assert opened.uploads.settle(10)
    opened.shelf.create(LOCAL, "honey")
    assert opened.uploads.attachments(LOCAL, "honey") == []
    assert opened.uploads.file(LOCAL, file)


def test_a_removal_does_not_outrun_the_indexing(opened: Opened) -> None:
    for n in range(8):
        file = keep(opened, LOCAL, f"{n}.txt", b"Hive %d gave honey." % n)
        opened.uploads.attach(LOCAL, "honey", {file: {}})
        if n % 2:
            assert opened.uploads.settle(10)
        asyncio.run(opened.uploads.removed(opened.uploads.detach(LOCAL, "honey", file)))
        assert opened.shelf.collection(LOCAL, "honey").status().documents == 0
    assert opened.uploads.settle(10)
    assert opened.shelf.collection(LOCAL, "honey").status().documents == 0


def test_a_file_above_the_limit_is_refused_and_leaves_nothing(opened: Opened) -> None:
    with opened.uploads._contents.incoming(2_000) as incoming:
        incoming.write(b"x" * 2_000)
        with pytest.raises(UsageError, match="more than"):
            incoming.write(b"x")
    assert not incoming.path.exists()


def test_what_an_upload_left_that_never_ended_is_swept(opened: Opened) -> None:
    contents = opened.uploads._contents
    incoming = contents.incoming(10)
    incoming.write(b"half")
    written = incoming.path.stat().st_mtime
    contents.sweep(written + 3600)
    assert incoming.path.exists()
    contents.sweep(written + 25 * 3600)
    assert not incoming.path.exists()


def test_whoever_waits_for_a_removal_holds_no_thread(opened: Opened) -> None:
    async def work() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        free = threading.Event()
        waiting = [asyncio.create_task(opened.uploads.removed(free.is_set)) for _ in range(8)]
        await asyncio.wait_for(asyncio.to_thread(time.monotonic), 10)
        assert not any(task.done() for task in waiting)
        free.set()
        await asyncio.wait_for(asyncio.gather(*waiting), 10)

    asyncio.run(work())


def test_a_removal_that_takes_too_long_is_told(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.doors.uploads._PATIENCE", 0.05)
    with pytest.raises(LockedError, match="busy"):
        asyncio.run(opened.uploads.removed(lambda: False))


def test_who_makes_a_collection_anew_keeps_what_is_attached(opened: Opened) -> None:
    """Another key is quicker than the deletion: what it attaches is not forgotten with the rest."""
    file = keep(opened, LOCAL)
    forget, calls = opened.uploads._records.forget_collection, []

    def anew() -> None:
        opened.shelf.create(LOCAL, "honey")
        opened.uploads.attach(LOCAL, "honey", {file: {}})

    other = threading.Thread(target=anew)

    def forgetting(name: str) -> None:
        calls.append(name)
        if len(calls) == 1:
            other.start()
            other.join(0.3)
        forget(name)

    opened.shelf.forgetting(forgetting)
    opened.uploads.delete_collection(LOCAL, "honey")
    other.join()
    assert calls == ["honey", "honey"]
    assert opened.uploads.settle(10)
    assert [one.file for one in opened.uploads.attachments(LOCAL, "honey")] == [file]


def test_a_collection_begins_without_the_rows_of_an_earlier_one(opened: Opened) -> None:
    records = opened.uploads._records
    records.set_store("amber", StoreFacts("old"))
    opened.shelf.create(LOCAL, "amber")
    assert opened.uploads.facts(LOCAL, "amber").name == "amber"
    records.set_store("nowhere", StoreFacts("old"))
    for name in ("amber", "nowhere"):
        opened.shelf.forget_missing(name)
    assert records.store("amber")
    assert not records.store("nowhere")


def test_what_cannot_be_swept_does_not_stop_the_worker(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Opened(home) as opened:
        opened.uploads.create(LOCAL, "honey", StoreFacts("honey"))
    content = home / "uploads" / "content"
    (content / "folder").mkdir()
    strays = [content / f"{letter}.txt" for letter in "aemz"]
    for stray in strays:
        stray.write_bytes(b"stray")
    remains = home / "deleted" / "wax-1" / "postings"
    remains.mkdir(parents=True)
    with Opened(home) as again:
        file = keep(again, LOCAL)
        again.uploads.attach(LOCAL, "honey", {file: {}})
        assert again.uploads.settle(10)
        assert again.uploads.attachment(LOCAL, "honey", file).state == "completed"
        assert again.uploads.works()
    assert not again.uploads.works()
    assert not any(stray.exists() for stray in strays)
    assert not list((home / "deleted").iterdir())
