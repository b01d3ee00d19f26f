"""The truth of a collection: one SQLite database.

Documents with their whole text, chunks as spans of it, vectors as float16, and which derived
files (FAISS, tantivy) are current. Each change is one transaction; a committed one survives a
kill and a power cut (``synchronous=FULL``). Row numbers of chunks are never used twice, so a
derived index can say how far it has got by the last number it holds.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import apsw.ext
import numpy as np
from numpy.typing import NDArray

from indexes.errors import CollectionError, DamagedError
from indexes.i18n import t
from indexes.types import Chunk, Document, StoredChunk

FORMAT = 1
_BATCH = 500

_FACTS = "source, title, format, lang, size, modified_ns, sha256, added, metadata, page_starts"
_FIELDS = (*_FACTS.split(", "), "text")
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    format TEXT NOT NULL,
    lang TEXT NOT NULL,
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    added TEXT NOT NULL,
    metadata TEXT NOT NULL,
    page_starts TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    page INTEGER,
    heading TEXT NOT NULL,
    vector BLOB NOT NULL
) STRICT;
CREATE INDEX chunks_by_document ON chunks (document);
CREATE TABLE removed (chunk INTEGER PRIMARY KEY) STRICT;
CREATE TABLE vector_file (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    name TEXT NOT NULL, sha256 TEXT NOT NULL, last_chunk INTEGER NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class VectorFile:
    """The live FAISS file: it holds every chunk up to ``last_chunk`` that lived when it was made;
    chunks deleted since are listed in the table ``removed``."""

    name: str
    sha256: str
    last_chunk: int


class Database:
    """One connection. ``Database(path)`` opens, and creates the tables in an empty file."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = apsw.Connection(str(path))
            self._db.set_busy_timeout(10_000)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                self._db.execute(f"PRAGMA {pragma}")
            self._prepare()
        except (apsw.NotADBError, apsw.CorruptError) as error:
            raise DamagedError(
                t(
                    "The database {path} is damaged: {reason}. Restore it from a backup, or delete "
                    "the folder and index the documents again.",
                    path=path,
                    reason=error,
                )
            ) from error
        except (apsw.CantOpenError, apsw.ReadOnlyError) as error:
            raise CollectionError(
                t("The database {path} cannot be opened: {reason}.", path=path, reason=error)
            ) from error

    def _prepare(self) -> None:
        with self._db:
            if not self._db.pragma("user_version"):
                self._db.execute(_SCHEMA)
                self._db.pragma("user_version", FORMAT)
        found = self._db.pragma("user_version")
        if found != FORMAT:
            raise CollectionError(
                t(
                    "This collection has format {found}, and this version of Waggle reads format "
                    "{known}. Install the version that wrote it.",
                    found=found,
                    known=FORMAT,
                )
            )

    def close(self) -> None:
        self._db.close()

    def transaction(self) -> AbstractContextManager[Any]:
        """All or nothing; nested uses become savepoints."""
        return self._db

    # -- facts about the collection ----------------------------------------------------------

    def get(self, key: str, default: str = "") -> str:
        return str(self._value("SELECT value FROM meta WHERE key = ?", (key,), default))

    def set(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @property
    def generation(self) -> int:
        """Counts the committed changes."""
        return int(self.get("generation", "0"))

    def next_generation(self) -> None:
        self.set("generation", str(self.generation + 1))

    def counts(self) -> tuple[int, int, int]:
        """Numbers of documents, of chunks, and of characters of text."""
        documents = self._value("SELECT count(*) FROM documents", (), 0)
        chunks = self._value("SELECT count(*) FROM chunks", (), 0)
        characters = self._value("SELECT coalesce(sum(length(text)), 0) FROM documents", (), 0)
        return int(documents), int(chunks), int(characters)

    # -- documents ---------------------------------------------------------------------------

    def insert(
        self, document: Document, chunks: Sequence[Chunk], vectors: NDArray[np.float32]
    ) -> bool:
        """Store a document; tells whether it replaced one of the same source."""
        replaced = self.version(document.source) is not None
        self.delete(document.source)
        self._db.execute(
            f"INSERT INTO documents ({_FACTS}, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                document.source,
                document.title,
                document.format,
                document.lang,
                document.size,
                document.modified_ns,
                document.sha256,
                document.added,
                _json(dict(document.metadata)),
                _json(document.page_starts),
                document.text,
            ),
        )
        row = self._db.last_insert_rowid()
        self._db.executemany(
            'INSERT INTO chunks (document, start, "end", page, heading, vector)'
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (row, c.start, c.end, c.page, _json(c.heading), vector.tobytes())
                for c, vector in zip(chunks, vectors.astype(np.float16), strict=True)
            ],
        )
        return replaced

    def delete(self, source: str) -> list[int]:
        """Delete a document; returns the numbers of its chunks (empty if there is none)."""
        chunks = self.chunks_of(source)
        self._db.executemany("INSERT INTO removed VALUES (?)", [(chunk,) for chunk in chunks])
        self._db.execute("DELETE FROM documents WHERE source = ?", (source,))
        return chunks

    def touch(self, source: str, modified_ns: int) -> None:
        """Record a new time of modification of an unchanged file."""
        self._db.execute(
            "UPDATE documents SET modified_ns = ? WHERE source = ?", (modified_ns, source)
        )

    def version(self, source: str) -> tuple[int, int, str] | None:
        """Size, time of modification and SHA-256 of a stored source."""
        row = self._row(
            "SELECT size, modified_ns, sha256 FROM documents WHERE source = ?", (source,)
        )
        return tuple(row) if row else None

    def sources(self) -> list[str]:
        return [row[0] for row in self._db.execute("SELECT source FROM documents ORDER BY source")]

    def documents(self) -> Iterator[tuple[Document, int]]:
        """Every document, without its text, and its number of chunks; ordered by source."""
        cursor = self._db.execute(
            f"SELECT {_FACTS}, '',"
            " (SELECT count(*) FROM chunks WHERE document = documents.id)"
            " FROM documents ORDER BY source"
        )
        return ((_document(row[:-1]), row[-1]) for row in cursor)

    def document(self, source: str) -> Document | None:
        """One document with its text."""
        row = self._row(f"SELECT {_FACTS}, text FROM documents WHERE source = ?", (source,))
        return _document(row) if row else None

    # -- chunks ------------------------------------------------------------------------------

    def chunks_of(self, source: str) -> list[int]:
        return self._numbers(
            "SELECT chunks.id FROM chunks JOIN documents ON document = documents.id"
            " WHERE source = ? ORDER BY chunks.id",
            (source,),
        )

    def chunks(self, numbers: Iterable[int]) -> dict[int, StoredChunk]:
        """The chunks of these numbers that are alive, with their text and document."""
        wanted = json.dumps([int(number) for number in numbers])
        cursor = self._db.execute(
            f'SELECT chunks.id, start, "end", page, heading, {_FACTS},'
            ' substr(text, start + 1, "end" - start)'
            " FROM chunks JOIN documents ON document = documents.id"
            " WHERE chunks.id IN (SELECT value FROM json_each(?))",
            (wanted,),
        )
        found = {}
        for number, start, end, page, heading, *fields, text in cursor:
            chunk = Chunk(text, start, end, page, tuple(json.loads(heading)))
            found[number] = StoredChunk(number, chunk, _document((*fields, "")))
        return found

    def chunks_after(self, last: int) -> Iterator[StoredChunk]:
        """The living chunks with larger numbers, in order; text and document included."""
        while batch := self._numbers(
            "SELECT id FROM chunks WHERE id > ? ORDER BY id LIMIT ?", (last, _BATCH)
        ):
            yield from self.chunks(batch).values()
            last = batch[-1]

    def last_chunk(self) -> int:
        """The highest chunk number ever given out."""
        return int(self._value("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'", (), 0))

    def pending(self, last: int) -> int:
        """How many chunks are newer than number ``last``, or removed and not yet forgotten."""
        newer = self._value("SELECT count(*) FROM chunks WHERE id > ?", (last,), 0)
        return int(newer) + int(self._value("SELECT count(*) FROM removed", (), 0))

    def removed(self) -> NDArray[np.int64]:
        """Chunks deleted since the live vector file was made (a superset is harmless)."""
        return np.asarray(self._numbers("SELECT chunk FROM removed", ()), dtype=np.int64)

    def matching(self, condition: str, values: Sequence[object]) -> NDArray[np.int64]:
        """The chunks for which an SQL condition over ``documents`` and ``chunks`` holds."""
        numbers = self._numbers(
            "SELECT chunks.id FROM chunks JOIN documents ON document = documents.id"
            f" WHERE {condition} ORDER BY chunks.id",
            values,
        )
        return np.asarray(numbers, dtype=np.int64)

    # -- vectors -----------------------------------------------------------------------------

    def vectors_after(
        self, last: int, dimension: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Numbers (n,) and vectors (n, dimension) of the living chunks after number ``last``."""
        numbers: list[int] = []
        data = bytearray()
        for number, vector in self._db.execute(
            "SELECT id, vector FROM chunks WHERE id > ? ORDER BY id", (last,)
        ):
            numbers.append(number)
            data += vector
        matrix = np.frombuffer(bytes(data), dtype=np.float16).reshape(len(numbers), dimension)
        return np.asarray(numbers, dtype=np.int64), matrix

    def vector_file(self) -> VectorFile | None:
        row = self._row("SELECT name, sha256, last_chunk FROM vector_file", ())
        return VectorFile(*row) if row else None

    def publish_vectors(self, file: VectorFile) -> None:
        """Make ``file`` the live one; it must hold every living chunk up to its last."""
        self._db.execute(
            "INSERT OR REPLACE INTO vector_file VALUES (1, ?, ?, ?)",
            (file.name, file.sha256, file.last_chunk),
        )
        self._db.execute("DELETE FROM removed WHERE chunk <= ?", (file.last_chunk,))

    # -- helpers -----------------------------------------------------------------------------

    def _row(self, sql: str, values: Sequence[object]) -> Any:
        return next(iter(self._db.execute(sql, tuple(values))), None)

    def _value(self, sql: str, values: Sequence[object], default: object) -> Any:
        row = self._row(sql, values)
        return row[0] if row else default

    def _numbers(self, sql: str, values: Sequence[object]) -> list[int]:
        return [row[0] for row in self._db.execute(sql, tuple(values))]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _document(row: Sequence[Any]) -> Document:
    facts: dict[str, Any] = dict(zip(_FIELDS, row, strict=True))
    facts["metadata"] = json.loads(facts["metadata"])
    facts["page_starts"] = tuple(json.loads(facts["page_starts"]))
    return Document(**facts)
