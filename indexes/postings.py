"""Lexical search: a tantivy index derived from the database (BM25, k1 = 1.2, b = 0.75).

A change goes to the postings before the database commits it: whoever sees a chunk in the database
finds its postings. After a kill between the two, the postings hold chunks with numbers that the
database never gave out; nobody finds them there, and the next change takes them out. Postings of
deleted chunks go after the database has forgotten the chunks, and are dropped meanwhile when
results are read from the database.
"""

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tantivy
from numpy.typing import NDArray
from tantivy import Occur, Query

from indexes.errors import CollectionError, DamagedError
from indexes.failpoints import reach
from indexes.fusion import best_lexical
from indexes.home import sync_folder
from indexes.i18n import t
from indexes.types import StoredChunk
from indexes.words import WeightedTerm, phrases, query_terms, terms

_HEAP_BYTES = 64_000_000
_FEW = 10_000
"""A filter that passes at most so many chunks is at once a list of them inside the query."""
_MORE = 4
"""For a filter that passes more, so many times the hits that should be enough are looked at first:
a list in the query costs about a microsecond for each of its chunks."""
_LARGE = 100_000
_EVERYWHERE = 0.1
CHANGING = ("meta.json", ".managed.json")
"""The only files of tantivy that change once they are written, and bear no checksum."""

Hits = list[tuple[int, float]]


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("chunk", indexed=True, fast=True)
    for field in ("body", "phrases"):
        builder.add_text_field(field, tokenizer_name="whitespace", index_option="freq")
    return builder.build()


@dataclass(frozen=True, slots=True)
class PostingsReader:
    """The postings as they were at one moment."""

    schema: tantivy.Schema
    searcher: tantivy.Searcher
    folder: Path

    def search(self, query: str, k: int, allowed: NDArray[np.int64] | None = None) -> Hits:
        """The ``k`` best chunks as (chunk, BM25 score), best first; only ``allowed`` ones (in
        order) if given. A chunk that shares no term with the query is not returned."""
        weighted = self._weighted(query)
        if weighted is None or (allowed is not None and not len(allowed)):
            return []
        if allowed is None:
            return self._hits(weighted, k)
        if len(allowed) > _FEW and (hits := self._among(weighted, k, allowed)) is not None:
            return hits
        within = Query.const_score_query(self._chunks(allowed.tolist()), 0.0)
        return self._hits(Query.boolean_query([(Occur.Must, weighted), (Occur.Must, within)]), k)

    def _among(self, query: Query, k: int, allowed: NDArray[np.int64]) -> Hits | None:
        """For a filter that passes many chunks: as many hits as should hold ``k`` that pass;
        nothing where they do not, because query and filter do not go together."""
        share = len(allowed) / max(1, self.searcher.num_docs)
        depth = int(_MORE * k / min(share, 1.0))
        hits = self._hits(query, depth)
        numbers = np.asarray([number for number, _ in hits], dtype=np.int64)
        passing = np.isin(numbers, allowed, assume_unique=True)
        if passing.sum() < k and len(hits) == depth:
            return None
        return [hit for hit, passes in zip(hits, passing, strict=True) if passes][:k]

    def _hits(self, query: Query, k: int) -> Hits:
        with tantivy_errors(self.folder):
            hits = self.searcher.search(query, k, count=False).hits
            numbers = self.searcher.fast_field_values("chunk", [address for _, address in hits])
        found = [(int(n or 0), float(s)) for n, (s, _) in zip(numbers, hits, strict=True)]
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))

    def best_score(self, query: str) -> float:
        """What no passage can surpass for ``query``; the scale of the scores of `search`."""
        looked_up = [
            (self.searcher.doc_freq(w.field, w.text), w.boost)
            for w in query_terms(query)
            if w.field == "body"
        ]
        return best_lexical(looked_up, self.searcher.num_docs)

    def held(self, numbers: Sequence[int]) -> list[int]:
        """Which of these chunks the postings hold, each as often as it is there."""
        if not numbers:
            return []
        query = Query.const_score_query(self._chunks(numbers), 1.0)
        return [number for number, _ in self._hits(query, 2 * len(numbers))]

    def _weighted(self, query: str) -> Query | None:
        clauses = [
            (Occur.Should, Query.boost_query(self._term(w.field, w.text), w.boost))
            for w in query_terms(query)
            if not self._says_little(w)
        ]
        return Query.boolean_query(clauses) if clauses else None

    def _says_little(self, word: WeightedTerm) -> bool:
        """Whether it is a phrase that stands all over a large index: it would cost a fifth of the
        time of the search and hardly change a score."""
        held = self.searcher.num_docs
        return (
            word.field == "phrases"
            and held > _LARGE
            and self.searcher.doc_freq(word.field, word.text) > held * _EVERYWHERE
        )

    def _term(self, field: str, text: str) -> Query:
        return Query.term_query(self.schema, field, text, "freq")

    def _chunks(self, numbers: Sequence[int]) -> Query:
        return Query.term_set_query(self.schema, "chunk", list(numbers))


