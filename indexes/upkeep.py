"""Checking and mending a collection that may be too damaged to be opened."""

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

from indexes.collection import Collection, Notice
from indexes.findings import VerifyReport, Watch
from indexes.home import collection_folder
from indexes.made_with import making_of
from indexes.repair import repair
from indexes.settings import IndexSettings, load_settings
from indexes.verify import verify


def check(
    name: str | None = None,
    *,
    home: str | os.PathLike[str] | None = None,
    embedder: Any | None = None,
    mend: bool = False,
    watch: Watch | None = None,
    notice: Notice | None = None,
) -> VerifyReport:
    """Compare source, document, chunk, vector and posting of the collection ``name`` with their
    checksums and with each other; with ``mend``, put right what can be: from the database, else
    from the sources. The other arguments are those of `Collection.open`.

    Raises `UnknownCollectionError` where there is none, `LockedError` while others write (with
    ``mend``: or read).
    """
    named = embedder if isinstance(embedder, str) else None
    settings = load_settings(IndexSettings, "index", home=home, collection=name, embedder=named)
    folder = collection_folder(settings.home, settings.collection, create=False)
    if not mend:
        return verify(folder, folder.name, watch)
    reopen = partial(Collection.open, folder.name, home=settings.home, embedder=embedder)

    def reindex(files: Sequence[str]) -> None:
        with reopen(notice=notice) as collection:
            collection.add(files)

    making = making_of(settings, None if named else embedder, notice)
    return repair(folder, folder.name, watch, reindex, making)
