"""The collection with its real parts: SQLite, FAISS, tantivy, MiniLM."""

import asyncio
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from indexes.collection import Collection
from indexes.embedding import LangChainEmbedder, LocalEmbedder
from indexes.errors import (
    EmbedderMismatchError,
    LockedError,
    SourceError,
    UnknownCollectionError,
    UnknownSourceError,
    UsageError,
)
from indexes.home import collections

DANCE = "# The dance\n\nKarl von Frisch decoded the waggle dance.\n"
HONEY = "# 蜂蜜\n\n洋槐蜜果糖多，不易结晶。\n"


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "dance.md").write_text(DANCE, encoding="utf-8")
    (folder / "蜂蜜.md").write_text(HONEY, encoding="utf-8")
    return folder


def sources(collection: Collection, query: str, **options: object) -> list[str]:
    results = collection.search(query, **options).results  # type: ignore[arg-type]
    return [Path(result.source).name for result in results]


def test_what_is_added_is_found_with_its_place(collection: Collection, notes: Path) -> None:
    report = collection.add([notes])
    assert (report.added, report.updated, report.unchanged, report.failed) == (2, 0, 0, ())
    for query, name in (("Who decoded the dance?", "dance.md"), ("洋槐蜜會結晶嗎", "蜂蜜.md")):
        best = collection.search(query).results[0]
        assert Path(best.source).name == name
        assert collection.document(best.source).text[best.start : best.end] == best.text
    assert collection.search("dance").results[0].heading == ("The dance",)


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
def test_a_removed_document_is_never_returned_again(
    collection: Collection, notes: Path, mode: str
) -> None:
    collection.add([notes])
    assert "dance.md" in sources(collection, "waggle dance", mode=mode)
    receipt = collection.remove([notes / "dance.md"])
    assert (receipt.chunks, receipt.vectors, receipt.postings) == (1, 1, 1)
    assert "dance.md" not in sources(collection, "waggle dance", mode=mode)
    with pytest.raises(UnknownSourceError):
        collection.document("dance.md")


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
def test_an_update_replaces_the_old_text(collection: Collection, notes: Path, mode: str) -> None:
    collection.add([notes])
    (notes / "dance.md").write_text("# The queen\n\nShe lays 2000 eggs a day.\n", encoding="utf-8")
    report = collection.add([notes])
    assert (report.added, report.updated, report.unchanged) == (0, 1, 1)
    texts = [r.text for r in collection.search("Frisch waggle dance eggs", mode=mode).results]  # type: ignore[arg-type]
    assert any("2000 eggs" in text for text in texts)
    assert not any("Frisch" in text for text in texts)


def test_unchanged_files_are_skipped_by_content(collection: Collection, notes: Path) -> None:
    collection.add([notes])
    generation = collection.status().generation
    os.utime(notes / "dance.md", (1, 1))
    report = collection.add([notes])
    assert (report.added, report.updated, report.unchanged) == (0, 0, 2)
    assert collection.status().generation == generation


