"""The truth of a collection: one SQLite database. Here are the changes; its tables are in
`indexes.schema`, and what can be asked of them in `indexes.queries`.

Documents with their whole text, chunks as spans of it, vectors as float16, and which derived
files (FAISS, tantivy) are current. Each change is one transaction; a committed one survives a
kill and a power cut (``synchronous=FULL``). The chunks of a document have consecutive numbers, and
a number is never used twice, so a derived index can say how far it has got by the last number it
holds.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw
import numpy as np
from numpy.typing import NDArray

from indexes.errors import CollectionError
from indexes.failures import storage_errors
from indexes.i18n import t
from indexes.queries import Queries
from indexes.records import FACTS, Span, VectorFile, seal, to_json, to_row
from indexes.schema import BUSY_MS, FORMAT, connect, create_tables
from indexes.types import Chunk, Document, Metadata


class Database(Queries):
    """One connection, to be used by one thread at a time. ``Database(path)`` opens it, and creates
    the tables in an empty file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with storage_errors(path):
            super().__init__(connect(path))
            self._prepare()

    def _prepare(self) -> None:
        if not self.connection.pragma("user_version"):
            with self.writing():
                if not self.connection.pragma("user_version"):
                    create_tables(self.connection)
        found = self.connection.pragma("user_version")
        if found != FORMAT:
            self.connection.close()
            raise CollectionError(
                t(
                    "This collection has format {found}, and this version of Waggle reads format "
                    "{known}. Install the version that wrote it.",
                    found=found,
                    known=FORMAT,
                )
            )

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One snapshot: what others commit meanwhile is not seen."""
        with storage_errors(self.path):
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                if self.connection.in_transaction:  # SQLite itself ends one that meets damage
                    self.connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All or nothing."""
        with storage_errors(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def checkpoint(self) -> None:
        """Move the log into the database and empty it, unless a reader still needs it: a log that
        readers keep the writer from emptying would grow without end."""
        with storage_errors(self.path):
            try:
                self.connection.set_busy_timeout(50)
                self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            except apsw.BusyError:
                return
            finally:
                self.connection.set_busy_timeout(BUSY_MS)

    # -- facts about the collection ----------------------------------------------------------

    def set(self, key: str, value: str) -> None:
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def unset(self, key: str) -> None:
        self.connection.execute("DELETE FROM meta WHERE key = ?", (key,))

    def next_generation(self) -> None:
        self.set("generation", str(self.generation + 1))

    def _count(self, documents: int, chunks: int, characters: int) -> None:
        self.connection.execute(
            "UPDATE counts SET documents = documents + ?, chunks = chunks + ?,"
            " characters = characters + ?",
            (documents, chunks, characters),
        )

    # -- documents ---------------------------------------------------------------------------

    def insert(
        self, document: Document, chunks: Sequence[Chunk], vectors: NDArray[np.float32]
    ) -> tuple[Span, bool]:
        """Store a document; returns its chunks, and whether it replaced one of the same source."""
        replaced = bool(self.delete(document.source))
        facts = to_row(document)
        self.connection.execute(
            f"INSERT INTO documents ({FACTS}) VALUES ({', '.join('?' * len(facts))})", facts
        )
        row = self.connection.last_insert_rowid()
        self.connection.execute("INSERT INTO texts VALUES (?, ?)", (row, document.text))
        span = self.insert_passages(row, document.text, chunks, vectors)
        self._count(1, len(chunks), len(document.text))
        return span, replaced

    def insert_passages(
        self,
        document: int,
        text: str,
        chunks: Sequence[Chunk],
        vectors: NDArray[np.float32],
        prefix: str = "",
    ) -> Span:
        """Store the chunks and vectors of the document with this row number, whose text is
        ``text``, in the live tables or in those with ``prefix``."""
        data = vectors.astype(np.float16)
        first = self.last_chunk(prefix) + 1
        span = Span(first, first + len(chunks) - 1, seal(text, chunks, data))
        self.connection.executemany(
            f"INSERT INTO {prefix}chunks VALUES (?, ?, ?, ?, ?, ?)",
            [
                (number, document, c.start, c.end, c.page, to_json(c.heading))
                for number, c in zip(span.numbers(), chunks, strict=True)
            ],
        )
        self.connection.executemany(
            f"INSERT INTO {prefix}vectors VALUES (?, ?)",
            [(n, row.tobytes()) for n, row in zip(span.numbers(), data, strict=True)],
        )
        self.connection.execute(
            f"INSERT INTO {prefix}spans VALUES (?, ?, ?, ?)",
            (document, span.first, span.last, span.seal),
        )
        return span

    def delete(self, source: str) -> Span | None:
        """Delete a document; returns its chunks, or nothing where there is no such document."""
        row = self._row(
            "SELECT id, first, last, seal, length(text) FROM documents"
            " JOIN spans ON spans.document = id JOIN texts ON texts.document = id"
            " WHERE source = ?",
            (source,),
        )
        if row is None:
            return None
        document, *span_fields, characters = row
        span = Span(*span_fields)
        generation = self.generation + 1
        self.connection.executemany(
            "INSERT INTO removed_vectors VALUES (?, ?)", [(n, generation) for n in span.numbers()]
        )
        self.connection.executemany(
            "INSERT INTO removed_postings VALUES (?)", [(n,) for n in span.numbers()]
        )
        for table, key in (("chunks", "id"), ("vectors", "chunk")):
            self.connection.execute(
                f"DELETE FROM {table} WHERE {key} BETWEEN ? AND ?", (span.first, span.last)
            )
        self.connection.execute("DELETE FROM spans WHERE document = ?", (document,))
        self.connection.execute("DELETE FROM documents WHERE id = ?", (document,))
        self._count(-1, -len(span.numbers()), -characters)
        return span

    def touch(self, source: str, modified_ns: int) -> None:
        """Record a new time of modification of an unchanged file."""
        self.connection.execute(
            "UPDATE documents SET modified_ns = ? WHERE source = ?", (modified_ns, source)
        )

    def describe(self, source: str, metadata: Metadata) -> None:
        """Replace the metadata of a document."""
        self.connection.execute(
            "UPDATE documents SET metadata = ? WHERE source = ?", (to_json(dict(metadata)), source)
        )

    def recount_chunks(self) -> None:
        """Count the chunks after all were replaced; none of the old ones is to be remembered."""
        self.connection.execute("UPDATE counts SET chunks = (SELECT count(*) FROM chunks)")
        self.connection.execute("DELETE FROM removed_vectors")
        self.connection.execute("DELETE FROM removed_postings")

    # -- what is derived ---------------------------------------------------------------------

    def forget_postings(self, chunks: Sequence[int]) -> None:
        """The postings do not hold these chunks any more."""
        self.connection.executemany(
            "DELETE FROM removed_postings WHERE chunk = ?", [(chunk,) for chunk in chunks]
        )

    def publish_vectors(self, file: VectorFile, generation: int) -> None:
        """Make ``file`` the live one; it holds every chunk up to its last that lived in
        ``generation``."""
        self.connection.execute(
            "INSERT OR REPLACE INTO vector_file VALUES (1, ?, ?, ?)",
            (file.name, file.sha256, file.last_chunk),
        )
        self.connection.execute("DELETE FROM removed_vectors WHERE generation <= ?", (generation,))
