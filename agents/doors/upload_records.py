"""What is known of the uploads: ``HOME/uploads/uploads.db``.

A row is committed, and synced to the disk, before anybody is told of it. Work that waits is a
state of a row (``in_progress``, ``removing``), so that it goes on after a kill.
"""

import json
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from agents.doors.upload_types import (
    Attachment,
    Attributes,
    Batch,
    FailureCode,
    StoredFile,
    StoreFacts,
)
from indexes.failures import storage_errors
from indexes.schema import connect, open_with_checksums

_TABLES = """
CREATE TABLE files (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, name TEXT NOT NULL, purpose TEXT NOT NULL,
    bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, content TEXT NOT NULL,
    created INTEGER NOT NULL, gone INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX files_by_content ON files (content);
CREATE INDEX files_gone ON files (gone) WHERE gone;
CREATE TABLE attachments (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    collection TEXT NOT NULL, file TEXT NOT NULL REFERENCES files (id),
    source TEXT NOT NULL, attributes TEXT NOT NULL, state TEXT NOT NULL,
    code TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL,
    UNIQUE (collection, file)
) STRICT;
CREATE INDEX attachments_by_state ON attachments (state, n);
CREATE INDEX attachments_by_file ON attachments (file);
CREATE TABLE batches (
    id TEXT PRIMARY KEY, collection TEXT NOT NULL, files TEXT NOT NULL, created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE stores (
    collection TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL,
    metadata TEXT NOT NULL, created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
"""
_FILE = "id, owner, name, purpose, bytes, sha256, content, created"
_ATTACHMENT = (
    "attachments.n, collection, file, name, bytes, sha256, content, source, attributes, state,"
    " code, error, attempts, attachments.created"
)
_JOINED = f"SELECT {_ATTACHMENT} FROM attachments JOIN files ON files.id = file"


