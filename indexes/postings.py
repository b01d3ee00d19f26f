"""Lexical search: a tantivy index derived from the database (BM25, k1 = 1.2, b = 0.75).

The database records how far the postings have got (``postings_last``: the highest chunk number
they may hold). After a kill between tantivy's commit and that record, the same chunks are taken
out and put in again, so no chunk is ever there twice. Dead chunks that a reader may still meet are
dropped when the results are read from the database.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tantivy
from numpy.typing import NDArray
from tantivy import Occur, Query

from indexes.database import Database
from indexes.fusion import best_lexical
from indexes.types import StoredChunk
from indexes.words import ANALYSIS_VERSION, phrases, query_terms, terms

_HEAP_BYTES = 64_000_000

Hits = list[tuple[int, float]]


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("chunk", indexed=True, fast=True)
    for field in ("body", "phrases"):
        builder.add_text_field(field, tokenizer_name="whitespace", index_option="freq")
    return builder.build()


class Postings:
    """The postings in ``folder``; ``refresh`` brings them up to the database."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._schema = _schema()
        self._index = self._open()

    def _open(self) -> tantivy.Index:
        """The index in the folder; an empty one in place of files that cannot be read."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            return tantivy.Index(self._schema, path=str(self._folder))
        except ValueError:
            return self._emptied()

    def _emptied(self) -> tantivy.Index:
        shutil.rmtree(self._folder)
        self._folder.mkdir()
        return tantivy.Index(self._schema, path=str(self._folder))

    def refresh(self, database: Database) -> None:
        """Apply what the database has gained and lost. The caller holds the write lock."""
        last = self._reached(database)
        writer = self._index.writer(_HEAP_BYTES, 1)
        writer.delete_documents_by_query(self._after(last))
        removed = database.removed().tolist()
        if removed:
            writer.delete_documents_by_query(self._chunks(removed))
        for stored in database.chunks_after(last):
            writer.add_document(_posting(stored))
        writer.commit()
        writer.wait_merging_threads()
        with database.transaction():
            database.set("postings_last", str(database.last_chunk()))
            database.set("postings_generation", str(database.generation))
            database.set("postings_analysis", ANALYSIS_VERSION)
            database.set("postings_count", str(self._held()))

    def _reached(self, database: Database) -> int:
        """The highest chunk number indexed; zero, with the folder emptied, where the postings were
        made by other rules or are lost."""
        if self._stale(database):
            self._index = self._emptied()
            return 0
        return int(database.get("postings_last", "0"))

    def _stale(self, database: Database) -> bool:
        made_by = database.get("postings_analysis", ANALYSIS_VERSION)
        expected = int(database.get("postings_count", "0"))
        return made_by != ANALYSIS_VERSION or (expected > 0 and not self._held())

    def _held(self) -> int:
        self._index.reload()
        return self._index.searcher().num_docs

    def current(self, database: Database) -> bool:
        """Whether the postings show the database's present generation."""
        shown = int(database.get("postings_generation", "0"))
        return shown == database.generation and not self._stale(database)

    def search(self, query: str, k: int, allowed: NDArray[np.int64] | None = None) -> Hits:
        """The ``k`` best chunks as (chunk, BM25 score), best first; only ``allowed`` ones if given.
        A chunk that shares no term with the query is not returned."""
        weighted = self._weighted(query)
        if weighted is None:
            return []
        if allowed is not None:
            within = Query.const_score_query(self._chunks(allowed.tolist()), 0.0)
            weighted = Query.boolean_query([(Occur.Must, weighted), (Occur.Must, within)])
        self._index.reload()
        searcher = self._index.searcher()
        hits = searcher.search(weighted, k, count=False).hits
        numbers = searcher.fast_field_values("chunk", [address for _, address in hits])
        found = [(int(n or 0), float(s)) for n, (s, _) in zip(numbers, hits, strict=True)]
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))

    def best_score(self, query: str) -> float:
        """What no passage can surpass for ``query``; the scale of the scores of `search`."""
        searcher = self._index.searcher()
        looked_up = [
            (searcher.doc_freq(w.field, w.text), w.boost)
            for w in query_terms(query)
            if w.field == "body"
        ]
        return best_lexical(looked_up, searcher.num_docs)

    def count(self, numbers: Sequence[int]) -> int:
        """How many of these chunks the postings hold."""
        if not numbers:
            return 0
        self._index.reload()
        query = Query.const_score_query(self._chunks(numbers), 1.0)
        return len(self._index.searcher().search(query, len(numbers), count=False).hits)

    def _weighted(self, query: str) -> Query | None:
        clauses = [
            (Occur.Should, Query.boost_query(self._term(w.field, w.text), w.boost))
            for w in query_terms(query)
        ]
        return Query.boolean_query(clauses) if clauses else None

    def _term(self, field: str, text: str) -> Query:
        return Query.term_query(self._schema, field, text, "freq")

    def _chunks(self, numbers: Sequence[int]) -> Query:
        return Query.term_set_query(self._schema, "chunk", list(numbers))

    def _after(self, last: int) -> Query:
        return Query.range_query(
            self._schema,
            "chunk",
            tantivy.FieldType.Unsigned,
            lower_bound=last,
            include_lower=False,
        )


def _posting(stored: StoredChunk) -> tantivy.Document:
    """Title and headings count as words of the passage: a question often names its subject by
    them alone."""
    words = terms("\n".join((stored.document.title, *stored.chunk.heading, stored.chunk.text)))
    posting = tantivy.Document()
    posting.add_unsigned("chunk", stored.number)
    posting.add_text("body", " ".join(words))
    posting.add_text("phrases", " ".join(phrases(words)))
    return posting
