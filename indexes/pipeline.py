"""A file becomes searchable: load → split → embed → store."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, Self

from indexes.database import Database
from indexes.embedding import Embedder
from indexes.errors import LoadError
from indexes.i18n import t
from indexes.language import detect_language
from indexes.splitter import split
from indexes.types import Chunk, Document, Extracted

_BATCH_CHUNKS = 256
_UNPAIRED = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an indexing run is: ``items`` of ``total`` are done and ``chunks`` are embedded;
    ``source`` is the item at hand."""

    items: int
    total: int
    chunks: int
    source: str


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one state of a source from another; ``size`` in bytes."""

    size: int
    modified_ns: int
    sha256: str


class Item(Protocol):
    """Something to index."""

    @property
    def source(self) -> str:
        """The name under which it is stored."""
        ...

    def changed(self, known: Version | None) -> Version | None:
        """Its present version, or nothing where that is ``known``. Raises `LoadError`."""
        ...

    def load(self) -> Extracted:
        """Its text. Raises `LoadError`."""
        ...


@dataclass(frozen=True, slots=True)
class FileItem:
    """A file; the same size and time of modification count as unchanged, else its hash decides."""

    path: Path
    loader: Callable[[Path], Extracted]

    @property
    def source(self) -> str:
        return str(self.path)

    def changed(self, known: Version | None) -> Version | None:
        try:
            stat = self.path.stat()
            if known and (known.size, known.modified_ns) == (stat.st_size, stat.st_mtime_ns):
                return None
            with self.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise LoadError(
                t("The file cannot be read: {reason}.", reason=error.strerror or error)
            ) from error
        return Version(stat.st_size, stat.st_mtime_ns, digest)

    def load(self) -> Extracted:
        return self.loader(self.path)


@dataclass(frozen=True, slots=True)
class TextItem:
    """A text in memory."""

    source: str
    text: str
    metadata: Mapping[str, Any]

    @classmethod
    def make(cls, text: str, metadata: Mapping[str, Any], source: str = "") -> Self:
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        kept = {k: v for k, v in metadata.items() if isinstance(v, str | int | float | bool)}
        return cls(source or f"text:{digest[:16]}", text, kept)

    def changed(self, known: Version | None) -> Version | None:
        data = self.text.encode("utf-8", "replace")
        now = Version(len(data), 0, hashlib.sha256(data).hexdigest())
        return None if now == known else now

    def load(self) -> Extracted:
        title = str(self.metadata.get("title", ""))
        return Extracted(self.text, "text", "text", title=title, metadata=self.metadata)


@dataclass(slots=True)
class Outcome:
    """What a run did; ``failed`` holds (source, reason)."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    chunks: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Prepared:
    document: Document
    chunks: Sequence[Chunk]


def index_items(
    items: Sequence[Item], database: Database, embedder: Embedder, report: Report | None = None
) -> Outcome:
    """Store every item that is new or changed. One that cannot be read is reported, and what the
    collection holds of it from an earlier run stays. Each batch is one transaction: what is
    committed is searchable and survives a kill."""
    outcome = Outcome()
    batch: list[_Prepared] = []
    for done, item in enumerate(items, 1):
        try:
            if version := _changed(item, database):
                batch.append(_prepare(item, version, embedder))
            else:
                outcome.unchanged += 1
        except LoadError as error:
            outcome.failed.append((item.source, str(error)))
        if done == len(items) or sum(len(p.chunks) for p in batch) >= _BATCH_CHUNKS:
            tell = _teller(report, done, len(items), outcome.chunks, item.source)
            _store(batch, database, embedder, outcome, tell)
            batch = []
        _teller(report, done, len(items), outcome.chunks, item.source)(0)
    return outcome


def _changed(item: Item, database: Database) -> Version | None:
    if _UNPAIRED.search(item.source):  # how Python holds the bytes of a name that is no UTF-8
        raise LoadError(t("The file's name is not valid UTF-8. Rename it."))
    known = database.version(item.source)
    version = item.changed(known and Version(*known))
    if version and known and version.sha256 == known[2]:
        database.touch(item.source, version.modified_ns)
        return None
    return version


def _prepare(item: Item, version: Version, embedder: Embedder) -> _Prepared:
    extracted = item.load()
    counter = getattr(embedder, "tokenizer", embedder.count_tokens)
    chunks = split(extracted, counter, embedder.max_tokens)
    if not chunks:
        raise LoadError(t("The file holds no text."))
    document = Document(
        source=item.source,
        title=extracted.title or Path(item.source).stem,
        format=extracted.format,
        lang=detect_language(extracted.text),
        size=version.size,
        modified_ns=version.modified_ns,
        sha256=version.sha256,
        added=datetime.now(UTC).isoformat(timespec="seconds"),
        metadata=extracted.metadata,
        text=extracted.text,
        page_starts=extracted.page_starts,
    )
    return _Prepared(document, chunks)


def _store(
    batch: Sequence[_Prepared],
    database: Database,
    embedder: Embedder,
    outcome: Outcome,
    tell: Callable[[int], None],
) -> None:
    if not batch:
        return
    texts = [chunk.text for prepared in batch for chunk in prepared.chunks]
    vectors = embedder.encode(texts, progress=tell)
    at = updated = 0
    with database.transaction():
        for prepared in batch:
            end = at + len(prepared.chunks)
            updated += database.insert(prepared.document, prepared.chunks, vectors[at:end])
            at = end
        database.next_generation()
    outcome.updated += updated
    outcome.added += len(batch) - updated
    outcome.chunks += len(texts)


def _teller(
    report: Report | None, done: int, total: int, chunks: int, source: str
) -> Callable[[int], None]:
    def tell(embedded: int) -> None:
        if report:
            report(Progress(done, total, chunks + embedded, source))

    return tell
