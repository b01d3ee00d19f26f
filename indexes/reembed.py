"""Every document cut and embedded again, from the stored text, while the old index answers.

The new passages grow in tables of their own (``next_…``), a batch in each transaction, so that a
run that was stopped goes on where it was. When all are there, new postings and a new FAISS file
are written, and one transaction puts everything in the place of the old.
"""

from collections.abc import Iterator, Sequence

from indexes.database import Database
from indexes.derived import Derived, name_postings
from indexes.embedding import Embedder
from indexes.failpoints import reach
from indexes.made_with import Making
from indexes.pipeline import Progress, Report, batches, passages
from indexes.schema import create_passages, drop_passages, replace_passages
from indexes.types import Chunk, Document, Extracted

PREFIX = "next_"

Redone = tuple[int, Document, list[Chunk]]


def reembed(
    database: Database, derived: Derived, making: Making, report: Report | None = None
) -> int:
    """Bring the collection to ``making``; returns the number of passages. The caller holds the
    collection's lock."""
    _begin(database, making)
    total = database.counts()[0]
    rows = _missing(database)
    done, chunks = total - len(rows), 0
    for batch in batches(_redone(database, making, rows), lambda one: len(one[2])):
        texts = [chunk.text for _, _, document_chunks in batch for chunk in document_chunks]
        chunks += len(texts)
        if report:
            report(Progress(done, total, chunks, batch[-1][1].source))
        _store(database, making.embedder, batch, texts)
        done += len(batch)
    _publish(database, derived, making)
    return database.counts()[1]


def _begin(database: Database, making: Making) -> None:
    """Go on with a run that had the same aim, else begin anew."""
    aim = f"{making.embedder.fingerprint} {making.splitting}"
    if database.get("next_aim") == aim:
        return
    with database.writing():
        drop_passages(database.connection, PREFIX)
        create_passages(database.connection, PREFIX)
        database.set("next_aim", aim)
    reach("reembed.begun")


def _redone(database: Database, making: Making, rows: Sequence[int]) -> Iterator[Redone]:
    """The documents of these rows, cut anew."""
    for row in rows:
        document = database.document_of(row)
        extracted = Extracted(
            document.text, document.kind, document.format, document.title, document.language,
            document.page_starts, document.metadata,
        )  # fmt: skip
        yield row, document, passages(extracted, making.embedder, making.chunk_tokens)


def _missing(database: Database) -> list[int]:
    """Row numbers of the documents that have no new passages yet."""
    sql = f"SELECT id FROM documents WHERE id NOT IN (SELECT document FROM {PREFIX}spans)"
    return [row for (row,) in database.connection.execute(f"{sql} ORDER BY id")]


def _forget_deleted(database: Database) -> None:
    """Drop the new passages of documents that were deleted or replaced meanwhile."""
    for first, last in database.connection.execute(
        f"SELECT first, last FROM {PREFIX}spans WHERE document NOT IN (SELECT id FROM documents)"
    ).fetchall():
        for table, key in (("chunks", "id"), ("vectors", "chunk"), ("spans", "first")):
            database.connection.execute(
                f"DELETE FROM {PREFIX}{table} WHERE {key} BETWEEN ? AND ?", (first, last)
            )


def _store(
    database: Database, embedder: Embedder, batch: Sequence[Redone], texts: Sequence[str]
) -> None:
    embedded = embedder.encode(texts)
    reach("reembed.embedded")
    at = 0
    with database.writing():
        for row, document, chunks in batch:
            rows = embedded[at : at + len(chunks)]
            database.insert_passages(row, document.text, chunks, rows, PREFIX)
            at += len(chunks)
        reach("reembed.storing")
    reach("reembed.stored")


def _publish(database: Database, derived: Derived, making: Making) -> None:
    with database.writing():
        _forget_deleted(database)
    postings = derived.write_postings(database.every_chunk(PREFIX))
    size = making.embedder.dimension
    with derived.other_vectors(database, size, PREFIX) as file, database.writing():
        reach("reembed.written")
        replace_passages(database.connection, PREFIX)
        making.record(database)
        database.recount_chunks()
        name_postings(database, postings)
        database.publish_vectors(file, database.generation)
        database.unset("next_aim")
        database.set("passages", str(int(database.get("passages", "0")) + 1))
        database.next_generation()
        reach("reembed.publishing")
    reach("reembed.published")
