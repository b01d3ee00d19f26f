"""A file becomes searchable: load → split → embed → store."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from indexes.ahead import ahead
from indexes.embedding import Embedder
from indexes.errors import LoadError
from indexes.failpoints import reach
from indexes.i18n import t
from indexes.items import Item, Version
from indexes.language import detect_language
from indexes.session import Prepared, Session
from indexes.splitter import split
from indexes.types import Chunk, Document, Extracted

_BATCH_CHUNKS = 512
_LOOKED_UP = 512
_UNPAIRED = re.compile("[\ud800-\udfff]")

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an indexing run is: ``items`` of ``total`` are done and ``chunks`` are embedded;
    ``source`` is the item at hand."""

    items: int
    total: int
    chunks: int
    source: str


Report = Callable[[Progress], None]


@dataclass(slots=True)
class Outcome:
    """What a run did; ``failed`` holds (source, reason)."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    chunks: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def items(self) -> int:
        """How many items are done."""
        return self.added + self.updated + self.unchanged + len(self.failed)


@dataclass(frozen=True, slots=True)
class _Changed:
    """An item that must be read."""

    item: Item
    known: Version | None


@dataclass(frozen=True, slots=True)
class _Touched:
    """A file with a new time of modification and the old content."""

    source: str
    modified_ns: int


@dataclass(frozen=True, slots=True)
class _Failed:
    source: str
    reason: str


Loaded = Prepared | _Touched | _Failed


def index_items(
    items: Sequence[Item],
    session: Session,
    embedder: Embedder,
    report: Report | None = None,
    *,
    workers: int = 1,
    target_tokens: int | None = None,
) -> Outcome:
    """Store every item that is new or changed. One that cannot be read is reported, and what the
    collection holds of it from an earlier run stays. Each batch is one transaction: what is
    committed is searchable and survives a kill. ``workers`` threads load and split what comes
    next while this one embeds and stores."""
    outcome = Outcome()
    progress = _Progress(report, len(items))

    def load(changed: _Changed) -> Loaded:
        return _load(changed, embedder, target_tokens)

    with closing(ahead(load, _changed(items, session, outcome, progress), workers)) as loaded:
        for batch in batches(loaded, _size):
            prepared = _sorted_out(batch, session, outcome)
            texts = [chunk.text for document in prepared for chunk in document.chunks]
            reach("pipeline.loaded")
            vectors = embedder.encode(texts, progress=progress.begin(batch, len(texts)))
            reach("pipeline.embedded")
            updated = session.store(prepared, vectors) if prepared else 0
            outcome.updated += updated
            outcome.added += len(prepared) - updated
            outcome.chunks += len(texts)
            progress.stored(outcome)
    return outcome


def _changed(
    items: Sequence[Item], session: Session, outcome: Outcome, progress: "_Progress"
) -> Iterator[_Changed]:
    """The items whose size or time is not that which is stored."""
    for first in range(0, len(items), _LOOKED_UP):
        window = items[first : first + _LOOKED_UP]
        known = session.database.versions([i.source for i in window if _well_named(i.source)])
        for item in window:
            version = known.get(item.source)
            if version and item.unchanged(Version(*version)):
                outcome.unchanged += 1
                progress.skipped(outcome)
            else:
                yield _Changed(item, Version(*version) if version else None)


def _well_named(source: str) -> bool:
    """Python holds the bytes of a name that is no UTF-8 as unpaired surrogates."""
    return _UNPAIRED.search(source) is None


def _load(changed: _Changed, embedder: Embedder, target_tokens: int | None) -> Loaded:
    item, known = changed.item, changed.known
    try:
        if not _well_named(item.source):
            raise LoadError(t("The file's name is not valid UTF-8. Rename it."))
        version = item.version()
        if known and version.sha256 == known.sha256:
            return _Touched(item.source, version.modified_ns)
        return _prepare(item, version, embedder, target_tokens)
    except LoadError as error:
        return _Failed(item.source, str(error))


def _prepare(
    item: Item, version: Version, embedder: Embedder, target_tokens: int | None
) -> Prepared:
    extracted = item.load()
    chunks = passages(extracted, embedder, target_tokens)
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
        kind=extracted.kind,
        language=extracted.language,
    )
    return Prepared(document, chunks)


def passages(
    extracted: Extracted, embedder: Embedder, target_tokens: int | None = None
) -> list[Chunk]:
    """Split a text into passages that the embedding model can read whole."""
    counter = getattr(embedder, "tokenizer", embedder.count_tokens)
    return split(extracted, counter, embedder.max_tokens, target_tokens)


def batches(items: Iterable[ItemT], chunks: Callable[[ItemT], int]) -> Iterator[list[ItemT]]:
    """``items`` in batches of about as many chunks as are embedded at once; ``chunks`` tells how
    many an item has."""
    batch: list[ItemT] = []
    total = 0
    for item in items:
        batch.append(item)
        total += chunks(item)
        if total >= _BATCH_CHUNKS or len(batch) >= _LOOKED_UP:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def _size(loaded: Loaded) -> int:
    return len(loaded.chunks) if isinstance(loaded, Prepared) else 0


def _sorted_out(batch: Sequence[Loaded], session: Session, outcome: Outcome) -> list[Prepared]:
    """What of a batch is to be stored; the rest is recorded here."""
    touched = {one.source: one.modified_ns for one in batch if isinstance(one, _Touched)}
    session.touch(touched)
    outcome.unchanged += len(touched)
    outcome.failed += [(one.source, one.reason) for one in batch if isinstance(one, _Failed)]
    return [one for one in batch if isinstance(one, Prepared)]


class _Progress:
    """Tells a `Report` how far the run is."""

    def __init__(self, report: Report | None, total: int) -> None:
        self._report = report or (lambda _: None)
        self._total = total
        self._items = self._chunks = 0
        self._source = ""

    def skipped(self, outcome: Outcome) -> None:
        """One more item is unchanged."""
        self._items = outcome.items
        if self._items % _LOOKED_UP == 0 or self._items == self._total:
            self._tell(0, 0)

    def begin(self, batch: Sequence[Loaded], chunks: int) -> Callable[[int], None]:
        """A batch is about to be embedded; what is returned is told how many of its ``chunks``
        are done; a batch of nothing but failures has none."""
        last = batch[-1]
        self._source = last.document.source if isinstance(last, Prepared) else last.source
        return lambda done: self._tell(len(batch) * done // max(1, chunks), done)

    def stored(self, outcome: Outcome) -> None:
        """The batch is in the collection."""
        self._items, self._chunks = outcome.items, outcome.chunks
        self._tell(0, 0)

    def _tell(self, items: int, chunks: int) -> None:
        self._report(
            Progress(self._items + items, self._total, self._chunks + chunks, self._source)
        )
