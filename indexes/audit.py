"""The rows of a collection's database, compared with their checksums and with each other."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from indexes.database import Database
from indexes.derived import dimension
from indexes.errors import DamagedError
from indexes.findings import Problem, Tally, Watch
from indexes.i18n import t
from indexes.records import FACTS, seal, to_document
from indexes.types import Chunk, Document

LOST = "lost"
"""Under this key stand the sources of documents that a repair could not save, until their files
are read anew."""
_MOST = 20
"""So many problems of one kind are told one by one."""
_EVERY = 200


@dataclass(frozen=True, slots=True)
class Sealed:
    """A document as it is stored, with the numbers of its chunks, and their vectors (chunks,
    dimension) in float16."""

    document: Document
    chunks: tuple[Chunk, ...]
    numbers: range
    vectors: NDArray[np.float16]


def read_sealed(database: Database, row: int, width: int) -> Sealed | None:
    """The document with this row number, or nothing where there is none; its vectors have
    ``width`` numbers. Raises `DamagedError` where it is not what was stored, and apsw's errors
    where it cannot be read."""
    found = _rows(
        database,
        f"SELECT first, last, seal, {FACTS}, text FROM documents"
        " LEFT JOIN texts ON texts.document = id LEFT JOIN spans ON spans.document = id"
        " WHERE id = ?",
        row,
    )
    if not found:
        return None
    first, last, sealed, *facts = found[0]
    if first is None or facts[-1] is None:
        raise DamagedError(t("Its text or its passages are missing."))
    try:
        document = to_document(facts)
    except (ValueError, TypeError) as error:
        raise DamagedError(t("Its description cannot be read: {reason}.", reason=error)) from error
    numbers = range(first, last + 1)
    chunks = _chunks(database, row, document, numbers)
    vectors = _vectors(database, numbers, width)
    if seal(document.text, chunks, vectors) != sealed:
        raise DamagedError(t("Its text, passages or vectors are not those that were stored."))
    return Sealed(document, chunks, numbers, vectors)


def _chunks(database: Database, row: int, document: Document, numbers: range) -> tuple[Chunk, ...]:
    rows = _rows(
        database,
        'SELECT id, document, start, "end", page, heading FROM chunks'
        " WHERE id BETWEEN ? AND ? ORDER BY id",
        numbers.start,
        numbers.stop - 1,
    )
    if [number for number, *_ in rows] != list(numbers):
        raise DamagedError(t("Some of its passages are missing."))
    chunks = []
    for _, owner, start, end, page, heading in rows:
        if owner != row or not 0 <= start < end <= len(document.text):
            raise DamagedError(t("A passage lies outside its text."))
        chunks.append(Chunk(document.text[start:end], start, end, page, tuple(json.loads(heading))))
    return tuple(chunks)


def _vectors(database: Database, numbers: range, width: int) -> NDArray[np.float16]:
    rows = _rows(
        database,
        "SELECT chunk, vector FROM vectors WHERE chunk BETWEEN ? AND ? ORDER BY chunk",
        numbers.start,
        numbers.stop - 1,
    )
    if [number for number, _ in rows] != list(numbers):
        raise DamagedError(t("Some of its vectors are missing."))
    if any(len(vector) != 2 * width for _, vector in rows):
        raise DamagedError(t("A vector has the wrong length."))
    data = np.frombuffer(b"".join(vector for _, vector in rows), np.float16)
    return data.reshape(len(rows), width)


def _rows(database: Database, sql: str, *values: object) -> list[Any]:
    return list(database.connection.execute(sql, values))


def audit_structure(database: Database) -> Iterator[Problem]:
    """What SQLite itself finds."""
    name = database.path.name
    try:
        for (text,) in database.connection.execute(f"PRAGMA integrity_check({_MOST})"):
            if text != "ok":
                yield Problem("structure", name, t("SQLite finds: {text}", text=text))
        for table, row, *_ in database.connection.execute("PRAGMA foreign_key_check"):
            yield Problem("structure", f"{table} {row}", t("A row belongs to nothing."))
    except apsw.Error as error:
        yield unreadable(database, error)


def unreadable(database: Database, error: Exception) -> Problem:
    """A part of the database that could not be read."""
    return Problem("page", database.path.name, t("A part cannot be read: {reason}.", reason=error))


def audit_documents(database: Database, tally: Tally, watch: Watch) -> Iterator[Problem]:
    """Every document with its chunks and vectors, by its seal."""
    total, row, told, width = database.counts()[0], 0, 0, dimension(database)
    sql = "SELECT id, source FROM documents WHERE id > ? ORDER BY id LIMIT 500"
    while rows := _rows(database, sql, row):
        for row, source in rows:
            try:
                found = read_sealed(database, row, width)
                tally.documents += 1
                tally.chunks += len(found.chunks) if found else 0
                tally.vectors += len(found.vectors) if found else 0
            except (DamagedError, apsw.Error, ValueError) as error:
                told += 1
                if told <= _MOST:
                    detail = t("The document is damaged. {reason}", reason=error)
                    yield Problem("document", source, detail)
            if tally.documents % _EVERY == 0:
                watch(t("documents"), tally.documents, total)
    if told > _MOST:
        yield Problem("document", "", t("{count} more documents are damaged.", count=told - _MOST))


def audit_numbers(database: Database) -> Iterator[Problem]:
    """Whether tables that tell the same tell the same."""

    def number(sql: str) -> int:
        return int(database.connection.execute(sql).fetchall()[0][0] or 0)

    documents = number("SELECT count(*) FROM documents")
    chunks = number("SELECT count(*) FROM chunks")
    counted = (documents, chunks, number("SELECT sum(length(text)) FROM texts"))
    if database.connection.execute("SELECT count(*) FROM counts").fetchall() != [(1,)]:
        yield Problem("counts", "counts", t("The recorded counts are missing."))
    elif database.counts() != counted:
        detail = t(
            "The recorded counts are {stored}, and there are {counted}.",
            stored=database.counts(),
            counted=counted,
        )
        yield Problem("counts", "counts", detail)
    for kind, same, detail in (
        ("document", number("SELECT count(*) FROM texts") == documents,
         t("There are texts without a document, or documents without a text.")),
        ("document", number("SELECT count(*) FROM spans") == documents,
         t("There are passages without a document, or documents without passages.")),
        ("chunk", number("SELECT sum(last - first + 1) FROM spans") == chunks,
         t("There are passages that belong to no document.")),
        ("vector", number("SELECT count(*) FROM vectors") == chunks,
         t("There are vectors without a passage, or passages without a vector.")),
        ("chunk", _disjoint(database), t("Two documents claim the same passage.")),
        ("chunk", not number("SELECT count(*) FROM removed_vectors JOIN chunks ON id = chunk")
         and not number("SELECT count(*) FROM removed_postings JOIN chunks ON id = chunk"),
         t("A passage that is there is recorded as removed.")),
        ("chunk", _numbered(number),
         t("A number is in use that was never given out.")),
    ):  # fmt: skip
        if not same:
            yield Problem(kind, database.path.name, detail)


def audit_lost(database: Database) -> Iterator[Problem]:
    """What a repair that was stopped has still to read anew."""
    for source in lost_sources(database):
        detail = t("The document was damaged and its file has not been read anew yet.")
        yield Problem("lost", source, detail)


def lost_sources(database: Database) -> list[str]:
    """Sources of documents that a repair could not save."""
    return list(json.loads(database.get(LOST, "[]")))


def _disjoint(database: Database) -> bool:
    rows = database.connection.execute("SELECT first, last FROM spans ORDER BY first").fetchall()
    spans = np.asarray(rows, np.int64).reshape(-1, 2)
    return bool((spans[1:, 0] > spans[:-1, 1]).all())


def _numbered(number: Callable[[str], int]) -> bool:
    return all(
        number(f"SELECT max(id) FROM {table}")
        <= number(f"SELECT seq FROM sqlite_sequence WHERE name = '{table}' UNION ALL SELECT 0")
        for table in ("documents", "chunks")
    )
