"""What is done with uploads in the background: one worker indexes them and removes them again.

It alone changes collections for the sake of uploads, one step after the other, so that a removal
never overtakes the indexing of the same file. What waits is in the records: a service that was
killed goes on where it was.
"""

import logging
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from agents.doors.rights import LOCAL
from agents.doors.shelf import Shelf
from agents.doors.upload_contents import Contents
from agents.doors.upload_records import Records
from agents.doors.upload_types import Attachment, FailureCode
from indexes.collection import Collection
from indexes.errors import LockedError, UnknownCollectionError, WaggleError
from indexes.failpoints import reach
from indexes.i18n import t
from indexes.items import Version
from indexes.loaders import LoaderPool
from indexes.loaders.formats import supported
from indexes.pipeline import Progress
from indexes.types import Extracted

_MOST_FILES = 16
_MOST_BYTES = 8_000_000
"""What is indexed in one turn, so that other writers, and removals, need not wait for long."""
_MOST_REMOVED = 1000
_MOST_ATTEMPTS = 3
"""So often a file may be begun that the service never ends with, because it is killed."""
_IDLE_SECONDS = 2.0
"""How often the worker looks for what other processes have left to it."""
_HELD_SECONDS = 2.0
"""How long a collection is left alone that another process writes to."""

T = TypeVar("T")

_log = logging.getLogger("waggle.uploads")


class _Stopped(Exception):
    """The service ends; what was begun will be begun anew."""


@dataclass(frozen=True, slots=True)
class UploadItem:
    """An upload, as something to index: the file ``path`` under another name, with the attributes
    that were given to it."""

    attachment: Attachment
    path: Path
    loader: Callable[[Path], Extracted]

    @property
    def source(self) -> str:
        return self.attachment.source

    def unchanged(self, known: Version) -> bool:
        return known.sha256 == self.attachment.sha256

    def version(self) -> Version:
        one = self.attachment
        return Version(one.bytes, one.created * 1_000_000_000, one.sha256)

    def load(self) -> Extracted:
        extracted = self.loader(self.path)
        return replace(extracted, metadata={**extracted.metadata, **self.attachment.attributes})


