"""What must hold after any fault: the invariants I1 to I8, each broken one as a sentence."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from indexes import ann
from indexes.collection import Collection
from indexes.database import Database
from indexes.embedding import Embedder
from indexes.pipeline import passages
from indexes.postings import Postings
from indexes.records import seal
from indexes.types import Extracted
from indexes.vectors import intact
from indexes.verify import KEPT
from indexes.words import terms
from tests.faults.scenarios import NAME, SCENARIOS, embedder_of, opened, text_of
from tests.indexes.hash_embedder import HashEmbedder

# What a process would otherwise load at its first search is loaded once, before it is forked.
PRELOADED = (faiss.IndexFlatIP, terms("养蜂 bees"))

Expected = Mapping[str, list[str | None]]
"""For each source the texts that it may have; ``None`` stands for its absence."""


def _ignore(**_: Any) -> None:
    pass


def expected_after(told: list[dict[str, Any]]) -> dict[str, list[str | None]]:
    """What a process that was stopped leaves: what it confirmed, and of what it had only begun
    either the old or the new."""
    certain: dict[str, str | None] = {}
    begun: dict[str, list[str | None]] = {}
    for one in told:
        for source, text in one.get("begin", {}).items():
            begun.setdefault(source, []).append(text)
        for source, text in one.get("done", {}).items():
            certain[source] = text
            begun.pop(source, None)
    return {
        source: [certain.get(source), *begun.get(source, [])] for source in {**certain, **begun}
    }


def check(
    say: Any, home: Path, expected: Expected, name: str = "", aims: Expected | None = None
) -> list[str]:
    """Everything that is wrong in ``home``: as it was left, after one more change, and, with
    ``name``, after that scenario has run to its end, which must be as ``aims``."""
    wrong: list[str] = []
    if name.startswith("repair"):  # what was damaged before the fault may still be
        SCENARIOS[name].act(home, _ignore)
    # The first to open it is no one who prepared for that, as in any new process.
    Collection.open(NAME, home=home, embedder=HashEmbedder()).close()
    with opened(home, embedder_of(home)) as collection:
        wrong += [f"as left: {line}" for line in _reading(collection, expected)]
        wrong += [f"as left: {line}" for line in _stored(home, collection.embedder)]
    with opened(home, embedder_of(home)) as collection:
        collection.add_texts([text_of("zzz")], sources=["doc-zzz"])
        further: Expected = {**expected, "doc-zzz": [text_of("zzz")]}
        wrong += [f"one change later: {line}" for line in _reading(collection, further)]
    wrong += [f"one change later: {line}" for line in _tidy(home)]
    if name and aims is not None:
        SCENARIOS[name].act(home, _ignore)
        with opened(home, embedder_of(home)) as collection:
            end: Expected = {**aims, "doc-zzz": [text_of("zzz")]}
            wrong += [f"run again: {line}" for line in _reading(collection, end)]
            wrong += [f"run again: {line}" for line in _stored(home, collection.embedder)]
    return wrong


def _reading(collection: Collection, expected: Expected) -> Iterator[str]:
    texts = {d.source: collection.document(d.source).text for d, _ in collection.documents()}
    for source in {*texts, *expected}:
        if texts.get(source) not in expected.get(source, [None]):
            state = "is there" if source in texts else "is missing"
            yield f"{source} {state}, with a text that it should not have"
    for source, text in texts.items():
        yield from _found_by_words(collection, source, text)
    words = {word for options in expected.values() for text in options for word in _words(text)}
    for word in sorted(words.difference(*(_words(text) for text in texts.values())))[::7]:
        if collection.search(word, mode="lexical").results:
            yield f"the old or deleted word {word} is still found"
    if texts:
        yield from _dense(collection, texts)


def _words(text: str | None) -> list[str]:
    return [word for word in (text or "").split() if len(word) == 9 and word[3] == "x"]


def _found_by_words(collection: Collection, source: str, text: str) -> Iterator[str]:
    for word in _words(text)[:: max(1, len(_words(text)) // 3)]:
        for mode, k in (("lexical", 1), ("hybrid", 5)):
            results = collection.search(word, k, mode=mode).results  # type: ignore[arg-type]
            if not any(r.source == source and word in r.text for r in results):
                yield f"{mode} search does not find {source} by its word {word}"
            if any(text != r.text and r.source == source and r.text not in text for r in results):
                yield f"{mode} search returns an old text of {source}"


def _dense(collection: Collection, texts: Mapping[str, str]) -> Iterator[str]:
    """Against every vector that the database holds."""
    database = Database(collection._folder / "waggle.db")
    try:
        rows: Any = database.connection.execute(
            "SELECT source, start, vector FROM chunks JOIN documents ON documents.id = document"
            " JOIN vectors ON vectors.chunk = chunks.id"
        ).fetchall()
    finally:
        database.close()
    matrix = np.stack([np.frombuffer(row[2], np.float16) for row in rows]).astype(np.float32)
    for source in list(texts)[:3]:
        query = texts[source][:200]
        scores = matrix @ np.asarray(collection.embedder.embed_query(query), np.float32)
        truth = {(row[0], row[1]): score for row, score in zip(rows, scores, strict=True)}
        found = [
            ((r.source, r.start), r.dense)
            for r in collection.search(query, len(rows), mode="dense").results
        ]
        if len(found) != len(dict(found)):
            yield "dense search returns a chunk twice"
        if set(dict(found)) != set(truth):
            yield f"dense search finds {len(found)} chunks, the database holds {len(truth)}"
        elif any(abs(truth[place] - (score or 0)) > 2e-3 for place, score in found):
            yield "dense search gives scores that are not those of the stored vectors"
        elif sorted((s or 0 for _, s in found), reverse=True) != [s or 0 for _, s in found]:
            yield "dense search gives its results out of order"


def _stored(home: Path, embedder: Embedder) -> Iterator[str]:
    """Each document with all its chunks and vectors, and nothing beside them."""
    database = Database(home / "collections" / NAME / "waggle.db")
    try:
        yield from _whole(database, embedder)
        yield from _masked(database, database.path.parent)
    finally:
        database.close()


def _whole(database: Database, embedder: Embedder) -> Iterator[str]:
    rows: Any = database.connection.execute
    if (said := rows("PRAGMA integrity_check").fetchall()) != [("ok",)]:
        yield f"integrity check: {said}"
    documents = chunks = characters = 0
    size = int(database.get("dimension", "0"))
    for document, span, stored in database.stored():
        numbers = [one.number for one in stored]
        vectors = {
            number: np.frombuffer(vector, np.float16, size)
            for number, vector in rows(
                "SELECT chunk, vector FROM vectors WHERE chunk BETWEEN ? AND ?",
                (span.first, span.last),
            )
        }
        if numbers != list(span.numbers()) or sorted(vectors) != numbers:
            yield f"{document.source} is half indexed: {span}, {numbers}, {sorted(vectors)}"
            continue
        data = np.stack([vectors[number] for number in numbers])
        if seal(document.text, [one.chunk for one in stored], data) != span.seal:
            yield f"the seal of {document.source} does not hold"
        if not document.source.startswith("golden:"):
            yield from _made_by(embedder, document.text, stored, data)
        documents, chunks = documents + 1, chunks + len(numbers)
        characters += len(document.text)
    if database.counts() != (documents, chunks, characters):
        yield f"counts are {database.counts()}, not {(documents, chunks, characters)}"
    for table in ("chunks", "vectors"):
        if (total := rows(f"SELECT count(*) FROM {table}").fetchall()[0][0]) != chunks:
            yield f"there are {total} rows of {table} for {chunks} chunks"


def _masked(database: Database, folder: Path) -> Iterator[str]:
    """The live vector file may hold dead chunks, if each is known to be dead."""
    file = database.vector_file()
    if file is None or not intact(folder / "vectors", file):
        return
    index = ann.deserialize(np.fromfile(folder / "vectors" / file.name, np.uint8))
    held = ann.ids(index).tolist()
    dead = set(held) - database.living(held) - set(database.removed_vectors().tolist())
    if dead:
        yield f"the vector file holds {dead}, which are dead and not masked"


def _made_by(embedder: Embedder, text: str, stored: Any, data: Any) -> Iterator[str]:
    whole = passages(Extracted(text, "text", "text"), embedder)
    if [one.chunk.text for one in stored] != [chunk.text for chunk in whole]:
        yield f"a document has the chunks {[one.chunk.text for one in stored]}"
    elif not np.allclose(data, embedder.encode([chunk.text for chunk in whole]), atol=1e-3):
        yield "the vectors are not those of the chunks"


def _tidy(home: Path) -> Iterator[str]:
    """No file that nothing needs, and postings of exactly the living chunks."""
    folder = home / "collections" / NAME
    database = Database(folder / "waggle.db")
    try:
        name, file = database.get("postings"), database.vector_file()
        numbers = [n for (n,) in database.connection.execute("SELECT id FROM chunks ORDER BY id")]
        if left := database.removed_postings():
            yield f"postings still to be removed: {left}"
    finally:
        database.close()
    searcher = Postings(folder / "postings" / name).reader()
    held = Counter(searcher.held(range(1, max(numbers) + 200)))
    if held != Counter(numbers):
        yield f"the postings hold {sorted(held.elements())}, the database {numbers}"
    wanted = {f"postings/{name}", "vectors", "postings", "write.lock", "waggle.db"}
    wanted |= {"vectors/build.lock", f"vectors/{file.name if file else ''}"}
    found = {
        str(path.relative_to(folder))
        for path in (*folder.iterdir(), *folder.glob("postings/*"), *folder.glob("vectors/*"))
    }
    found = {path for path in found if KEPT not in path}
    if found != wanted:
        yield f"files too many: {found - wanted}, missing: {wanted - found}"
    managed = set(json.loads((folder / "postings" / name / ".managed.json").read_text()))
    files = {path.name for path in (folder / "postings" / name).iterdir()}
    control = {".managed.json", ".tantivy-meta.lock", ".tantivy-writer.lock", "meta.json"}
    if files - managed - control:
        yield f"files of postings that tantivy does not know: {files - managed - control}"


def prepare(say: Any, home: Path, name: str) -> None:
    """The folder in which the scenario begins."""
    home.mkdir(parents=True, exist_ok=True)
    SCENARIOS[name].prepare(home, say)


def act(say: Any, home: Path, name: str) -> None:
    """The scenario."""
    SCENARIOS[name].act(home, say)