class Postings:
    """The postings in ``folder``; an empty index is made where there is none if ``create``.

    Raises `DamagedError` where the files cannot be read.
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        self.folder = folder
        self._schema = _schema()
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        if not create and not all((folder / name).is_file() for name in CHANGING):
            raise DamagedError(t("The postings in {folder} are missing.", folder=folder))
        with tantivy_errors(folder):
            self._index = tantivy.Index(self._schema, path=str(folder))
        self._writer: tantivy.IndexWriter | None = None

    def reader(self) -> PostingsReader:
        """The postings as they are now."""
        with tantivy_errors(self.folder):
            self._index.reload()
            return PostingsReader(self._schema, self._index.searcher(), self.folder)

    def change(
        self, added: Iterable[StoredChunk], removed: Sequence[int] = (), after: int | None = None
    ) -> None:
        """Commit additions and removals, together; first take out whatever has a number above
        ``after``."""
        with tantivy_errors(self.folder):
            writer = self._opened()
            if after is not None:
                writer.delete_documents_by_query(self._after(after))
            if removed:
                writer.delete_documents_by_query(
                    Query.term_set_query(self._schema, "chunk", list(removed))
                )
            for stored in added:
                writer.add_document(_posting(stored))
            reach("postings.added")
            writer.commit()
        # tantivy syncs its files, but not the last rename: after a power cut the postings would
        # lack what the database goes on to confirm.
        sync_folder(self.folder)
        reach("postings.committed")

    def _opened(self) -> tantivy.IndexWriter:
        if self._writer is None:
            # An index that was opened earlier knows only the files of then: it would strike those
            # of another writer off tantivy's list, and nobody would ever remove them.
            self._index = tantivy.Index(self._schema, path=str(self.folder))
            self._writer = self._index.writer(_HEAP_BYTES, 1)
        return self._writer

    def finish(self) -> None:
        """Wait for merges and let the writer's lock go."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with tantivy_errors(self.folder):
                writer.wait_merging_threads()

    def abandon(self) -> None:
        """Let go of the writer after a failure; what it had not committed is lost."""
        writer, self._writer = self._writer, None
        if writer is not None:
            # Not left to the garbage collector: whoever holds the error holds the writer as well,
            # and with it the lock on the folder. What fails here has already failed before.
            with suppress(ValueError):
                writer.rollback()
            with suppress(ValueError):
                writer.wait_merging_threads()

    def state(self) -> str:
        """SHA-256 over the files that change (every other file ends with its own checksum)."""
        digest = hashlib.sha256()
        for name in CHANGING:
            digest.update((self.folder / name).read_bytes())
        return digest.hexdigest()

    def _after(self, last: int) -> Query:
        return Query.range_query(
            self._schema,
            "chunk",
            tantivy.FieldType.Unsigned,
            lower_bound=last,
            include_lower=False,
        )


@contextmanager
def tantivy_errors(folder: Path) -> Iterator[None]:
    """tantivy tells everything, a full disk and damaged files alike, as a ValueError."""
    try:
        yield
    except ValueError as error:
        full = "No space left" in str(error) or "File too large" in str(error)
        damaged = "InvalidData" in str(error) or "UnexpectedEof" in str(error)
        if full or (not damaged and ("IoError" in str(error) or "os error" in str(error))):
            raise CollectionError(
                t(
                    "The postings in {folder} cannot be written: {reason}. What was stored before "
                    "is intact. Make room and run the command again.",
                    folder=folder,
                    reason=error,
                )
            ) from error
        raise _damaged(folder, error) from error
    except BaseException as error:
        # Damaged files can make its Rust code panic, which is not even an Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise _damaged(folder, error) from error


def _damaged(folder: Path, reason: BaseException) -> DamagedError:
    return DamagedError(
        t(
            "The postings in {folder} are damaged: {reason}. Mend them with: waggle verify "
            "--repair",
            folder=folder,
            reason=reason,
        )
    )


def remove(path: Path) -> None:
    """Remove postings that no reader needs, or the remains of such."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _posting(stored: StoredChunk) -> Any:
    """Title and headings count as words of the passage: a question often names its subject by
    them alone."""
    words = terms("\n".join((stored.document.title, *stored.chunk.heading, stored.chunk.text)))
    posting = tantivy.Document()
    posting.add_unsigned("chunk", stored.number)
    posting.add_text("body", " ".join(words))
    posting.add_text("phrases", " ".join(phrases(words)))
    return posting
