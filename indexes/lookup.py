"""Which documents a name stands for, and what a collection consists of."""

import os
from pathlib import Path

from indexes.database import Database
from indexes.derived import dimension
from indexes.errors import UnknownSourceError
from indexes.home import disk_usage
from indexes.i18n import t
from indexes.schema import FORMAT
from indexes.sources import absolute
from indexes.types import Document, Status


def resolve(database: Database, source: str | os.PathLike[str], collection: str) -> list[str]:
    """The sources that a name stands for: itself, a path, a folder, the end of a path. Raises
    `UnknownSourceError`, which names the ``collection``."""
    name = os.fspath(source)
    if found := database.named(name, str(absolute(name))):
        return found
    raise UnknownSourceError(
        t(
            "The collection «{name}» holds no document «{source}». «waggle list» shows what it "
            "holds.",
            name=collection,
            source=source,
        )
    )


def document_named(database: Database, source: str | os.PathLike[str], collection: str) -> Document:
    """The one document that a name stands for, with its text. Raises `UnknownSourceError`."""
    names = resolve(database, source, collection)
    found = database.document(names[0]) if len(names) == 1 else None
    if found is None:
        raise UnknownSourceError(
            t(
                "«{source}» stands for {count} documents. Name one, for example {name}.",
                source=source,
                count=len(names),
                name=names[0],
            )
        )
    return found


def status(database: Database, folder: Path, embedder: str) -> Status:
    """Counts, sizes, model and versions of the collection in ``folder``; ``embedder`` is the name
    of the model where none is recorded yet."""
    from importlib.metadata import version

    documents, chunks, characters = database.counts()
    return Status(
        folder.name, str(folder), database.generation,
        documents, chunks, characters, disk_usage(folder),
        database.tally("format"), database.tally("lang"),
        database.get("embedder", embedder),
        dimension(database), FORMAT, version("waggledance"),
    )  # fmt: skip
