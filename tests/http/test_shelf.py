"""The shelf: collections kept open, and the same words for what is not there and what is not to be
known of."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from agents.doors.rights import LOCAL, Caller
from agents.doors.service import Service
from agents.doors.shelf import Shelf
from indexes.collection import Collection
from indexes.embedding import Embedder
from indexes.errors import ForbiddenError, LockedError, UnknownCollectionError, UsageError
from indexes.home import disk_usage
from tests.http.chatting import ChatServer, chatting
from tests.http.serving import fill_home, opened
from tests.indexes.hash_embedder import HashEmbedder

ALL = frozenset({"read", "write", "agent"})


def bound(*names: str, rights: frozenset[str] = ALL) -> Caller:
    return Caller("key_1", rights, frozenset(names))  # type: ignore[arg-type]


def test_a_collection_is_opened_once(service: Service) -> None:
    shelf = service.shelf
    assert shelf.names(LOCAL) == ["bees"]
    assert shelf.ready(LOCAL, "bees") is None
    rag = shelf.rag(LOCAL, "bees")
    assert shelf.rag(LOCAL, "bees") is rag is shelf.ready(LOCAL, "bees")
    assert shelf.collection(LOCAL, "bees").search("round dance", 1).results[0].source
    assert shelf.opened() == [rag]


def test_many_threads_open_one(service: Service) -> None:
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(service.shelf.rag(LOCAL, "bees")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


def test_nobody_waits_for_a_model_that_another_collection_needs(tmp_path: Path) -> None:
    fill_home(tmp_path, "a")
    loading, loaded = threading.Event(), threading.Event()

    class Loading(Shelf):
        def _make_embedder(self) -> Embedder:
            loading.set()
            assert loaded.wait(10)
            return HashEmbedder()

    shelf = Loading(tmp_path, lambda: None)
    first = threading.Thread(target=shelf.rag, args=(LOCAL, "a"))
    first.start()
    assert loading.wait(10)
    others = threading.Thread(target=shelf.forget_missing, args=("b",))
    others.start()
    others.join(5)
    waited = others.is_alive()
    loaded.set()
    first.join()
    others.join()
    shelf.close()
    assert not waited


@pytest.mark.parametrize("name", ["wasps", "bees", "../x", "", "a\0b", "x" * 100])
def test_what_is_not_for_the_key_is_not_there(service: Service, name: str) -> None:
    sentences = set()
    for caller in (bound("wasps"), bound(), bound("wasps", rights=frozenset({"write"}))):
        for ask in (service.shelf.rag, service.shelf.collection, service.shelf.delete):
            with pytest.raises(UnknownCollectionError) as unknown:
                ask(caller, name)
            sentences.add(str(unknown.value))
        assert service.shelf.ready(caller, name) is None
        assert service.shelf.names(caller) == []
    (sentence,) = sentences
    assert "bees" not in sentence.replace(f"«{name}»", "")


def test_a_key_makes_and_deletes_only_what_it_is_bound_to(service: Service) -> None:
    shelf = service.shelf
    shelf.create(bound("wasps"), "wasps").add_texts(["Wasps build with paper."])
    assert shelf.names(LOCAL) == ["bees", "wasps"]
    for name in ("bees", "hornets"):
        with pytest.raises(ForbiddenError, match="none of them"):
            shelf.create(bound("wasps"), name)
    with pytest.raises(ForbiddenError, match="write"):
        shelf.delete(bound("wasps", rights=frozenset({"read"})), "wasps")
    with pytest.raises(UsageError, match="already"):
        shelf.create(LOCAL, "wasps")
    shelf.delete(bound("wasps"), "wasps")
    assert shelf.names(LOCAL) == ["bees"]
    assert not list((service.home / "deleted").iterdir())
    assert shelf.create(LOCAL, "wasps").documents() == []


def test_what_is_being_written_is_not_deleted(service: Service) -> None:
    with (
        Collection.open("bees", home=service.home, embedder=HashEmbedder()) as other,
        other.writing(),
    ):
        service.shelf.collection(LOCAL, "bees")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("agents.doors.shelf.PATIENCE", 0.05)
            with pytest.raises(LockedError):
                service.shelf.delete(LOCAL, "bees")
    assert service.shelf.names(LOCAL) == ["bees"]


def test_another_process_may_replace_a_collection(service: Service) -> None:
    shelf = service.shelf
    old = shelf.rag(LOCAL, "bees")
    shutil.rmtree(service.home / "collections" / "bees")
    with pytest.raises(UnknownCollectionError):
        shelf.rag(LOCAL, "bees")
    with Collection.open("bees", home=service.home, embedder=HashEmbedder()) as made:
        made.add_texts(["Only this."])
    new = shelf.rag(LOCAL, "bees")
    assert new is not old
    assert [d.source for d, _ in new.collection.documents()] != []


def test_answers_are_counted(service: Service, chat_server: ChatServer) -> None:
    answer = service.shelf.rag(LOCAL, "bees").ask("What does the round dance give?")
    assert answer.status == "answered"
    text = service.metrics.text().decode()
    assert 'waggle_answers_total{status="answered"} 1.0' in text
    assert f'waggle_tokens_total{{kind="prompt"}} {answer.usage.prompt_tokens:.1f}' in text
    assert 'waggle_stage_seconds_count{stage="generate"} 1.0' in text
    generation = service.shelf.collection(LOCAL, "bees").status().generation
    assert f'waggle_index_generation{{collection="bees"}} {generation:.1f}' in text


def test_a_chat_model_whose_server_went_away_is_made_anew(tmp_path: Path) -> None:
    from rag.models.chat import chat_model

    fill_home(tmp_path, "bees")
    made: list[str] = []
    urls: list[str] = []

    def chat() -> object:
        made.append(urls[-1])
        return chat_model(urls[-1], "scripted", retry_seconds=0)

    shelf = Shelf(tmp_path, chat, embedder=HashEmbedder())  # type: ignore[arg-type]
    for _ in range(2):
        with chatting() as server:
            urls.append(server.url)
            rag = shelf.rag(LOCAL, "bees")
            for _ in range(2):
                assert rag.ask("What does the round dance give?").status == "answered"
    assert made == urls
    shelf.close()


def test_without_a_chat_model_passages_are_the_answer(home: Path) -> None:
    with opened(home, None) as service:
        assert service.shelf.chat() is None
        assert service.shelf.rag(LOCAL, "bees").ask("round dance?").status == "no_model"


def test_a_deletion_that_waits_holds_up_nobody_else(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = service.shelf
    collection = shelf.collection(LOCAL, "bees")
    taking, begun, free = collection.writing, threading.Event(), threading.Event()

    def writing(patience: float | None = None) -> object:
        begun.set()
        return taking(patience)

    monkeypatch.setattr("agents.doors.shelf.PATIENCE", 30.0)
    with holding(collection, free):
        monkeypatch.setattr(collection, "writing", writing)
        deleting = threading.Thread(target=shelf.delete, args=(LOCAL, "bees"))
        deleting.start()
        assert begun.wait(10)
        making = threading.Thread(target=shelf.create, args=(LOCAL, "wasps"), daemon=True)
        making.start()
        making.join(10)
        told = shelf.names(LOCAL)
        free.set()
    deleting.join()
    assert told == ["bees", "wasps"]
    assert shelf.names(LOCAL) == ["wasps"]


def test_a_deletion_gives_up_where_a_thread_writes_for_long(
    client: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.doors.shelf.PATIENCE", 0.05)
    free = threading.Event()
    with holding(service.shelf.collection(LOCAL, "bees"), free):
        for path in ("/api/collections/bees", "/v1/vector_stores/vs_bees"):
            assert client.delete(path).status_code == 409
        free.set()
    assert service.shelf.names(LOCAL) == ["bees"]


@contextmanager
def holding(collection: Collection, free: threading.Event) -> Iterator[None]:
    """Another thread writes to the collection until it is told to be ``free``."""
    held = threading.Event()

    def hold() -> None:
        with collection.writing():
            held.set()
            free.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    try:
        yield
    finally:
        free.set()
        thread.join()


def test_the_size_of_a_folder_whose_files_go_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kept", "gone"):
        (tmp_path / "below").mkdir(exist_ok=True)
        (tmp_path / "below" / name).write_bytes(b"12345")
    assert disk_usage(tmp_path) == 10
    walk = os.walk

    def walking(top: Path) -> Iterator[object]:
        for step in walk(top):
            (tmp_path / "below" / "gone").unlink(missing_ok=True)
            yield step

    monkeypatch.setattr(os, "walk", walking)
    assert disk_usage(tmp_path) == 5
