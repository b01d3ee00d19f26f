"""What a run did, line by line in ``record.jsonl``; a line that was written is on the disk."""

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from indexes.errors import DamagedError, RunError
from indexes.failpoints import reach
from indexes.home import sync_folder
from indexes.i18n import t

RECORD: Final = "record.jsonl"
_SUM: Final = "crc"


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happened, ``kind`` says what."""

    kind: str
    values: Mapping[str, Any]


class Journal:
    """The lines of a run. ``before`` are those that were there when it was opened."""

    def __init__(self, folder: Path) -> None:
        """Open the file for writing. A last line that is torn is dropped. Raises `DamagedError` for
        a file that holds something else, `RunError` where it cannot be written."""
        self.file = folder / RECORD
        data, self.before = _read(self.file)
        self._size = len(data)
        self._lock = threading.Lock()
        self._handle = -1
        with _writing(self.file):
            new = not self.file.exists()
            self._handle = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600)
            os.ftruncate(self._handle, self._size)
            if new:
                sync_folder(folder)

    def write(self, kind: str, **values: Any) -> None:
        """Add a line of plain values, and see it onto the disk. Raises `RunError` where it cannot
        be; then nothing of it is there."""
        text = _dumped({"kind": kind, **values})
        line = _dumped({"kind": kind, **values, _SUM: crc32(text)}) + b"\n"
        with self._lock, _writing(self.file):
            reach("record.writing")
            try:
                self._append(line)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._handle, self._size)
                raise
            self._size += len(line)
            reach("record.written")

    def _append(self, line: bytes) -> None:
        half = len(line) // 2
        os.lseek(self._handle, self._size, os.SEEK_SET)
        _all(self._handle, line[:half])
        reach("record.half_written")
        _all(self._handle, line[half:])
        os.fsync(self._handle)

    def close(self) -> None:
        """Nothing is written any more."""
        with self._lock:
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1


def read_journal(folder: Path) -> tuple[Line, ...]:
    """The lines of a run that somebody else may be writing; none where there is no file. Raises
    `DamagedError` for a file that holds something else."""
    return _read(folder / RECORD)[1]


def _dumped(values: Mapping[str, Any]) -> bytes:
    """The same again for what is read from it, also where a value is not plain and told as text."""
    return json.dumps(values, ensure_ascii=True, separators=(",", ":"), default=str).encode()


def _all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritable(file, error.strerror or str(error)) from error


def unwritable(file: Path, reason: str) -> RunError:
    """The error for a file of a run that cannot be written."""
    return RunError(
        t(
            "The file {file} cannot be written: {reason}. What the run did before is kept: "
            "when this is mended, go on with --resume {run}.",
            file=file,
            reason=reason,
            run=file.parent.name,
        )
    )


def _read(file: Path) -> tuple[bytes, tuple[Line, ...]]:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return b"", ()
    except OSError as error:
        raise RunError(
            t("The file {file} cannot be read: {reason}.", file=file,
              reason=error.strerror or error)
        ) from error  # fmt: skip
    lines = _whole(data.splitlines(keepends=True))
    return b"".join(lines), tuple(_line(file, n, line) for n, line in enumerate(lines, 1))


def _whole(lines: Sequence[bytes]) -> Sequence[bytes]:
    """Without a last one that is torn: it has no end, or blocks of zeros stand for a part of it."""
    torn = bool(lines) and (not lines[-1].endswith(b"\n") or b"\0" in lines[-1])
    return lines[:-1] if torn else lines


def _line(file: Path, number: int, line: bytes) -> Line:
    try:
        values = json.loads(line)
        if values.pop(_SUM) != crc32(_dumped(values)):
            raise ValueError
        return Line(values.pop("kind"), values)
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
        raise DamagedError(
            t(
                "Line {number} of {file} is not what was written there. The run cannot be gone on "
                "with; begin a new one.",
                number=number,
                file=file,
            )
        ) from None
