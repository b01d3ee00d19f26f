"""Collections that an older version of Waggle wrote, brought to the present format.

The new database is written beside the old one and takes its place by a rename, so that a kill
leaves either the one or the other. Postings and FAISS files are derived and are made anew.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from indexes.database import Database
from indexes.errors import LockedError
from indexes.failpoints import reach
from indexes.failures import storage_errors
from indexes.home import DATABASE, WRITE_LOCK, sync_folder
from indexes.i18n import t
from indexes.loaders.formats import LANGUAGES
from indexes.schema import connect, open_with_checksums
from indexes.types import Chunk, Document

_PLAIN_IN_1 = frozenset({"text", "txt", "pdf", "rtf", "msg", "eml", "json", "jsonl", "xml", "fb2"})
_BATCH = 200


def open_database(folder: Path) -> Database:
    """The database of the collection in ``folder``, brought to the present format first."""
    path = folder / DATABASE
    if path.is_file() and _format(path) == 1:
        try:
            with FileLock(folder / WRITE_LOCK).acquire(timeout=10):
                if _format(path) == 1:
                    _migrate(path)
        except Timeout:
            raise LockedError(
                t(
                    "The collection in {folder} must be brought to a new format, and another "
                    "process is using it. Stop it and try again.",
                    folder=folder,
                )
            ) from None
    return Database(path)


def _format(path: Path) -> int:
    with storage_errors(path):
        old = open_with_checksums(path)
        try:
            return int(old.pragma("user_version"))
        finally:
            old.close()


def _migrate(path: Path) -> None:
    fresh = path.with_suffix(".migrating")
    for remains in (fresh, Path(f"{fresh}-wal"), Path(f"{fresh}-shm")):
        remains.unlink(missing_ok=True)
    with storage_errors(path):
        old = connect(path)
        # The log of the old database must not be taken for one of the new.
        old.execute("PRAGMA journal_mode=DELETE")
        new = Database(fresh)
        _copy(old, new)
        reach("migrate.copied")
        new.checkpoint()
        new.close()
        old.close()
    sync_folder(path.parent)
    reach("migrate.renaming")
    fresh.replace(path)
    sync_folder(path.parent)
    reach("migrate.renamed")


def _copy(old: apsw.Connection, new: Database) -> None:
    meta: Iterator[Any] = old.execute("SELECT key, value FROM meta")
    facts: dict[str, str] = dict(meta)
    dimension = int(facts.get("dimension", "0"))
    found: list[Any] = old.execute("SELECT id FROM documents ORDER BY id").fetchall()
    rows: list[int] = [row for (row,) in found]
    for first in range(0, len(rows), _BATCH):
        with new.writing():
            for row in rows[first : first + _BATCH]:
                new.insert(*_stored_in_1(old, row, dimension))
        reach("migrate.copying")
    with new.writing():
        for key in ("embedder_fingerprint", "embedder", "dimension", "knowledge", "generation"):
            if key in facts:
                new.set(key, facts[key])
        if dimension:
            new.set("splitting", "1/model")


def _stored_in_1(
    old: apsw.Connection, row: int, dimension: int
) -> tuple[Document, list[Chunk], NDArray[np.float32]]:
    """One document of format 1, with its chunks and their vectors (chunks, dimension)."""
    document = _document(
        next(
            old.execute(
                "SELECT source, title, format, lang, size, modified_ns, sha256, added, metadata,"
                " page_starts, text FROM documents WHERE id = ?",
                (row,),
            )
        )
    )
    chunks, vectors = [], []
    for start, end, page, heading, vector in _chunks(old, row):
        text = document.text[start:end]
        chunks.append(Chunk(text, start, end, page, tuple(json.loads(heading))))
        vectors.append(np.frombuffer(vector, dtype=np.float16))
    matrix = np.asarray(vectors, dtype=np.float32).reshape(len(chunks), dimension)
    return document, chunks, matrix


def _chunks(old: apsw.Connection, row: int) -> Iterator[tuple[Any, ...]]:
    return old.execute(
        'SELECT start, "end", page, heading, vector FROM chunks WHERE document = ? ORDER BY id',
        (row,),
    )


def _document(row: tuple[Any, ...]) -> Document:
    """Format 1 did not store how a text is structured; its file format tells."""
    source, title, file_format, lang, size, modified_ns, sha256, added, metadata, pages, text = row
    language = LANGUAGES.get(file_format, "")
    markdown = file_format not in _PLAIN_IN_1
    return Document(
        source, title, file_format, lang, size, modified_ns, sha256, added, json.loads(metadata),
        text, tuple(json.loads(pages)),
        kind="code" if language else "markdown" if markdown else "text", language=language,
    )  # fmt: skip
