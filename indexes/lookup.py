"""Which documents a name stands for, and what a collection consists of."""

import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from indexes.database import Database
from indexes.derived import dimension
from indexes.errors import UnknownSourceError
from indexes.home import disk_usage
from indexes.i18n import t
from indexes.schema import FORMAT
from indexes.shown import shown
from indexes.sources import absolute
from indexes.types import Document, Status


def resolve(
    database: Database, source: str | os.PathLike[str], collection: str, *, veiled: bool = False
) -> list[str]:
    """The sources that a name stands for: itself, a path, a folder, the end of a path; if
    ``veiled``, the name under which one is shown, or its end. Raises `UnknownSourceError`, which
    names the ``collection``."""
    name = os.fspath(source)
    found = database.shown_as(name) if veiled else database.named(name, str(absolute(name)))
    if found:
        return found
    raise UnknownSourceError(
        t(
            "The collection «{name}» holds no document «{source}». «waggle list» shows what it "
            "holds.",
            name=collection,
            source=source,
        )
    )


def resolve_all(
    database: Database, sources: Iterable[str | os.PathLike[str]], collection: str, *, veiled: bool
) -> list[str]:
    """What `resolve` finds for all of them, each once."""
    found = (resolve(database, one, collection, veiled=veiled) for one in sources)
    return list(dict.fromkeys(chain.from_iterable(found)))


def document_named(
    database: Database, source: str | os.PathLike[str], collection: str, *, veiled: bool = False
) -> Document:
    """The one document that a name stands for, with its text; ``veiled`` is that of `resolve`.
    Raises `UnknownSourceError`."""
    names = resolve(database, source, collection, veiled=veiled)
    found = database.document(names[0]) if len(names) == 1 else None
    if found is None:
        raise UnknownSourceError(
            t(
                "«{source}» stands for {count} documents. Name one, for example {name}.",
                source=source,
                count=len(names),
                name=shown(names[0]) if veiled else names[0],
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
