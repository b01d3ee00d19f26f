"""The bytes of uploads: ``HOME/uploads/content``, each content once, whoever uploaded it."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from indexes.errors import CollectionError, UsageError
from indexes.failpoints import reach
from indexes.home import sync_folder
from indexes.i18n import t

_ABANDONED = 24 * 3600.0
"""Seconds after which no upload is still coming in."""


Count = Callable[[int], None]
"""Told of so many bytes more, before they are written, or fewer; may raise."""


def _uncounted(_: int) -> None:
    pass


class Incoming:
    """An upload that is coming in, up to ``most`` bytes, as far as ``count`` allows; what is not
    kept in the end is deleted. Use ``with``."""

    def __init__(self, folder: Path, most: int, count: Count = _uncounted) -> None:
        self._most, self._count, self._counted = most, count, 0
        self._digest = hashlib.sha256()
        self.size = 0
        with writing_errors():
            handle, name = tempfile.mkstemp(dir=folder)
        self.path = Path(name)
        self._file: IO[bytes] = os.fdopen(handle, "wb")

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Add ``data``. Raises `UsageError` beyond the limit, `CollectionError` where there is no
        room left, and what ``count`` raises."""
        self.size += len(data)
        if self.size > self._most:
            raise UsageError(
                t("The file has more than {megabytes:g} MB. Split it, or raise upload_mb in "
                  "[serve].", megabytes=self._most / 1_000_000)
            )  # fmt: skip
        self._count(len(data))
        self._counted += len(data)
        with writing_errors():
            self._file.write(data)
        self._digest.update(data)

    def sync(self) -> None:
        """Bring it to the disk; nothing more is written."""
        with writing_errors():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        reach("upload.synced")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)
        self._count(-self._counted)
        self._counted = 0


class Contents:
    """The folders in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._incoming = folder / "content", folder / "incoming"
        with writing_errors():
            for one in (self.folder, self._incoming):
                one.mkdir(parents=True, exist_ok=True, mode=0o700)
                sync_folder(one.parent)
            sync_folder(folder.parent)

    def incoming(self, most: int, count: Count = _uncounted) -> Incoming:
        """A new upload of at most ``most`` bytes, as far as ``count`` allows."""
        return Incoming(self._incoming, most, count)

    def place(self, incoming: Incoming, name: str) -> None:
        """Keep what came in, as ``name``."""
        with writing_errors():
            incoming.path.replace(self.folder / name)
            reach("upload.placed")
            sync_folder(self.folder)

    def delete(self, name: str) -> None:
        """Delete a content that no file has any more."""
        (self.folder / name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Every content that is there."""
        return [entry.name for entry in self.folder.iterdir()]

    def sweep(self, now: float) -> None:
        """Delete what uploads left behind that never ended; ``now`` is in seconds since 1970."""
        for entry in self._incoming.iterdir():
            with suppress(OSError):
                if entry.stat().st_mtime < now - _ABANDONED:
                    entry.unlink()


@contextmanager
def writing_errors() -> Iterator[None]:
    """Translate the errors of the disk: `CollectionError`."""
    try:
        yield
    except OSError as error:
        raise CollectionError(
            t("The upload cannot be kept: {reason}. Make room on the service's disk.",
              reason=error.strerror or error)
        ) from error  # fmt: skip
