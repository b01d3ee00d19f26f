"""Files that are damaged, missing, of another version, or not to be written."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexes.collection import Collection
from indexes.database import Database
from indexes.errors import CollectionError
from indexes.schema import open_with_checksums
from tests.faults.checks import check
from tests.faults.processes import Child, run
from tests.faults.scenarios import (
    GOLDEN,
    NAME,
    embedder_of,
    golden_embedder,
    golden_texts,
    opened,
    texts_of,
)
from tests.faults.work import add_slowly, apply
from tests.indexes.hash_embedder import HashEmbedder

NAMES = "ant bee cat dog elk"


@pytest.fixture
def home(folder: Path) -> Path:
    """A collection of five documents, one of them updated and one removed."""
    assert run(apply, folder, {**texts_of(NAMES), "doc-gnu": "Gone soon."}).error is None
    assert run(apply, folder, {**texts_of("bee", 2), "doc-gnu": None}).error is None
    return folder


def _expected() -> dict[str, list[str | None]]:
    return {source: [text] for source, text in {**texts_of(NAMES), **texts_of("bee", 2)}.items()}


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink, "flipped": _flip, "halved": _halve, "empty": _empty,
}  # fmt: skip


def _all_found(say: Any, home: Path, mode: str) -> float:
    """Every document, whatever is damaged; returns the seconds that it took."""
    began = time.monotonic()
    with opened(home, embedder_of(home)) as collection:
        found = {r.source for r in collection.search("keeper wrote bees", 50, mode=mode).results}  # type: ignore[arg-type]
        assert found == set(texts_of(NAMES)), found
    return time.monotonic() - began


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_vector_file_is_noticed_and_made_anew(home: Path, damage: str) -> None:
    vectors = home / "collections" / NAME / "vectors"
    (file,) = vectors.glob("*.faiss")
    DAMAGES[damage](file)
    run(_all_found, home, "dense").result  # noqa: B018 - it raises what went wrong
    assert [path.name for path in vectors.glob("*.faiss")] != [file.name]
    assert run(check, home, _expected()).result == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_vectors_are_read_from_the_database_while_a_writer_works(
    home: Path, damage: str
) -> None:
    (file,) = (home / "collections" / NAME / "vectors").glob("*.faiss")
    writer = Child(add_slowly, (home, "fox", 30.0))
    while "encoding" not in writer.hear():
        pass
    DAMAGES[damage](file)
    assert run(_all_found, home, "dense").result < 5
    writer.kill()
    assert writer.end().killed
    assert run(check, home, {**_expected(), "doc-fox": [None]}).result == []


@pytest.mark.parametrize("damage", ["missing", "empty", "halved"])
def test_damaged_postings_are_made_anew_or_told(home: Path, folder: Path, damage: str) -> None:
    """Of what tantivy notices only in a search, a sentence tells, and `verify` mends it."""
    wrong = []
    live = next((home / "collections" / NAME / "postings").iterdir())
    for kind in ("meta.json", ".managed.json", "*.term", "*.pos", "*.idx", "*.store"):
        file = sorted(live.glob(kind))[0]
        copy = folder.parent / f"{folder.name}-{file.name}"
        shutil.copytree(home, copy)
        DAMAGES[damage](copy / file.relative_to(home))
        searched = run(_all_found, copy, "lexical")
        told = searched.error and searched.error["kind"] == "DamagedError"
        if (searched.error or searched.code) and not told:
            wrong.append(f"{file.name}: {searched.describe()}")
        if not searched.error:
            checked = run(check, copy, _expected())
            if checked.error or checked.code or checked.result:
                wrong.append(f"{file.name}: {checked.describe()} {checked.all('result')}")
        shutil.rmtree(copy)
    assert wrong == []


def test_the_whole_folder_of_postings_or_vectors_may_go(home: Path) -> None:
    for name in ("postings", "vectors"):
        shutil.rmtree(home / "collections" / NAME / name)
        for mode in ("lexical", "dense", "hybrid"):
            run(_all_found, home, mode).result  # noqa: B018
    assert run(check, home, _expected()).result == []


def test_a_newer_format_is_refused_in_one_sentence(home: Path) -> None:
    path = home / "collections" / NAME / "waggle.db"
    connection = open_with_checksums(path)
    connection.pragma("user_version", 3)
    connection.close()
    with pytest.raises(CollectionError, match="has format 3, and this version of Waggle reads"):
        Collection.open(NAME, home=home, embedder=HashEmbedder())


def test_the_golden_folder_of_format_1_comes_through_unchanged(folder: Path) -> None:
    shutil.copytree(GOLDEN, folder / "collections" / NAME)
    texts = golden_texts(folder)
    old = open_with_checksums(folder / "collections" / NAME / "waggle.db")
    sql = 'SELECT source, start, "end", page, heading, vector FROM chunks JOIN documents'
    before = old.execute(f"{sql} ON documents.id = document ORDER BY source, start").fetchall()
    facts = "source, title, format, lang, size, modified_ns, sha256, added, metadata, page_starts"
    documents = old.execute(f"SELECT {facts} FROM documents ORDER BY source").fetchall()
    old.close()
    with opened(folder, golden_embedder()) as collection:
        ranked = _ranked(collection, before)
    database = Database(folder / "collections" / NAME / "waggle.db")
    after = database.connection.execute(
        f"{sql} ON documents.id = document JOIN vectors ON vectors.chunk = chunks.id"
        " ORDER BY source, start"
    ).fetchall()
    assert after == before
    now = database.connection.execute(f"SELECT {facts} FROM documents ORDER BY source").fetchall()
    assert now == documents
    database.close()
    assert ranked == []
    assert run(check, folder, {source: [text] for source, text in texts.items()}).result == []


def _ranked(collection: Collection, rows: list[Any]) -> list[str]:
    """Where dense search departs from the order of the cosines with the old vectors."""
    wrong = []
    matrix = np.stack([np.frombuffer(row[-1], np.float16) for row in rows]).astype(np.float32)
    for query in ("bees make honey", "蜜源 植物", "ledger of hives"):
        vector = np.asarray(collection.embedder.embed_query(query), np.float32)
        order = np.argsort(-(matrix @ vector), kind="stable")
        best = collection.search(query, len(rows), mode="dense").results
        scores = [round(float((matrix @ vector)[i]), 2) for i in order]
        if [round(r.dense or 0, 2) for r in best] != scores:
            wrong.append(f"{query}: {scores}, {[r.dense for r in best]}")
    if not collection.search("蜜源", mode="lexical").results:
        wrong.append("a Chinese word is not found")
    return wrong


def _refused(say: Any, home: Path, spare: Path) -> list[str]:
    said = []
    os.environ["XDG_CONFIG_HOME"] = str(home)
    _add_once(spare)  # what is imported late may not be readable for that user
    _search_once(spare)
    if os.geteuid() == 0:
        os.seteuid(65534)
    for work in (_search_once, _add_once):
        try:
            work(home)
        except CollectionError as error:
            said.append(str(error))
    return said


def _search_once(home: Path) -> None:
    with Collection.open(NAME, home=home, embedder=HashEmbedder()) as collection:
        collection.search("keeper")


def _add_once(home: Path) -> None:
    with Collection.open(NAME, home=home, embedder=HashEmbedder()) as collection:
        collection.add_texts(["More."])


def test_a_folder_that_may_only_be_read_is_told_in_a_sentence(home: Path, ground: Path) -> None:
    for path in (home, *home.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    ground.chmod(0o755)
    outcome = run(_refused, home, ground / "spare")
    for path in (home, *home.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    said = outcome.result
    assert len(said) >= 1, said
    assert all(sentence.endswith(".") for sentence in said)
    assert run(check, home, _expected()).result == []


def _many(say: Any, home: Path) -> None:
    """Documents that share their words with those that are there, in one call."""
    with Collection.open(NAME, home=home, embedder=HashEmbedder()) as collection:
        collection.add_texts(
            ["The keeper wrote about bees."] * 300,
            sources=[str(number) for number in range(300)],
        )


def test_what_was_never_committed_takes_no_place_in_the_results(home: Path) -> None:
    """A writer killed between its two commits leaves postings that nobody else knows of."""
    assert run(_many, home, plan="store.committing=kill").killed
    for mode in ("lexical", "hybrid"):
        run(_all_found, home, mode).result  # noqa: B018


def _remove_many(say: Any, home: Path) -> None:
    with Collection.open(NAME, home=home, embedder=HashEmbedder()) as collection:
        collection.remove([str(number) for number in range(300)])


def test_what_was_just_deleted_takes_no_place_in_the_results(home: Path) -> None:
    assert run(_many, home).error is None
    assert run(_remove_many, home, plan="store.committed=kill").killed
    for mode in ("lexical", "hybrid"):
        run(_all_found, home, mode).result  # noqa: B018