def test_prune_removes_what_has_vanished_and_nothing_else(
    collection: Collection, notes: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.md"
    other.write_text("Elsewhere there are bees.")
    collection.add([notes, other])
    (notes / "dance.md").unlink()
    assert collection.add([notes]).removed == 0
    assert len(collection.documents()) == 3
    assert collection.add([notes], prune=True).removed == 1
    assert {Path(d.source).name for d, _ in collection.documents()} == {"蜂蜜.md", "other.md"}


def test_a_broken_file_does_not_stop_the_others(collection: Collection, notes: Path) -> None:
    (notes / "broken.pdf").write_bytes(b"%PDF-1.4 garbage")
    (notes / "empty.md").write_bytes(b"")
    report = collection.add([notes])
    assert report.added == 2
    assert {Path(source).name for source, _ in report.failed} == {"broken.pdf", "empty.md"}
    assert all(reason for _, reason in report.failed)
    assert collection.add([notes]).unchanged == 2


def test_a_name_that_is_no_utf8_is_one_failed_file(collection: Collection, notes: Path) -> None:
    (notes / os.fsdecode(b"caf\xe9.md")).write_text("Coffee with honey.")
    report = collection.add([notes])
    assert report.added == 2
    assert [reason for _, reason in report.failed] == [
        "The file's name is not valid UTF-8. Rename it."
    ]


def test_more_results_than_there_are_is_no_error(collection: Collection, notes: Path) -> None:
    collection.add([notes])
    for mode in ("hybrid", "dense", "lexical"):
        assert len(collection.search("waggle dance", 10**30, mode=mode).results) <= 2


def test_a_file_that_breaks_keeps_its_last_good_text(collection: Collection, notes: Path) -> None:
    collection.add([notes])
    (notes / "dance.md").write_bytes(b"")
    assert len(collection.add([notes]).failed) == 1
    assert "dance.md" in sources(collection, "waggle dance")


def test_search_equals_brute_force_over_the_database(
    collection: Collection, embedder: LocalEmbedder
) -> None:
    texts = [f"Hive {n} stands in field {n * 7 % 31}, by tree {n * 13 % 17}." for n in range(120)]
    names = collection.add_texts(texts)
    collection.remove(names[::3])
    collection.add_texts([f"A late swarm, number {n}." for n in range(10)])
    alive = [d.source for d, _ in collection.documents()]
    vectors = embedder.encode([collection.document(source).text for source in alive])
    for query in ("hive in field 14", "late swarm", "tree"):
        cosines = vectors @ np.asarray(embedder.embed_query(query), dtype=np.float32)
        found = collection.search(query, 20, mode="dense").results
        assert [r.dense for r in found] == pytest.approx(sorted(cosines)[::-1][:20], abs=2e-3)


def test_a_second_reader_sees_a_change(
    collection: Collection, notes: Path, tmp_path: Path, embedder: LocalEmbedder
) -> None:
    collection.add([notes])
    with Collection.open("test", home=tmp_path / "home", embedder=embedder) as reader:
        assert "dance.md" in sources(reader, "waggle dance")
        collection.remove(["dance.md"])
        assert "dance.md" not in sources(reader, "waggle dance")
        collection.add([notes])
        assert "dance.md" in sources(reader, "waggle dance")


def test_readers_never_fail_beside_a_writer(
    collection: Collection, tmp_path: Path, embedder: LocalEmbedder
) -> None:
    collection.add_texts(["The first note about honey."])
    seen: list[bool] = []
    done = threading.Event()

    def read() -> None:
        with Collection.open("test", home=tmp_path / "home", embedder=embedder) as reader:
            while not done.is_set():
                assert reader.search("honey", 3).results
        seen.append(reader.name == "test")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(15):
        collection.add_texts([f"Note {number} about honey."])
    done.set()
    for reader in readers:
        reader.join()
    assert seen == [True] * 3


def test_damaged_or_missing_derived_files_are_made_again(
    collection: Collection, notes: Path, tmp_path: Path, embedder: LocalEmbedder
) -> None:
    collection.add([notes])
    folder = tmp_path / "home" / "collections" / "test"
    (file,) = (folder / "vectors").glob("*.faiss")
    data = bytearray(file.read_bytes())
    data[-200:] = bytes(200)
    file.write_bytes(data)
    for posting in (folder / "postings").rglob("*.*"):
        posting.unlink()
    with Collection.open("test", home=tmp_path / "home", embedder=embedder) as reopened:
        for mode in ("dense", "lexical"):
            assert sources(reopened, "Who decoded the waggle dance?", mode=mode)[0] == "dance.md"
        (notes / "new.md").write_text("A new note about wax.")
        reopened.add([notes])
        for mode in ("dense", "lexical"):
            assert sources(reopened, "wax", mode=mode)[0] == "new.md"


def test_the_second_writer_is_told_to_wait(
    collection: Collection, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexes.collection._LOCK_SECONDS", 0.1)
    with (
        FileLock(tmp_path / "home/collections/test/write.lock"),
        pytest.raises(LockedError, match="Another process"),
    ):
        collection.add([notes])


class Constant:
    """An embedding model of another kind."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [1.0, float(len(text)), 0.5]


def test_vectors_of_another_model_are_refused(
    collection: Collection, notes: Path, tmp_path: Path
) -> None:
    collection.add([notes])
    with Collection.open("test", home=tmp_path / "home", embedder=Constant()) as other:
        with pytest.raises(EmbedderMismatchError, match="all-MiniLM"):
            other.add([notes])
        with pytest.raises(EmbedderMismatchError):
            other.search("dance")
        assert sources(other, "waggle dance", mode="lexical") == ["dance.md"]


def test_any_langchain_embeddings_serve(notes: Path, tmp_path: Path) -> None:
    embedder = LangChainEmbedder(Constant(), name="constant")
    with Collection.open("other", home=tmp_path / "home", embedder=embedder) as other:
        other.add([notes])
        assert sources(other, "waggle dance")[0] == "dance.md"


def test_texts_in_memory_are_documents(collection: Collection) -> None:
    (name,) = collection.add_texts(["Propolis seals the hive."], [{"title": "Glue", "year": 2020}])
    found = collection.search("propolis").results[0]
    assert (found.source, found.title, found.metadata["year"]) == (name, "Glue", 2020)
    with pytest.raises(SourceError):
        collection.add_texts(["   "])


def test_names_of_documents_as_people_type_them(
    collection: Collection, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.add([notes])
    monkeypatch.chdir(notes.parent)
    whole = str(notes / "dance.md")
    for name in (whole, "dance.md", "notes/dance.md", "./notes/../notes/dance.md"):
        assert collection.document(name).source == whole
    with pytest.raises(UnknownSourceError, match="stands for 2"):
        collection.document("notes")
    for name in ("", "ance.md", "nothing"):
        with pytest.raises(UnknownSourceError):
            collection.document(name)
    with pytest.raises(UnknownSourceError):
        collection.remove(["dance.md", "nothing"])
    assert len(collection.documents()) == 2
    assert len(collection.remove(["notes"]).removed) == 2


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 65, "a b", "nul\0"])
def test_a_name_that_cannot_be_a_collection(tmp_path: Path, name: str) -> None:
    if not name:
        return
    with pytest.raises(UsageError):
        Collection.open(name, home=tmp_path)


def test_an_unknown_collection_names_the_known(
    collection: Collection, notes: Path, tmp_path: Path
) -> None:
    collection.add([notes])
    with pytest.raises(UnknownCollectionError, match="test"):
        Collection.open("tset", home=tmp_path / "home", create=False)
    assert collections(tmp_path / "home") == ["test"]


def test_nothing_to_index_is_said(collection: Collection, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(SourceError, match="nothing to index"):
        collection.add([tmp_path / "photos"])
    with pytest.raises(SourceError, match="no file or folder"):
        collection.add([tmp_path / "nowhere"])


@pytest.mark.parametrize(("query", "k"), [("", 5), (" \n", 5), ("honey", 0), ("honey", -1)])
def test_a_search_without_sense_is_refused(collection: Collection, query: str, k: int) -> None:
    with pytest.raises(UsageError):
        collection.search(query, k)


def test_an_empty_collection_answers_nothing(collection: Collection) -> None:
    assert collection.search("honey").results == ()
    assert collection.documents() == []
    assert collection.status().documents == 0


@pytest.mark.parametrize("query", ["???", "。", "\x00", "a" * 20_000, "蜂" * 5_000, "🐝", "\ud800"])
def test_any_query_is_answered(collection: Collection, notes: Path, query: str) -> None:
    collection.add([notes])
    assert len(collection.search(query, 5).results) <= 5


def test_a_chunk_keeps_its_name_when_the_collection_is_built_again(
    collection: Collection, notes: Path, tmp_path: Path, embedder: LocalEmbedder
) -> None:
    collection.add([notes])
    first = {r.chunk_id for r in collection.search("dance 蜂蜜").results}
    with Collection.open("again", home=tmp_path / "home", embedder=embedder) as again:
        again.add([notes])
        assert {r.chunk_id for r in again.search("dance 蜂蜜").results} == first


def test_the_same_on_an_event_loop(collection: Collection) -> None:
    async def use() -> None:
        assert await collection.aadd_texts(["Propolis seals the hive."], None, ["glue"]) == ["glue"]
        found = await collection.asearch("What seals the hive?", 1, mode="lexical")
        assert found.results == collection.search("What seals the hive?", 1, mode="lexical").results
        assert (await collection.acount(mentions="propolis")).documents == 1
        assert [one.source for one, _ in await collection.adocuments()] == ["glue"]
        assert (await collection.adocument("glue")).text == "Propolis seals the hive."
        assert (await collection.aremove(["glue"])).documents[0].source == "glue"

    asyncio.run(use())
