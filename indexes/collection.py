"""A collection of documents: the door of this room. Adds, removes, lists, shows and searches."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from indexes import counting, lookup
from indexes.awaiting import Awaiting
from indexes.clock import timed
from indexes.counting import Asked, Count, Match
from indexes.derived import Derived
from indexes.embedding import Embedder
from indexes.errors import SourceError, UsageError
from indexes.findings import VerifyReport, Watch
from indexes.home import DATABASE, collection_folder
from indexes.i18n import t
from indexes.items import FileItem, Item, TextItem
from indexes.loaders import LoaderPool
from indexes.made_with import Making, making_of
from indexes.mending import Mending
from indexes.migration import open_database
from indexes.pipeline import Report, index_items
from indexes.reembed import reembed
from indexes.retrieval import Mode, retrieve, to_results
from indexes.session import Session
from indexes.settings import IndexSettings, load_settings
from indexes.snapshot import Readers, View
from indexes.sources import Globs, scan
from indexes.turns import Turns
from indexes.types import (
    Document,
    IndexReport,
    RemovedDocument,
    RemoveReport,
    SearchResponse,
    Status,
)
from indexes.verify import verify
from indexes.where import parse_where

if TYPE_CHECKING:
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.vectorstores import VectorStore

_LOCK_SECONDS = 10.0
Notice = Callable[[str], None]


class Collection(Awaiting):
    """Documents that can be searched. Open one with `Collection.open`; close it, or use ``with``.

    Threads may share it, and processes read while one writes. `Awaiting` is for event loops.
    """

    _veiled = False  # as in `indexes.veiled`

    def __init__(
        self, folder: Path, making: Making, *, workers: int = 1, notice: Notice | None = None
    ) -> None:
        self.name = folder.name
        self.home = folder.parent.parent
        self._making = making
        self._folder = folder
        self._workers = workers
        self._notice = notice or (lambda _: None)
        self._database = open_database(folder)
        self._derived = Derived(folder)
        self._turns = Turns(folder, self._database, self._derived)
        self._readers = Readers(folder / DATABASE, self._derived)
        self._mending = Mending(self._readers, self._turns, self._derived, self._database)

    @property
    def embedder(self) -> Embedder:
        """The embedding model."""
        return self._making.embedder

    @classmethod
    def open(
        cls,
        name: str | None = None,
        *,
        home: str | os.PathLike[str] | None = None,
        embedder: Any | None = None,
        create: bool = True,
        notice: Notice | None = None,
    ) -> Self:
        """Open the collection ``name``, by default that of the settings.

        ``embedder`` is the name or folder of a sentence-transformers model, an `Embedder`, or any
        LangChain ``Embeddings``. ``notice`` is called with a sentence when something slow begins.
        Raises `UnknownCollectionError` where there is none and ``create`` is false, `UsageError`
        for a name that cannot be one.
        """
        named = embedder if isinstance(embedder, str) else None
        settings = load_settings(IndexSettings, "index", home=home, collection=name, embedder=named)
        folder = collection_folder(settings.home, settings.collection, create=create)
        making = making_of(settings, None if named else embedder, notice)
        return cls(folder, making, workers=settings.workers, notice=notice)

    def close(self) -> None:
        """Wait for the vector index if it is being built, and let everything go."""
        if self._derived.building():
            self._notice(t("Building the vector index…"))
        self._derived.wait()
        self._readers.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- change ------------------------------------------------------------------------------

    def add(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        prune: bool = False,
        progress: Report | None = None,
        others: Iterable[Item] = (),
    ) -> IndexReport:
        """Add and update files and folders, and the ``others``, which are asked for when the paths
        were found; unchanged ones are skipped. With ``prune``, documents under the given folders
        whose files have vanished are removed.

        Raises `SourceError` for a path that does not exist or where nothing can be read,
        `LockedError` while another process writes.
        """
        found = scan(paths, Globs(include, exclude), skip=self.home)
        if not (found.files or prune or (others and not found.roots)):
            raise SourceError(
                t("There is nothing to index in {paths}: no document of a known format.",
                  paths=", ".join(map(str, found.roots)))
            )  # fmt: skip
        roots = [str(root) for root in found.roots] if prune else []
        with LoaderPool(workers=self._workers) as loaders:
            items = [*(FileItem(path, loaders.load) for path in found.files), *others]
            return self.add_items(items, progress, roots, found.unread)

    def refresh(
        self, places: Sequence[str], files: Sequence[str], *, progress: Report | None = None
    ) -> IndexReport:
        """Make the documents at or below ``places`` exactly those of ``files``, all absolute
        paths; unchanged files are skipped."""
        with LoaderPool(workers=self._workers) as loaders:
            return self.add_items([FileItem(p, loaders.load) for p in files], progress, places)

    def add_texts(
        self,
        texts: Sequence[str],
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        sources: Sequence[str] | None = None,
    ) -> list[str]:
        """Add texts that are in memory, each as a document; returns their sources, which are
        derived from the text where none are given."""
        n = len(texts)
        given = zip(texts, metadatas or [{}] * n, sources or [""] * n, strict=True)
        items = [TextItem.make(*one) for one in given]
        if failed := self.add_items(items).failed:
            raise SourceError(f"{failed[0][0]}: {failed[0][1]}")
        return [item.source for item in items]

    def add_items(
        self,
        items: Sequence[Item],
        progress: Report | None = None,
        prune: Sequence[str] = (),
        unread: Sequence[str] = (),
    ) -> IndexReport:
        """Add and update ``items``; unchanged ones are skipped. Whatever else lies below ``prune``,
        and not ``unread``, is deleted."""
        started = time.monotonic()
        with self.writing() as session:
            self.begin()
            done = index_items(
                items, session, self.embedder, progress,
                workers=self._workers, target_tokens=self._making.chunk_tokens,
            )  # fmt: skip
            gone = self._others(prune, items, unread) if prune else []
            session.delete(gone)
        return IndexReport(
            done.added, done.updated, done.unchanged, len(gone), tuple(done.failed),
            done.chunks, time.monotonic() - started, self._database.generation,
        )  # fmt: skip

    def remove(
        self, sources: Iterable[str | os.PathLike[str]], *, patience: float | None = None
    ) -> RemoveReport:
        """Remove documents, or all documents under a folder. Raises `UnknownSourceError`, with
        nothing removed, if one of the names is not in the collection. The receipt names the
        passages that the database, the vectors and the postings no longer hold. ``patience`` is
        that of `writing`."""
        with self.writing(patience) as session:
            names = lookup.resolve_all(self._database, sources, self.name, veiled=self._veiled)
            passages = {name: self._database.passages(name) for name in names}
            numbers = [n for span in session.delete(names).values() for n in span.numbers()]
            session.finish()
            postings = self._derived.ready(self._database).reader()
            return RemoveReport(
                tuple(RemovedDocument(name, passages[name]) for name in names),
                chunks=len(numbers) - len(self._database.chunks(numbers)),
                vectors=len(numbers) - self._derived.reachable(self._database, numbers),
                postings=len(numbers) - len(postings.held(numbers)),
                generation=self._database.generation,
            )

    def reembed(self, progress: Report | None = None) -> IndexReport:
        """Cut and embed every document again, from its stored text, with the model and the
        ``chunk_tokens`` that are set now. The old index answers until the new one is complete; a
        run that was stopped goes on where it was."""
        started = time.monotonic()
        with self.writing():
            chunks = reembed(self._database, self._derived, self._making, progress)
        documents = self._database.counts()[0]
        return IndexReport(
            0, documents, 0, 0, (), chunks, time.monotonic() - started, self._database.generation
        )

    def writing(self, patience: float | None = None) -> AbstractContextManager[Session]:
        """A writer's turn, for those who bring vectors of their own (see `Session.store`); `add`
        and the others take it themselves. Raises `LockedError` while another process writes; with
        ``patience``, in seconds, also where another thread still writes then."""
        turns = self._turns
        return turns.take(_LOCK_SECONDS) if patience is None else turns.take_soon(patience)

    def begin(self) -> None:
        """Make sure, within a turn, that what is added is made as what is there. Raises
        `EmbedderMismatchError`."""
        if self._database.counts()[0] or self._database.vector_file():
            self._making.check(self._database, self.name)
        else:  # a killed writer may have recorded a model, and no document yet
            with self._database.writing():
                self._making.record(self._database)

    def _others(
        self, places: Sequence[str], items: Sequence[Item], unread: Sequence[str]
    ) -> list[str]:
        present = {item.source for item in items}
        unknown = tuple(f"{folder}/" for folder in unread)
        below = {source: None for place in places for source in self._database.below(place)}
        return [one for one in below if one not in present and not one.startswith(unknown)]

    # -- look --------------------------------------------------------------------------------

    def search(
        self, query: str, k: int = 10, *, where: str | None = None, mode: Mode = "hybrid"
    ) -> SearchResponse:
        """The ``k`` best passages for ``query``. ``where`` is a filter over the documents' metadata
        (see `indexes.where`), applied inside the search.

        Raises `UsageError` for an empty query, a ``k`` below 1 or a filter that cannot be read.
        """
        if not query.strip():
            raise UsageError(t("The question is empty."))
        if k < 1:
            raise UsageError(t("The number of results must be at least 1."))
        condition = parse_where(where, veiled=self._veiled) if where else None
        timings: dict[str, float] = {}
        lexical, dense = mode != "dense", mode != "lexical"
        with (
            ThreadPoolExecutor(1) as helper,
            timed(timings, "total"),
            self._mending.view(lexical=lexical, dense=dense, patience=_LOCK_SECONDS) as view,
        ):
            if view.dense:
                self._making.check_embedder(view.database, self.name)
            vector = helper.submit(self._embed, query, timings) if view.dense else None
            allowed = (
                view.database.matching(condition.sql, condition.values, by_chunk=condition.by_chunk)
                if condition
                else None
            )
            k = max(1, min(k, view.database.counts()[1]))
            ranked = retrieve(query, k, view, vector.result if vector else None, allowed, timings)
            found = to_results(ranked, view.database, k)
            generation = view.database.generation
        return SearchResponse(query, mode, self.name, generation, found, timings)

    def _embed(self, query: str, timings: dict[str, float]) -> list[float]:
        with timed(timings, "embed"):
            return self.embedder.embed_query(query)

    def count(self, where: str | None = None, mentions: str | None = None) -> Count:
        """How many documents pass the filter ``where`` and mention a phrase, and how many of their
        passages do; exactly. A mention is the phrase word for word but for case, width, spacing,
        punctuation and simplified or traditional characters: whole words, or anywhere in Chinese.

        Raises `UsageError` for a filter that cannot be read and a phrase without letters.
        """
        asked = Asked.of(where, mentions, veiled=self._veiled)
        with self._whole(mentions) as view:
            return counting.count(view, asked)

    def matching(self, where: str | None = None, mentions: str | None = None) -> tuple[Match, ...]:
        """The documents that `count` counts, ordered by source, each with its first mention."""
        asked = Asked.of(where, mentions, veiled=self._veiled)
        with self._whole(mentions) as view:
            return tuple(counting.matches(view, asked))

    def _whole(self, mentions: str | None) -> AbstractContextManager[View]:
        return self._mending.view(lexical=mentions is not None, dense=False, patience=_LOCK_SECONDS)

    def documents(self) -> list[tuple[Document, int]]:
        """Every document without its text, and its number of chunks, ordered by source."""
        with self._readers.view() as view:
            return list(view.database.documents())

    def held(self, sources: Sequence[str]) -> frozenset[str]:
        """Those of the ``sources`` that it holds."""
        with self._readers.view() as view:
            return frozenset(view.database.versions(sources))

    def document(self, source: str | os.PathLike[str]) -> Document:
        """One document with its text. ``source`` may be a path as the user would type it here, or
        the end of one if that names a single document. Raises `UnknownSourceError`."""
        with self._readers.view() as view:
            return lookup.document_named(view.database, source, self.name)

    def generation(self) -> int:
        """How often it was changed."""
        return self._readers.latest()

    def status(self) -> Status:
        """Counts, sizes, model and versions."""
        with self._readers.view() as view:
            return lookup.status(view.database, self._folder, self.embedder.name)

    def verify(self, watch: Watch | None = None) -> VerifyReport:
        """Check everything against its checksums (see `indexes.upkeep.check`, which also mends)."""
        self._derived.wait()
        return verify(self._folder, self.name, watch)

    def as_retriever(self, **options: Any) -> "BaseRetriever":
        """A LangChain retriever over this collection; ``options`` are those of `search`."""
        from indexes.langchain import CollectionRetriever

        return CollectionRetriever(collection=self, options=options)

    def as_vectorstore(self) -> "VectorStore":
        """A LangChain vector store over this collection."""
        from indexes.langchain import CollectionVectorStore

        return CollectionVectorStore(self)
