"""A model file under construction."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from rag.models.catalogue import ModelSpec
from rag.models.sources import CHUNK_BYTES

Progress = Callable[[int, int], None]
"""Called with the bytes of the model file that are there, and the bytes it will have."""


class PartialFile:
    """The beginning of a model file on disk, growing at its end, hashed as it grows.

    Opening one keeps the longest run of whole, correct parts. A file whose parts have no published
    checksums is kept as it is: only the checksum of the whole can judge it.
    """

    def __init__(self, path: Path, spec: ModelSpec, progress: Progress) -> None:
        self.path = path
        self.size = 0
        self._spec = spec
        self._progress = progress
        self._digest = hashlib.sha256()
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._read_back()

    def _read_back(self) -> None:
        for part in self._spec.packages:
            mark = self.mark()
            if self._take(part.size) != part.sha256:
                self.rollback(mark)
                return
        if not self._spec.packages:
            self._take(self._spec.size)
        self._file.truncate(self.size)

    def _take(self, count: int) -> str:
        digest = hashlib.sha256()
        while count > 0 and (chunk := self._file.read(min(CHUNK_BYTES, count))):
            count -= len(chunk)
            digest.update(chunk)
            self._grow(chunk)
        return digest.hexdigest()

    def _grow(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self.size += len(chunk)
        self._progress(self.size, self._spec.size)

    def write(self, chunk: bytes) -> None:
        """Append ``chunk``."""
        self._file.write(chunk)
        self._grow(chunk)

    def mark(self) -> "tuple[int, hashlib._Hash]":
        """A point to which `rollback` can return."""
        return self.size, self._digest.copy()

    def rollback(self, mark: "tuple[int, hashlib._Hash]") -> None:
        """Drop what was written since ``mark``."""
        self.size, self._digest = mark
        self._file.seek(self.size)
        self._file.truncate()

    def restart(self) -> None:
        """Forget every byte."""
        self.rollback((0, hashlib.sha256()))

    def is_complete(self) -> bool:
        """Whether every byte is there and right."""
        return self.size == self._spec.size and self._digest.hexdigest() == self._spec.sha256

    def sync(self) -> None:
        """Have the disk hold what was written."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; it stays on disk."""
        self._file.close()


def offset(progress: Progress, start: int, size: int, total: int) -> Callable[[int], None]:
    """Progress inside one part, in bytes of the whole file; a wheel may outgrow its member."""
    return lambda done: progress(start + min(done, size), total)


def never_back(progress: Progress) -> Progress:
    """A wheel is counted while it downloads and again while it is unpacked: show it once."""
    highest = 0

    def forward(done: int, total: int) -> None:
        nonlocal highest
        if done >= highest:
            highest = done
            progress(done, total)

    return forward
