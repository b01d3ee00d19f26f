"""A collection of documents: the door of this room. Adds, removes, lists, shows and searches."""

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from filelock import FileLock, Timeout

from indexes.clock import timed
from indexes.database import FORMAT, Database
from indexes.derived import Derived, knowledge_to_json
from indexes.embedding import Embedder, LangChainEmbedder, default_embedder
from indexes.errors import (
    EmbedderMismatchError,
    LockedError,
    SourceError,
    UnknownSourceError,
    UsageError,
)
from indexes.home import DATABASE, collection_folder, disk_usage
from indexes.i18n import t
from indexes.loaders import LoaderPool
from indexes.pipeline import FileItem, Item, Report, TextItem, index_items
from indexes.probes import measure_knowledge
from indexes.retrieval import Legs, Mode, retrieve, to_results
from indexes.settings import IndexSettings, load_settings
from indexes.sources import Globs, named, scan
from indexes.types import Document, IndexReport, RemoveReport, SearchResponse, Status
from indexes.where import parse_where

if TYPE_CHECKING:
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.vectorstores import VectorStore

_LOCK_SECONDS = 10.0


class Collection:
    """Documents that can be searched. Open one with `Collection.open`; close it, or use ``with``.

    Safe to use from several threads. Several processes may read while one writes.
    """

    def __init__(self, folder: Path, embedder: Embedder, *, workers: int = 1) -> None:
        self.name = folder.name
        self.home = folder.parent.parent
        self.embedder = embedder
        self._folder = folder
        self._workers = workers
        self._mutex = threading.RLock()
        self._lock = FileLock(folder / "write.lock")
        self._database = Database(folder / DATABASE)
        self._derived = Derived(self._database, folder)

    @classmethod
    def open(
        cls,
        name: str | None = None,
        *,
        home: str | os.PathLike[str] | None = None,
        embedder: Any | None = None,
        create: bool = True,
        notice: Any | None = None,
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
        if embedder is None or named is not None:
            embedder = default_embedder(
                settings.home / "models",
                settings.embedder,
                threads=settings.threads,
                progress=notice,
            )
        elif not hasattr(embedder, "encode"):
            embedder = LangChainEmbedder(embedder, name=type(embedder).__name__)
        return cls(folder, embedder, workers=settings.workers)

    def close(self) -> None:
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
    ) -> IndexReport:
        """Add and update files and folders; unchanged files are skipped. With ``prune``, documents
        under the given folders whose files have vanished are removed.

        Raises `SourceError` for a path that does not exist or where nothing can be read,
        `LockedError` while another process writes.
        """
        found = scan(paths, Globs(include, exclude), skip=self.home)
        if not found.files and not prune:
            raise SourceError(
                t(
                    "There is nothing to index in {paths}: no document of a known format.",
                    paths=", ".join(map(str, found.roots)),
                )
            )
        with LoaderPool(workers=self._workers) as loaders:
            items = [FileItem(path, loaders.load) for path in found.files]
            return self._add(items, progress, found.roots if prune else ())

    def add_texts(
        self,
        texts: Sequence[str],
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        sources: Sequence[str] | None = None,
    ) -> list[str]:
        """Add texts that are in memory, each as a document; returns their sources, which are
        derived from the text where none are given."""
        items = [
            TextItem.make(text, metadata, source)
            for text, metadata, source in zip(
                texts, metadatas or [{}] * len(texts), sources or [""] * len(texts), strict=True
            )
        ]
        failed = self._add(items, None, ()).failed
        if failed:
            raise SourceError(f"{failed[0][0]}: {failed[0][1]}")
        return [item.source for item in items]

    def _add(
        self, items: Sequence[Item], progress: Report | None, prune: Sequence[Path]
    ) -> IndexReport:
        started = time.monotonic()
        with self._writing():
            self._check_embedder()
            try:
                done = index_items(items, self._database, self.embedder, progress)
                gone = self._vanished(prune, {item.source for item in items})
                self._delete(gone)
            finally:
                self._derived.publish()
            return IndexReport(
                done.added, done.updated, done.unchanged, len(gone), tuple(done.failed),
                done.chunks, time.monotonic() - started, self._database.generation,
            )  # fmt: skip

    def remove(self, sources: Iterable[str | os.PathLike[str]]) -> RemoveReport:
        """Remove documents, or all documents under a folder. Raises `UnknownSourceError`, with
        nothing removed, if one of the names is not in the collection. The receipt counts what the
        database, the vectors and the postings no longer hold."""
        with self._writing():
            names = list(dict.fromkeys(n for s in sources for n in self._resolve(os.fspath(s))))
            chunks = self._delete(names)
            self._derived.publish()
            return RemoveReport(
                tuple(names),
                chunks=len(chunks) - len(self._database.chunks(chunks)),
                vectors=len(chunks) - self._derived.vectors().count(chunks),
                postings=len(chunks) - self._derived.postings().count(chunks),
                generation=self._database.generation,
            )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self._mutex, self._lock.acquire(timeout=_LOCK_SECONDS):
                yield
        except Timeout:
            raise LockedError(
                t(
                    "Another process is writing to the collection «{name}». Wait until it has "
                    "finished, or stop it.",
                    name=self.name,
                )
            ) from None

    def _check_embedder(self) -> None:
        """Vectors of different models must never meet in one index."""
        known, ours = self._database.get("embedder_fingerprint"), self.embedder.fingerprint
        if not known:
            measured = measure_knowledge(self.embedder)
            with self._database.transaction():
                self._database.set("embedder_fingerprint", ours)
                self._database.set("embedder", self.embedder.name)
                self._database.set("dimension", str(self.embedder.dimension))
                self._database.set("knowledge", knowledge_to_json(measured))
        elif known != ours:
            raise EmbedderMismatchError(
                t(
                    "The collection «{name}» was made with the embedding model «{known}», and "
                    "«{ours}» is set now. Set the embedder back, or index into another collection "
                    "with -c NAME.",
                    name=self.name,
                    known=self._database.get("embedder"),
                    ours=self.embedder.name,
                )
            )

    def _delete(self, sources: Sequence[str]) -> list[int]:
        if not sources:
            return []
        with self._database.transaction():
            chunks = [chunk for source in sources for chunk in self._database.delete(source)]
            self._database.next_generation()
        return chunks

    def _vanished(self, roots: Sequence[Path], present: set[str]) -> list[str]:
        return [
            source
            for source in (self._database.sources() if roots else ())
            if source not in present and any(Path(source).is_relative_to(root) for root in roots)
        ]

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
        condition = parse_where(where) if where else None
        timings: dict[str, float] = {}
        with self._mutex, ThreadPoolExecutor(1) as helper, timed(timings, "total"):
            k = max(1, min(k, self._database.last_chunk()))
            dense = mode != "lexical" and self._derived.dimension > 0
            if dense:
                self._check_embedder()
            vector = helper.submit(self._embed, query, timings) if dense else None
            self._catch_up()
            with self._database.transaction():
                allowed = (
                    self._database.matching(condition.sql, condition.values) if condition else None
                )
                legs = Legs(
                    self._derived.postings() if mode != "dense" else None,
                    self._derived.vectors() if vector else None,
                    vector.result if vector else None,
                    self._derived.knowledge(),
                )
                ranked = retrieve(query, k, legs, allowed, timings)
                results = to_results(ranked, self._database, k)
                generation = self._database.generation
        return SearchResponse(query, mode, self.name, generation, results, timings)

    def _embed(self, query: str, timings: dict[str, float]) -> list[float]:
        with timed(timings, "embed"):
            return self.embedder.embed_query(query)

    def _catch_up(self) -> None:
        """Whoever finds the postings behind mends them, unless a writer is at work, which will."""
        if self._derived.behind():
            try:
                with self._lock.acquire(timeout=0):
                    self._derived.publish()
            except (Timeout, OSError):
                return

    def documents(self) -> list[tuple[Document, int]]:
        """Every document without its text, and its number of chunks, ordered by source."""
        with self._mutex:
            return list(self._database.documents())

    def document(self, source: str | os.PathLike[str]) -> Document:
        """One document with its text. ``source`` may be a path as the user would type it here, or
        the end of one if that names a single document. Raises `UnknownSourceError`."""
        with self._mutex:
            names = self._resolve(os.fspath(source))
            found = self._database.document(names[0]) if len(names) == 1 else None
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

    def status(self) -> Status:
        """Counts, sizes, model and versions."""
        from importlib.metadata import version

        with self._mutex, self._database.transaction():
            listed = [document for document, _ in self._database.documents()]
            documents, chunks, characters = self._database.counts()
            return Status(
                self.name, str(self._folder), self._database.generation,
                documents, chunks, characters, disk_usage(self._folder),
                _tally(d.format for d in listed), _tally(d.lang for d in listed),
                self._database.get("embedder", self.embedder.name),
                self._derived.dimension, FORMAT, version("waggledance"),
            )  # fmt: skip

    def as_retriever(self, **options: Any) -> "BaseRetriever":
        """A LangChain retriever over this collection; ``options`` are those of `search`."""
        from indexes.langchain import CollectionRetriever

        return CollectionRetriever(collection=self, options=options)

    def as_vectorstore(self) -> "VectorStore":
        """A LangChain vector store over this collection."""
        from indexes.langchain import CollectionVectorStore

        return CollectionVectorStore(self)

    def _resolve(self, source: str) -> list[str]:
        """The sources that a name stands for: itself, a path, a folder, the end of a path."""
        if found := named(source, self._database.sources()):
            return found
        raise UnknownSourceError(
            t(
                "The collection «{name}» holds no document «{source}». «waggle list» shows what it "
                "holds.",
                name=self.name,
                source=source,
            )
        )


def _tally(values: Iterable[str]) -> dict[str, int]:
    tally: dict[str, int] = {}
    for value in values:
        tally[value] = tally.get(value, 0) + 1
    return dict(sorted(tally.items()))
