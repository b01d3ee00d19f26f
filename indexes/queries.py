"""What the database of a collection holds: every query that changes nothing."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from indexes.records import FACTS, Span, VectorFile, enumerated, to_document, to_matrix
from indexes.shown import is_path
from indexes.types import Chunk, Document, StoredChunk, chunk_id


class Queries:
    """Queries over one connection; the tables are those of `indexes.schema`."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection

    # -- facts about the collection ----------------------------------------------------------

    def get(self, key: str, default: str = "") -> str:
        return str(self._value("SELECT value FROM meta WHERE key = ?", (key,), default))

    @property
    def generation(self) -> int:
        """Counts the committed changes."""
        return int(self.get("generation", "0"))

    def counts(self) -> tuple[int, int, int]:
        """Numbers of documents, of chunks, and of characters of text."""
        documents, chunks, characters = self._row(
            "SELECT documents, chunks, characters FROM counts", ()
        )
        return documents, chunks, characters

    # -- documents ---------------------------------------------------------------------------

    def versions(self, sources: Sequence[str]) -> dict[str, tuple[int, int, str]]:
        """Size, time of modification and SHA-256 of those of the ``sources`` that are stored."""
        cursor = self.connection.execute(
            "SELECT source, size, modified_ns, sha256 FROM documents"
            " WHERE source IN (SELECT value FROM json_each(?))",
            (json.dumps(sources),),
        )
        return {source: (size, modified, sha) for source, size, modified, sha in cursor}

    def sources(self) -> Iterator[str]:
        """Every source, in order."""
        for (source,) in self.connection.execute("SELECT source FROM documents ORDER BY source"):
            yield source

    def below(self, path: str) -> list[str]:
        """The sources that are ``path`` or lie under that folder, in order."""
        folder = path.rstrip("/") + "/"
        sql = "SELECT source FROM documents WHERE source = ? OR source >= ? AND source < ?"
        return self._column(f"{sql} ORDER BY source", (path, folder, folder[:-1] + "0"))

    def named(self, source: str, path: str) -> list[str]:
        """The sources that a name stands for: itself, all at or under the absolute ``path`` that
        it is here, else all that end with it as a path."""
        if not source:
            return []
        if self.versions([source]):
            return [source]
        ending = "/" + source.lstrip("/")
        sql = "SELECT source FROM documents WHERE substr(source, -?) = ? ORDER BY source"
        return self.below(path) or self._column(sql, (len(ending), ending))

    def shown_as(self, name: str) -> list[str]:
        """The sources that a name stands for where they are called as `indexes.shown` says: the
        one that is called so, else all whose name ends with it as a path."""
        if not name:
            return []
        if not is_path(name) and self.versions([name]):
            return [name]
        last, ending = name.rpartition("/")[2], "/" + name.lstrip("/")
        sql = "SELECT source FROM documents WHERE instr(source, ?) AND"  # which is fast
        return self._column(f"{sql} shown(source) = ?", (last, name)) or self._column(
            f"{sql} substr(shown(source), -?) = ? ORDER BY shown(source)",
            (last, len(ending), ending),
        )

    def documents(self) -> Iterator[tuple[Document, int]]:
        """Every document, without its text, and its number of chunks; ordered by source."""
        cursor = self.connection.execute(
            f"SELECT last - first + 1, {FACTS}, '' FROM documents"
            " JOIN spans ON document = documents.id ORDER BY source"
        )
        return ((to_document(row), chunks) for chunks, *row in cursor)

    def document(self, source: str) -> Document | None:
        """One document with its text."""
        row = self._row(
            f"SELECT {FACTS}, text FROM documents JOIN texts ON document = documents.id"
            " WHERE source = ?",
            (source,),
        )
        return to_document(row) if row else None

    def tally(self, fact: str) -> dict[str, int]:
        """How many documents there are of each ``format`` or ``lang``."""
        sql = f"SELECT {fact}, count(*) FROM documents GROUP BY 1 ORDER BY 1"
        rows: Iterator[Any] = self.connection.execute(sql)
        return dict(rows)

    def document_of(self, row: int) -> Document:
        """The document with this row number, with its text."""
        sql = f"SELECT {FACTS}, text FROM documents JOIN texts ON document = id WHERE id = ?"
        return to_document(self._row(sql, (row,)))

    # -- chunks ------------------------------------------------------------------------------

    def passages(self, source: str) -> tuple[str, ...]:
        """The names of the chunks of a document, in order."""
        cursor = self.connection.execute(
            'SELECT chunks.start, substr(text, chunks.start + 1, chunks."end" - chunks.start)'
            " FROM documents JOIN texts ON texts.document = documents.id"
            " JOIN spans ON spans.document = documents.id"
            " JOIN chunks ON chunks.id BETWEEN first AND last WHERE source = ? ORDER BY chunks.id",
            (source,),
        )
        return tuple(chunk_id(source, start, text) for start, text in cursor)

    def chunks(self, numbers: Iterable[int]) -> dict[int, StoredChunk]:
        """The chunks of these numbers that are alive, with their text and document."""
        cursor = self.connection.execute(
            f'SELECT chunks.id, start, "end", page, heading, {FACTS},'
            ' substr(text, start + 1, "end" - start)'
            " FROM chunks JOIN documents ON chunks.document = documents.id"
            " JOIN texts ON texts.document = documents.id"
            " WHERE chunks.id IN (SELECT value FROM json_each(?))",
            (json.dumps([int(number) for number in numbers]),),
        )
        found = {}
        for number, start, end, page, heading, *fields, text in cursor:
            chunk = Chunk(text, start, end, page, tuple(json.loads(heading)))
            found[number] = StoredChunk(number, chunk, to_document((*fields, "")))
        return found

    def living(self, numbers: Sequence[int]) -> frozenset[int]:
        """Those of these chunks that are alive."""
        sql = "SELECT id FROM chunks WHERE id IN (SELECT value FROM json_each(?))"
        return frozenset(self._column(sql, (json.dumps(list(numbers)),)))

    def stored(self, prefix: str = "") -> Iterator[tuple[Document, Span, list[StoredChunk]]]:
        """Every document with its text, and its chunks."""
        cursor = self.connection.execute(
            f"SELECT first, last, seal, {FACTS}, text FROM documents"
            " JOIN texts ON texts.document = id"
            f" JOIN {prefix}spans AS spans ON spans.document = id ORDER BY id"
        )
        for first, last, sealed, *fields in cursor:
            document, span = to_document(fields), Span(first, last, sealed)
            yield document, span, self._chunks_of(document, span, prefix)

    def every_chunk(self, prefix: str = "") -> Iterator[StoredChunk]:
        """Every chunk, by document."""
        for _, _, chunks in self.stored(prefix):
            yield from chunks

    def _chunks_of(self, document: Document, span: Span, prefix: str) -> list[StoredChunk]:
        cursor = self.connection.execute(
            f'SELECT id, start, "end", page, heading FROM {prefix}chunks'
            " WHERE id BETWEEN ? AND ? ORDER BY id",
            (span.first, span.last),
        )
        return [
            StoredChunk(
                number,
                Chunk(document.text[start:end], start, end, page, tuple(json.loads(heading))),
                document,
            )
            for number, start, end, page, heading in cursor
        ]

    def last_chunk(self, prefix: str = "") -> int:
        """The highest chunk number ever given out."""
        sql = "SELECT seq FROM sqlite_sequence WHERE name = ?"
        return int(self._value(sql, (f"{prefix}chunks",), 0))

    def matching(
        self, condition: str, values: Sequence[object], *, by_chunk: bool
    ) -> NDArray[np.int64]:
        """The chunks for which an SQL condition over ``documents``, and ``chunks`` if
        ``by_chunk``, holds; in order."""
        if by_chunk:
            sql = (
                "SELECT chunks.id, chunks.id FROM chunks JOIN documents ON document = documents.id"
            )
        else:
            sql = "SELECT first, last FROM documents JOIN spans ON document = documents.id"
        rows = self.connection.execute(f"{sql} WHERE {condition}", tuple(values)).fetchall()
        spans = np.asarray(rows, dtype=np.int64).reshape(-1, 2)
        return np.sort(enumerated(spans[:, 0], spans[:, 1]))

    def removed_postings(self) -> list[int]:
        """Chunks that were deleted and may still be in the postings."""
        return self._column("SELECT chunk FROM removed_postings", ())

    # -- vectors -----------------------------------------------------------------------------

    def vectors(
        self, numbers: Sequence[int], dimension: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Those of these chunks that are alive (n,), and their vectors (n, dimension)."""
        rows = self._rows(
            "SELECT chunk, vector FROM vectors WHERE chunk IN (SELECT value FROM json_each(?))",
            (json.dumps([int(number) for number in numbers]),),
        )
        return to_matrix(rows, dimension)

    def vector_batches(
        self, after: int, dimension: int, *, size: int = 20_000, prefix: str = ""
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """Numbers (n,) and vectors (n, dimension) of the living chunks after number ``after``, at
        most ``size`` at a time."""
        sql = f"SELECT chunk, vector FROM {prefix}vectors WHERE chunk > ? ORDER BY chunk LIMIT ?"
        while rows := self._rows(sql, (after, size)):
            numbers, matrix = to_matrix(rows, dimension)
            yield numbers, matrix
            after = int(numbers[-1])

    def removed_vectors(self) -> NDArray[np.int64]:
        """Chunks deleted since the live vector file was made (a superset is harmless)."""
        return np.asarray(self._column("SELECT chunk FROM removed_vectors", ()), dtype=np.int64)

    def pending(self, last: int) -> int:
        """How many chunks are newer than number ``last``, or removed and not yet forgotten."""
        newer = self._value("SELECT count(*) FROM chunks WHERE id > ?", (last,), 0)
        return int(newer) + int(self._value("SELECT count(*) FROM removed_vectors", (), 0))

    def vector_file(self) -> VectorFile | None:
        row = self._row("SELECT name, sha256, last_chunk FROM vector_file", ())
        return VectorFile(*row) if row else None

    # -- helpers -----------------------------------------------------------------------------

    def _row(self, sql: str, values: Sequence[object]) -> Any:
        return next(iter(self.connection.execute(sql, tuple(values))), None)

    def _value(self, sql: str, values: Sequence[object], default: object) -> Any:
        row = self._row(sql, values)
        return row[0] if row else default

    def _rows(self, sql: str, values: Sequence[object]) -> list[Any]:
        return list(self.connection.execute(sql, tuple(values)))

    def _column(self, sql: str, values: Sequence[object]) -> list[Any]:
        return [row[0] for row in self.connection.execute(sql, tuple(values))]
