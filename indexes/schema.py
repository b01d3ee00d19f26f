"""The tables of a collection's database, and how a connection to it is opened.

Every page carries a checksum that SQLite's own checksum VFS (sqlite.org/cksumvfs.html) writes and
compares at each read, so that a damaged page is an error and never an answer.
"""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import apsw
import apsw.sqlite_extra

from indexes.errors import CollectionError
from indexes.i18n import t
from indexes.shown import shown

FORMAT = 2
"""1: one table of chunks with their vectors, no checksums of pages. 2: this."""
RESERVED = 8
"""Bytes at the end of each page for its checksum."""
BUSY_MS = 10_000
"""How long a connection waits for another."""
PASSAGES = ("chunks", "vectors", "spans")
"""The tables that are made anew, under names that begin with ``next_``, when every document is
embedded again, and then take the place of the old ones."""

_DOCUMENTS = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE counts (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    documents INTEGER NOT NULL, chunks INTEGER NOT NULL, characters INTEGER NOT NULL
) STRICT;
INSERT INTO counts VALUES (1, 0, 0, 0);
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
    kind TEXT NOT NULL,
    language TEXT NOT NULL
) STRICT;
CREATE TABLE texts (
    document INTEGER PRIMARY KEY REFERENCES documents (id) ON DELETE CASCADE,
    text TEXT NOT NULL
) STRICT;
CREATE TABLE removed_vectors (chunk INTEGER PRIMARY KEY, generation INTEGER NOT NULL) STRICT;
CREATE TABLE removed_postings (chunk INTEGER PRIMARY KEY) STRICT;
CREATE TABLE vector_file (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    name TEXT NOT NULL, sha256 TEXT NOT NULL, last_chunk INTEGER NOT NULL
) STRICT;
"""
_PASSAGES = """
CREATE TABLE {prefix}chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    page INTEGER,
    heading TEXT NOT NULL
) STRICT;
CREATE TABLE {prefix}vectors (chunk INTEGER PRIMARY KEY, vector BLOB NOT NULL) STRICT;
CREATE TABLE {prefix}spans (
    document INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    seal BLOB NOT NULL
) STRICT;
"""
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "secure_delete=FAST",
    "cache_size=-16000",
)


@cache
def _load_checksum_vfs() -> None:
    """From now on it is the default for every connection of this process."""
    try:
        apsw.sqlite_extra.load(apsw.Connection(":memory:"), "cksumvfs")
    except (apsw.sqlite_extra.NotAvailable, apsw.ExtensionLoadingError) as error:
        raise CollectionError(
            t(
                "SQLite's checksum extension cannot be loaded: {reason}. "
                "Run: pip install --force-reinstall apsw",
                reason=error,
            )
        ) from error


def open_with_checksums(path: Path) -> apsw.Connection:
    """A connection that waits for others and has no other setting. A collection's database must
    never be opened in another way: what SQLite's plain VFS moves from the log of a killed process
    into the database has no checksums, and would be taken for damage."""
    _load_checksum_vfs()
    connection = apsw.Connection(str(path))
    # Even a reader must wait: whoever closes the last connection locks the whole database while
    # the log is emptied.
    connection.set_busy_timeout(BUSY_MS)
    return connection


def connect(path: Path) -> apsw.Connection:
    """A connection to ``path``; in a file that is new, each page will have a checksum."""
    connection = open_with_checksums(path)
    if not connection.pragma("page_count"):
        reserve = ctypes.c_int(RESERVED)
        connection.file_control("main", apsw.SQLITE_FCNTL_RESERVE_BYTES, ctypes.addressof(reserve))
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    connection.create_scalar_function("shown", _shown, 1, deterministic=True)
    return connection


def _shown(*values: object) -> str:
    return shown(str(values[0]))


def create_tables(connection: apsw.Connection) -> None:
    """Make the tables of an empty database; the caller has begun a transaction."""
    connection.execute(_DOCUMENTS)
    create_passages(connection)
    connection.pragma("user_version", FORMAT)


def create_passages(connection: apsw.Connection, prefix: str = "") -> None:
    """Make the tables for chunks, vectors and the span of chunks of each document."""
    connection.execute(_PASSAGES.format(prefix=prefix))


def drop_passages(connection: apsw.Connection, prefix: str) -> None:
    """Drop them."""
    for table in PASSAGES:
        connection.execute(f"DROP TABLE IF EXISTS {prefix}{table}")


def replace_passages(connection: Any, prefix: str) -> None:
    """Put the tables with ``prefix`` in the place of the live ones."""
    drop_passages(connection, "")
    for table in PASSAGES:
        connection.execute(f"ALTER TABLE {prefix}{table} RENAME TO {table}")