class Worker:
    """Works in a thread of its own from `start` to `stop`, in one process at a time."""

    def __init__(self, folder: Path, records: Records, contents: Contents, shelf: Shelf) -> None:
        self._records, self._contents, self._shelf = records, contents, shelf
        self._lock = FileLock(folder / "worker.lock")
        self._wake, self._stop = threading.Event(), threading.Event()
        self._held: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name="uploads", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def works(self) -> bool:
        """Whether the thread lives."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop after the passage at hand, and wait for that."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    # -- the loop ----------------------------------------------------------------------------

    def _run(self) -> None:
        if not self._taken():
            return
        try:
            self._sweep()
            while not self._stop.is_set():
                self._wake.clear()
                if not self._step():
                    self._wake.wait(_IDLE_SECONDS)
        finally:
            self._lock.release()

    def _taken(self) -> bool:
        """Whether this process is the one that works, once no other is."""
        while not self._stop.is_set():
            try:
                self._lock.acquire(timeout=0)
                return True
            except Timeout:
                pass
            except OSError as error:
                _report(error)
            self._stop.wait(_IDLE_SECONDS)
        return False

    def _sweep(self) -> None:
        """Delete what a kill may have left; what cannot be deleted is left until the next start."""
        _attempt(self._shelf.sweep)
        _attempt(lambda: self._contents.sweep(time.time()))
        for name in _attempt(self._contents.names) or ():
            _attempt(partial(self._drop_alone, name))

    def _drop_alone(self, name: str) -> None:
        with self._records.changing():
            self._drop(name)

    def _step(self) -> bool:
        """Do the next thing; whether there was any."""
        now = time.monotonic()
        self._held = {name: until for name, until in self._held.items() if until > now}
        try:
            gone = self._records.waiting("removing", [*self._held], _MOST_REMOVED)
            new = [] if gone else self._records.waiting("in_progress", [*self._held], _MOST_FILES)
            if gone or new:
                self._work(gone, _up_to(_MOST_BYTES, new))
            self._forget()
            return bool(gone or new)
        except _Stopped:
            return False
        except Exception as error:  # noqa: BLE001 - the thread must outlive whatever it meets
            _report(error)
            self._stop.wait(_HELD_SECONDS)
            return True

    def _work(self, gone: Sequence[Attachment], new: Sequence[Attachment]) -> None:
        name = (gone or new)[0].collection
        try:
            collection = self._shelf.collection(LOCAL, name)
            if gone:
                self._remove(collection, gone)
            else:
                self._begin(collection, new)
        except LockedError:
            self._held[name] = time.monotonic() + _HELD_SECONDS
        except UnknownCollectionError:
            self._shelf.forget_missing(name)

    # -- removal -----------------------------------------------------------------------------

    def _remove(self, collection: Collection, batch: Sequence[Attachment]) -> None:
        sources = self._records.lone(batch)
        reach("upload.removing")
        with collection.writing() as session:
            session.delete(sources)
        reach("upload.removed")
        self._records.removed(batch)

    def _forget(self) -> None:
        """Delete the files that are in no collection any more, and were to be deleted."""
        if self._records.to_forget():
            with self._records.changing():
                for content in self._records.forget_files():
                    self._drop(content)

    def _drop(self, content: str) -> None:
        """Delete a content, unless a file has it (again). No file is added meanwhile."""
        if not self._records.holds(content):
            self._contents.delete(content)

    # -- indexing ----------------------------------------------------------------------------

    def _begin(self, collection: Collection, batch: Sequence[Attachment]) -> None:
        """Index a batch; where that fails as a whole, each file by itself."""
        self._records.attempted(batch)
        reach("upload.begun")
        try:
            self._index(collection, self._fresh(batch))
        except (_Stopped, LockedError, UnknownCollectionError):
            self._records.attempted(batch, -1)
            raise
        except Exception as error:  # noqa: BLE001 - one file must not keep others from the index
            if len(batch) == 1:
                self._give_up(batch[0], error)
                return
            self._records.attempted(batch, -1)
            for one in batch:
                self._begin(collection, [one])

    def _fresh(self, batch: Sequence[Attachment]) -> list[Attachment]:
        """What of a batch is to be indexed: not what the service has died of, nor what is in the
        collection under another id already; of several with one content only the first, as the
        others are its twins next time."""
        fresh: dict[str, Attachment] = {}
        for one in batch:
            if one.attempts >= _MOST_ATTEMPTS:
                reason = t("The service ended each time while it read the file.")
                self._fail(one, "server_error", reason)
            elif twin := self._records.twin(one):
                self._records.completed(one, twin.source)
            else:
                fresh.setdefault(repr((one.sha256, one.name, sorted(one.attributes.items()))), one)
        return list(fresh.values())

    def _index(self, collection: Collection, batch: Sequence[Attachment]) -> None:
        with LoaderPool() as loaders:
            items = [UploadItem(one, self._contents.folder / one.content, loaders.load)
                     for one in batch]  # fmt: skip
            report = collection.add_items(items, self._progress)
            reasons = dict(report.failed)
            if report.unchanged:
                self._describe(collection, [one for one in items if one.source not in reasons])
        reach("upload.indexed")
        for one in batch:
            if one.source in reasons:
                self._fail(one, _code(one.name), reasons[one.source])
            else:
                self._records.completed(one, one.source)
        reach("upload.recorded")

    def _describe(self, collection: Collection, items: Sequence[UploadItem]) -> None:
        """Give documents, some of which were there already, the attributes that they have now."""
        metadata = {item.source: item.load().metadata for item in items}
        with collection.writing() as session:
            session.describe(metadata)

    def _progress(self, _: Progress) -> None:
        if self._stop.is_set():
            raise _Stopped

    def _fail(self, one: Attachment, code: FailureCode, reason: str) -> None:
        _log.warning("upload failed", extra={"fields": {"file": one.file, "code": code}})
        self._records.failed(one, code, reason)

    def _give_up(self, one: Attachment, error: Exception) -> None:
        if isinstance(error, WaggleError):
            self._fail(one, "server_error", str(error))
            return
        _report(error)
        self._fail(
            one, "server_error", t("Waggle made a mistake. The log of the service says where.")
        )


def _up_to(most: int, batch: Sequence[Attachment]) -> list[Attachment]:
    """The first of a batch that have so many bytes together, or else the first."""
    totals = accumulate(one.bytes for one in batch)
    return [one for n, (one, total) in enumerate(zip(batch, totals, strict=True))
            if n == 0 or total <= most]  # fmt: skip


def _code(name: str) -> FailureCode:
    return "invalid_file" if supported(Path(name)) else "unsupported_file"


def _attempt(work: Callable[[], T]) -> T | None:
    """The result of ``work``; where it fails the log is told."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - the thread must outlive whatever it meets
        _report(error)
        return None


def _report(error: Exception) -> None:
    """Tell the log where a mistake was made, and not what was in its message."""
    places = [
        f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)
    ]
    _log.error("mistake", extra={"fields": {"kind": type(error).__name__, "at": places[-12:]}})