class Records:
    """The database in ``folder``. Safe to use from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "uploads.db"
        self._lock = threading.RLock()
        with storage_errors(self._path):
            self._connection = connect(self._path)
        with self.changing():
            if not self._connection.pragma("user_version"):
                self._connection.execute(_TABLES)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """All or nothing, and nobody else changes anything meanwhile."""
        with self._lock, storage_errors(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _rows(self, sql: str, *values: object) -> list[Any]:
        with self._lock, storage_errors(self._path):
            return self._connection.execute(sql, tuple(values)).fetchall()

    # -- files -------------------------------------------------------------------------------

    def add_file(self, file: StoredFile) -> None:
        self._rows(
            f"INSERT INTO files ({_FILE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            file.id, file.owner, file.name, file.purpose, file.bytes, file.sha256, file.content,
            file.created,
        )  # fmt: skip

    def file(self, file_id: str) -> StoredFile | None:
        rows = self._rows(f"SELECT {_FILE} FROM files WHERE id = ? AND NOT gone", file_id)
        return StoredFile(*rows[0]) if rows else None

    def files_of(self, owner: str) -> list[StoredFile]:
        """The files of a key, the first one first."""
        sql = f"SELECT {_FILE} FROM files WHERE owner = ? AND NOT gone ORDER BY n"
        return [StoredFile(*row) for row in self._rows(sql, owner)]

    def bytes_of(self, owner: str) -> int:
        """What the files of a key take together."""
        sql = "SELECT coalesce(sum(bytes), 0) FROM files WHERE owner = ? AND NOT gone"
        return int(self._rows(sql, owner)[0][0])

    def collections_of(self, file_id: str) -> list[str]:
        """Where a file is attached."""
        sql = "SELECT collection FROM attachments WHERE file = ? AND state <> 'removing'"
        return [name for (name,) in self._rows(sql, file_id)]

    def let_go(self, file_id: str) -> None:
        """Mark a file, and its documents, to be removed."""
        with self.changing():
            self._rows("UPDATE files SET gone = 1 WHERE id = ?", file_id)
            self._rows("UPDATE attachments SET state = 'removing' WHERE file = ?", file_id)

    def is_known(self, file_id: str) -> bool:
        """Whether there is still a row of the file, even one to be removed."""
        return bool(self._rows("SELECT 1 FROM files WHERE id = ?", file_id))

    def forget_files(self) -> list[str]:
        """Forget those to be removed that are attached nowhere any more; the names of their
        contents."""
        sql = "DELETE FROM files WHERE gone AND id NOT IN (SELECT file FROM attachments)"
        return [content for (content,) in self._rows(f"{sql} RETURNING content")]

    def holds(self, content: str) -> bool:
        """Whether a file has this content."""
        return bool(self._rows("SELECT 1 FROM files WHERE content = ?", content))

    # -- attachments -------------------------------------------------------------------------

    def attach(self, collection: str, file: str, source: str, attributes: Attributes) -> None:
        """Attach a file, or again one that failed, was cancelled, or has other attributes now."""
        with self.changing():
            self._vacate(collection, source, file)
            self._rows(
                "INSERT INTO attachments (collection, file, source, attributes, state, created)"
                " SELECT ?1, id, ?3, ?4, 'in_progress', ?5 FROM files WHERE id = ?2 AND NOT gone"
                " ON CONFLICT (collection, file) DO UPDATE SET source = ?3, attributes = ?4,"
                " state = 'in_progress', code = '', error = '', attempts = 0"
                " WHERE state <> 'completed' OR attributes <> ?4",
                collection, file, source, _json(attributes), int(time.time()),
            )  # fmt: skip

    def _vacate(self, collection: str, source: str, file: str) -> None:
        """Let other files that share the document ``source`` get documents of their own."""
        self._rows(
            "UPDATE attachments SET state = 'in_progress', attempts = 0,"
            " source = file || '/' || (SELECT name FROM files WHERE id = file)"
            " WHERE collection = ? AND source = ? AND file <> ? AND state = 'completed'",
            collection, source, file,
        )  # fmt: skip

    def attachment(self, collection: str, file: str) -> Attachment | None:
        rows = self._rows(
            f"{_JOINED} WHERE collection = ? AND file = ? AND state <> 'removing'", collection, file
        )
        return _attachment(rows[0]) if rows else None

    def attachments(self, collection: str) -> list[Attachment]:
        """The files of a collection, the first one first."""
        sql = f"{_JOINED} WHERE collection = ? AND state <> 'removing' ORDER BY attachments.n"
        return [_attachment(row) for row in self._rows(sql, collection)]

    def by_source(self, collection: str, sources: Sequence[str]) -> dict[str, Attachment]:
        """The attachments that these documents of a collection are."""
        rows = self._rows(
            f"{_JOINED} WHERE collection = ? AND state <> 'removing'"
            " AND source IN (SELECT value FROM json_each(?)) ORDER BY attachments.n DESC",
            collection, json.dumps(list(sources)),
        )  # fmt: skip
        return {one.source: one for one in map(_attachment, rows)}

    def describe(self, one: Attachment, attributes: Attributes) -> None:
        """Give a file other attributes in a collection."""
        if attributes != one.attributes:
            with self.changing():
                self._vacate(one.collection, one.source, one.file)
                self._rows(
                    "UPDATE attachments SET attributes = ?, state = 'in_progress', attempts = 0"
                    " WHERE n = ? AND state <> 'removing'",
                    _json(attributes), one.n,
                )  # fmt: skip

    def detach(self, one: Attachment) -> None:
        """Mark a file to be removed from a collection."""
        self._rows("UPDATE attachments SET state = 'removing' WHERE n = ?", one.n)

    def is_leaving(self, n: int) -> bool:
        """Whether a file is still to be removed from a collection."""
        sql = "SELECT 1 FROM attachments WHERE n = ? AND state = 'removing'"
        return bool(self._rows(sql, n))

    def cancel(self, collection: str, files: Sequence[str]) -> None:
        """Cancel those of these files of a collection that wait."""
        self._rows(
            "UPDATE attachments SET state = 'cancelled' WHERE collection = ?"
            " AND state = 'in_progress' AND file IN (SELECT value FROM json_each(?))",
            collection, json.dumps(list(files)),
        )  # fmt: skip

    # -- work --------------------------------------------------------------------------------

    def waiting(self, state: str, except_in: Sequence[str], most: int) -> list[Attachment]:
        """The next attachments in this state, at most so many, all of one collection that is not
        among ``except_in``."""
        rows = self._rows(
            f"{_JOINED} WHERE state = ?1 AND collection = (SELECT collection FROM attachments"
            " WHERE state = ?1 AND collection NOT IN (SELECT value FROM json_each(?2))"
            " ORDER BY n LIMIT 1) ORDER BY attachments.n LIMIT ?3",
            state, json.dumps(list(except_in)), most,
        )  # fmt: skip
        return [_attachment(row) for row in rows]

    def busy(self) -> bool:
        """Whether anything waits."""
        sql = "SELECT 1 FROM attachments WHERE state IN ('in_progress', 'removing') LIMIT 1"
        return bool(self._rows(sql)) or self.to_forget()

    def to_forget(self) -> bool:
        """Whether files are to be deleted."""
        return bool(self._rows("SELECT 1 FROM files WHERE gone LIMIT 1"))

    def attempted(self, batch: Sequence[Attachment], change: int = 1) -> None:
        """Count an attempt, or take it back with -1."""
        self._each("UPDATE attachments SET attempts = attempts + ? WHERE n = ?", batch, change)

    def completed(self, one: Attachment, source: str) -> None:
        """It is in the collection, as ``source``, unless it is not wanted there any more."""
        self._rows(
            "UPDATE attachments SET state = 'completed', source = ?, attempts = 0"
            " WHERE n = ? AND state = 'in_progress' AND attributes = ?",
            source, one.n, _json(one.attributes),
        )  # fmt: skip

    def failed(self, one: Attachment, code: FailureCode, error: str) -> None:
        self._rows(
            "UPDATE attachments SET state = 'failed', code = ?, error = ?"
            " WHERE n = ? AND state = 'in_progress'",
            code, error, one.n,
        )  # fmt: skip

    def twin(self, one: Attachment) -> Attachment | None:
        """A file with the same name, content and attributes that is in the collection already."""
        rows = self._rows(
            f"{_JOINED} WHERE collection = ? AND state = 'completed' AND sha256 = ? AND name = ?"
            " AND attributes = ? AND attachments.n <> ? LIMIT 1",
            one.collection, one.sha256, one.name, _json(one.attributes), one.n,
        )  # fmt: skip
        return _attachment(rows[0]) if rows else None

    def lone(self, batch: Sequence[Attachment]) -> list[str]:
        """The sources of these attachments that no other one needs."""
        return list(dict.fromkeys(one.source for one in batch if self._alone(one)))

    def _alone(self, one: Attachment) -> bool:
        return not self._rows(
            "SELECT 1 FROM attachments WHERE collection = ? AND source = ? AND n <> ?"
            " AND state <> 'removing'",
            one.collection, one.source, one.n,
        )  # fmt: skip

    def lost(self, collection: str, sources: Iterable[str]) -> None:
        """Forget the attachments whose documents somebody else has removed."""
        self._rows(
            "DELETE FROM attachments WHERE collection = ? AND state = 'completed'"
            " AND source IN (SELECT value FROM json_each(?))",
            collection, json.dumps(list(sources)),
        )  # fmt: skip

    def removed(self, batch: Sequence[Attachment]) -> None:
        """They are no longer in the collection."""
        self._each("DELETE FROM attachments WHERE n = ? AND state = 'removing'", batch)

    def _each(self, sql: str, batch: Sequence[Attachment], *values: object) -> None:
        with self.changing():
            for one in batch:
                self._rows(sql, *values, one.n)

    # -- batches and collections -------------------------------------------------------------

    def add_batch(self, batch: Batch) -> None:
        self._rows(
            "INSERT INTO batches VALUES (?, ?, ?, ?)",
            batch.id, batch.collection, json.dumps(batch.files), batch.created,
        )  # fmt: skip

    def batch(self, collection: str, batch_id: str) -> Batch | None:
        sql = "SELECT files, created FROM batches WHERE collection = ? AND id = ?"
        rows = self._rows(sql, collection, batch_id)
        return (
            Batch(batch_id, collection, tuple(json.loads(rows[0][0])), rows[0][1]) if rows else None
        )

    def store(self, collection: str) -> StoreFacts | None:
        sql = "SELECT name, description, metadata, created FROM stores WHERE collection = ?"
        rows = self._rows(sql, collection)
        if not rows:
            return None
        name, description, metadata, created = rows[0]
        return StoreFacts(name, description, json.loads(metadata), created)

    def set_store(self, collection: str, facts: StoreFacts) -> None:
        self._rows(
            "INSERT OR REPLACE INTO stores VALUES (?, ?, ?, ?, ?)",
            collection, facts.name, facts.description, _json(facts.metadata), facts.created,
        )  # fmt: skip

    def forget_collection(self, collection: str) -> None:
        """It is not there any more; the files themselves are kept."""
        with self.changing():
            for table in ("attachments", "batches", "stores"):
                self._rows(f"DELETE FROM {table} WHERE collection = ?", collection)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def forget_lost(path: Path, contents: Sequence[str]) -> None:
    """Forget, in a copy of the database, the files whose content is not among ``contents``."""
    lost = "SELECT id FROM files WHERE content NOT IN (SELECT value FROM json_each(?))"
    with storage_errors(path), closing(open_with_checksums(path)) as copy:
        kept = (json.dumps(list(contents)),)
        copy.execute(f"DELETE FROM attachments WHERE file IN ({lost})", kept)
        copy.execute(f"DELETE FROM files WHERE id IN ({lost})", kept)


def _attachment(row: Sequence[Any]) -> Attachment:
    facts = list(row)
    facts[8] = json.loads(facts[8])
    return Attachment(*facts)
