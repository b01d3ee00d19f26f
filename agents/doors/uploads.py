"""Uploaded files, and the collections that they are attached to.

A file belongs to the key that uploaded it; others see it through a collection. Whoever is told that
it is here finds it again after a kill and a power cut. What is attached is indexed in the
background (`agents.doors.upload_work`).
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from agents.doors.rights import LOCAL, Caller
from agents.doors.settings import ServeSettings
from agents.doors.shelf import Shelf
from agents.doors.upload_contents import Contents, Incoming
from agents.doors.upload_names import clean_name, new_id, source_of, suffix
from agents.doors.upload_records import Records
from agents.doors.upload_types import Attachment, Attributes, Batch, StoredFile, StoreFacts
from agents.doors.upload_work import Worker
from indexes.errors import ForbiddenError, LockedError, QuotaError, UnknownSourceError
from indexes.i18n import t

_PATIENCE = 60.0
"""Seconds that a removal waits for what is being indexed."""
_LOOK_SECONDS, _MOST_SECONDS = 0.02, 0.5
"""How often it looks: first, and after a while."""

Done = Callable[[], bool]
"""Tells whether what was begun has ended; may block."""


class Uploads:
    """The uploads of ``home``. Safe to use from several threads; its methods may block. The caller
    of each method but `keep` has been found to have the right that the change needs."""

    def __init__(self, home: Path, shelf: Shelf, settings: ServeSettings) -> None:
        self._shelf, self._settings = shelf, settings
        folder = home / "uploads"
        self._contents = Contents(folder)
        self._records = Records(folder)
        self._worker = Worker(folder, self._records, self._contents, shelf)
        self._counting, self._under_way = threading.Lock(), Counter[str]()
        shelf.forgetting(self._records.forget_collection)

    def start(self) -> None:
        """Begin to index what waits."""
        self._worker.start()

    def works(self) -> bool:
        """Whether what waits will be indexed."""
        return self._worker.works()

    def close(self) -> None:
        """Stop; what waits is kept."""
        self._worker.stop()
        self._records.close()

    def settle(self, seconds: float) -> bool:
        """Wait until nothing waits any more, at most so long; whether that is so."""
        end = time.monotonic() + seconds
        while self._records.busy():
            if time.monotonic() > end:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    # -- files -------------------------------------------------------------------------------

    def incoming(self, caller: Caller) -> Incoming:
        """An upload of the caller's that begins. Its size is limited by the settings. Raises
        `QuotaError`, also as it comes in, where the caller's files and what comes in of others
        take all of their room."""
        stored = self._records.bytes_of(caller.key)

        def count(more: int) -> None:
            with self._counting:
                total = self._under_way[caller.key] + more
                if more > 0:
                    self._check_room(caller, stored + total)
                self._under_way[caller.key] = total

        self._check_room(caller, stored + self._under_way[caller.key] + 1)
        return self._contents.incoming(self._settings.upload_bytes, count)

    def keep(self, caller: Caller, incoming: Incoming, name: str, purpose: str) -> StoredFile:
        """Keep what came in, as a file of the caller. When this returns it is on the disk. Raises
        `QuotaError` where the caller's files would take too much room."""
        caller.check("write")
        incoming.sync()
        named = clean_name(name)
        ending = suffix(named)
        content = f"{incoming.sha256}.{ending}" if ending else incoming.sha256
        file = StoredFile(
            new_id("file"), caller.key, named, purpose, incoming.size, incoming.sha256, content,
            int(time.time()),
        )  # fmt: skip
        with self._records.changing():
            self._check_room(caller, self._records.bytes_of(caller.key) + file.bytes)
            self._contents.place(incoming, content)
            self._records.add_file(file)
        return file

    def files(self, caller: Caller) -> list[StoredFile]:
        """The caller's own files, the first one first."""
        return self._records.files_of(caller.key)

    def file(self, caller: Caller, file_id: str) -> StoredFile:
        """A file of the caller's own, or in a collection that it sees. Raises
        `UnknownSourceError`, in the same words where there is none and where it is another's."""
        file = self._records.file(file_id)
        if file is None or not (file.owner == caller.key or self._is_seen(caller, file_id)):
            raise _unknown(file_id)
        return file

    def path(self, file: StoredFile) -> Path:
        """Where the bytes of a file are. Its name has the same suffix, and nothing else of it."""
        return self._contents.folder / file.content

    def delete(self, caller: Caller, file_id: str) -> Done:
        """Begin to delete a file of the caller's own, and its documents in every collection; see
        `removed`. Raises as `file` does, and `ForbiddenError` for another key's file."""
        if self.file(caller, file_id).owner != caller.key:
            raise ForbiddenError(t("Only the key that uploaded a file may delete it."))
        self._records.let_go(file_id)
        self._worker.wake()
        return lambda: not self._records.is_known(file_id)

    async def removed(self, done: Done) -> None:
        """Wait until all of it is gone, and hold no thread meanwhile. Raises `LockedError` where a
        collection is kept busy for too long: it is removed later."""
        end, pause = time.monotonic() + _PATIENCE, _LOOK_SECONDS
        while not await asyncio.to_thread(done):
            if time.monotonic() > end:
                raise LockedError(
                    t("The collection is busy. What is to be removed will be removed as soon as it "
                      "is free.")
                )  # fmt: skip
            await asyncio.sleep(pause)
            pause = min(2 * pause, _MOST_SECONDS)

    def _check_room(self, caller: Caller, total: int) -> None:
        most = self._settings.key_upload_bytes
        if most and caller != LOCAL and total > most:
            raise QuotaError(
                t("The uploads of a key may take {megabytes:g} MB together. Delete some of this "
                  "key's files, or raise key_upload_mb in [serve].", megabytes=most / 1_000_000)
            )  # fmt: skip

    def _is_seen(self, caller: Caller, file_id: str) -> bool:
        names = self._records.collections_of(file_id)
        return any(caller.sees(name) for name in names)

    # -- files in collections ----------------------------------------------------------------

    def attach(
        self, caller: Caller, collection: str, files: Mapping[str, Attributes]
    ) -> list[Attachment]:
        """Attach files, each with its attributes, to be indexed soon. One that is attached already
        stays so; one that failed is tried again. Raises as `file` does, and then attaches none."""
        self._shelf.collection(caller, collection)
        known = [self.file(caller, file_id) for file_id in files]
        for file in known:
            source = source_of(file.id, file.name)
            self._records.attach(collection, file.id, source, files[file.id])
        self._worker.wake()
        return [self.attachment(caller, collection, file_id) for file_id in files]

    def attachments(self, caller: Caller, collection: str) -> list[Attachment]:
        """The uploads of a collection, the first one first."""
        opened = self._shelf.collection(caller, collection)
        known = self._records.attachments(collection)
        done = [one.source for one in known if one.state == "completed"]
        if lost := frozenset(done) - opened.held(done):
            self._records.lost(collection, lost)
        return [one for one in known if one.state != "completed" or one.source not in lost]

    def attachment(self, caller: Caller, collection: str, file_id: str) -> Attachment:
        """One of them. Raises `UnknownSourceError`."""
        opened = self._shelf.collection(caller, collection)
        found = self._records.attachment(collection, file_id)
        if found and found.state == "completed" and not opened.held([found.source]):
            self._records.lost(collection, [found.source])
            found = None
        if found is None:
            raise _unknown(file_id)
        return found

    def describe(
        self, caller: Caller, collection: str, file_id: str, attributes: Attributes
    ) -> Attachment:
        """Give a file other attributes in a collection; searches know of them soon."""
        self._records.describe(self.attachment(caller, collection, file_id), attributes)
        self._worker.wake()
        return self.attachment(caller, collection, file_id)

    def detach(self, caller: Caller, collection: str, file_id: str) -> Done:
        """Begin to remove a file from a collection, with its document; see `removed`. Raises as
        `attachment` does."""
        one = self.attachment(caller, collection, file_id)
        self._records.detach(one)
        self._worker.wake()
        return lambda: not self._records.is_leaving(one.n)

    def by_source(
        self, caller: Caller, collection: str, sources: Sequence[str]
    ) -> dict[str, Attachment]:
        """Those of the documents ``sources`` of a collection that were uploaded."""
        self._shelf.collection(caller, collection)
        return self._records.by_source(collection, sources)

    # -- batches -----------------------------------------------------------------------------

    def attach_batch(
        self, caller: Caller, collection: str, files: Mapping[str, Attributes]
    ) -> Batch:
        """`attach`, with a name for it."""
        self.attach(caller, collection, files)
        batch = Batch(new_id("vsfb"), collection, tuple(files), int(time.time()))
        self._records.add_batch(batch)
        return batch

    def batch(self, caller: Caller, collection: str, batch_id: str) -> Batch:
        """A batch. Raises `UnknownSourceError`."""
        self._shelf.collection(caller, collection)
        found = self._records.batch(collection, batch_id)
        if found is None:
            raise UnknownSourceError(t("There is no batch «{name}» here.", name=batch_id[:100]))
        return found

    def cancel(self, caller: Caller, collection: str, batch_id: str) -> Batch:
        """Cancel what of a batch is not yet indexed."""
        batch = self.batch(caller, collection, batch_id)
        self._records.cancel(collection, batch.files)
        return batch

    # -- collections -------------------------------------------------------------------------

    def create(self, caller: Caller, collection: str, facts: StoreFacts) -> None:
        """Make a collection that is described so. Raises as `Shelf.create` does."""
        self._shelf.create(caller, collection)
        self._records.set_store(collection, replace(facts, created=int(time.time())))

    def facts(self, caller: Caller, collection: str) -> StoreFacts:
        """What people say of a collection. One that was made in another way counts as made when it
        was last changed before it is first asked for here."""
        opened = self._shelf.collection(caller, collection)
        known = self._records.store(collection)
        if known is None:
            folder = opened.home / "collections" / collection
            known = StoreFacts(collection, created=int(folder.stat().st_mtime))
            self._records.set_store(collection, known)
        return known

    def set_facts(self, caller: Caller, collection: str, facts: StoreFacts) -> None:
        """Say something else of a collection."""
        self._shelf.collection(caller, collection)
        self._records.set_store(collection, facts)

    def delete_collection(self, caller: Caller, collection: str) -> None:
        """Delete a collection; the files that were uploaded are kept. Raises as `Shelf.delete`
        does."""
        self._shelf.delete(caller, collection)


def _unknown(file_id: str) -> UnknownSourceError:
    return UnknownSourceError(
        t("There is no file «{name}» for this key. Look at the list of those that there are.",
          name=file_id[:100])
    )  # fmt: skip
