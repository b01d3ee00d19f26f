"""The bytes of a database file and of its write-ahead log, compared with their checksums.

The checksum of a page is that of SQLite's checksum VFS (sqlite.org/cksumvfs.html), that of a frame
of the log is told by the file format (sqlite.org/fileformat2.html, section 4): two sums of 32 bits
over the words, in turns, each including the other. They are linear, so that many pages are summed
as one product of matrices, and one damaged word can be told from its traces in both sums.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import apsw
import numpy as np
from numpy.typing import NDArray

from indexes.schema import RESERVED

PAGE = 4096
_AT_ONCE = 2048
_HEADER, _FRAME = 32, 24
_LOCK_PAGE = 0x40000000 // PAGE + 1
"""SQLite never writes the page at 1 GiB, whose bytes stand for its locks."""
_MAGIC = (0x377F0682, 0x377F0683)
_SMALL = "<u4"

Words = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Pages:
    """What was found in a database file: ``count`` pages, the numbers (from 1) of those that are
    ``damaged``, and how many the file should have where ``expected`` differs."""

    count: int
    damaged: tuple[int, ...]
    expected: int
    odd_bytes: int

    @property
    def ok(self) -> bool:
        return not (self.damaged or self.odd_bytes) and self.count == self.expected


@dataclass(frozen=True, slots=True)
class Log:
    """What was found in a write-ahead log: ``frames`` that follow from each other, and whether
    something ``damaged`` comes after them that cannot be the remains of a writer's death."""

    frames: int
    damaged: bool


class RawFile:
    """A file that SQLite may have open in this process as well. Closing a plain handle would drop
    the locks that SQLite holds on it (sqlite.org/howtocorrupt.html, section 2.2), so SQLite's own
    file layer is used, without the checksum VFS above it."""

    def __init__(self, path: Path, *, write: bool = False) -> None:
        system = "unix" if "unix" in apsw.vfs_names() else "win32"
        mode = apsw.SQLITE_OPEN_READWRITE if write else apsw.SQLITE_OPEN_READONLY
        self._file = apsw.VFSFile(system, str(path), [apsw.SQLITE_OPEN_MAIN_DB | mode, 0])

    def size(self) -> int:
        return int(self._file.xFileSize())

    def read(self, offset: int, size: int) -> bytes:
        """At most ``size`` bytes from ``offset``; the caller knows that they are there."""
        return bytes(self._file.xRead(size, offset))

    def write(self, offset: int, data: bytes) -> None:
        """Overwrite, and wait until it is on the disk."""
        self._file.xWrite(data, offset)
        self._file.xSync(apsw.SQLITE_SYNC_FULL)

    def close(self) -> None:
        self._file.xClose()


@contextmanager
def opened(path: Path, *, write: bool = False) -> Iterator[RawFile]:
    """`RawFile`, closed at the end."""
    file = RawFile(path, write=write)
    try:
        yield file
    finally:
        file.close()


# -- pages -----------------------------------------------------------------------------------


def check_pages(path: Path, *, whole: bool = True) -> Pages:
    """Compare every page of the database file with its checksum, the unused ones included; with
    ``whole``, also its length with what its header tells (a log may hold the rest)."""
    with opened(path) as file:
        count, odd = divmod(file.size(), PAGE)
        damaged: list[int] = []
        blank: list[int] = []
        for first in range(0, count, _AT_ONCE):
            rows = min(_AT_ONCE, count - first)
            words = words_of(file.read(first * PAGE, rows * PAGE))
            damaged += (first + 1 + np.flatnonzero(~intact(words))).tolist()
            blank += (first + 1 + np.flatnonzero(~words.any(axis=1))).tolist()
        # Zeros are their own checksum; only a page that never held anything may be so.
        if blank:
            damaged += set(blank) - _never_written(file, count)
        expected = struct.unpack(">I", file.read(28, 4))[0] if whole and count else max(count, 1)
    return Pages(count, tuple(sorted(damaged)), expected, odd)


def words_of(data: bytes) -> Words:
    """Whole pages of bytes as words (n, 1024)."""
    return np.frombuffer(data, _SMALL).reshape(-1, PAGE // 4)


def intact(pages: Words) -> NDArray[np.bool_]:
    """Which of the pages (n, 1024 words) match their checksums."""
    covered = (PAGE - RESERVED) // 4
    found = pages[:, :covered] @ _weights(covered)[0]
    same: NDArray[np.bool_] = (found == pages[:, covered:]).all(axis=1)
    return same


def _never_written(file: RawFile, count: int) -> set[int]:
    """The leaves of the list of free pages, and the page that is never used."""
    free = {_LOCK_PAGE}
    trunk = struct.unpack(">I", file.read(32, 4))[0]
    seen: set[int] = set()
    while 0 < trunk <= count and trunk not in seen:
        seen.add(trunk)
        page = file.read((trunk - 1) * PAGE, PAGE)
        trunk, leaves = struct.unpack(">II", page[:8])
        leaves = min(leaves, (PAGE - RESERVED - 8) // 4)
        free.update(struct.unpack(f">{leaves}I", page[8 : 8 + 4 * leaves]))
    return free


def sealed_page(content: bytes) -> bytes:
    """A page of this content, followed by its checksum."""
    covered = (PAGE - RESERVED) // 4
    sums = np.frombuffer(content, _SMALL) @ _weights(covered)[0]
    return content + sums.astype(_SMALL).tobytes()


@cache
def _weights(words: int) -> tuple[Words, Words]:
    """What each word adds to the two sums at the end (words, 2), and what the sums at the
    beginning add (2, 2)."""
    a, b, c, d = 1, 0, 0, 1
    rows: list[tuple[int, int]] = []
    for _ in range(words // 2):
        rows += [(b, d), (a + b, c + d)]
        a, b, c, d = (x & 0xFFFFFFFF for x in (a + b, a + 2 * b, c + d, c + 2 * d))
    rows.reverse()
    each = np.array([[x & 0xFFFFFFFF for x in row] for row in rows], np.uint32)
    return each, np.array([[a, c], [b, d]], np.uint32)


def correction(page: bytes) -> bytes | None:
    """The page as it was before a single byte was damaged; nothing where that is not certain."""
    words = words_of(page)[0]
    covered = (PAGE - RESERVED) // 4
    wrong = words[covered:] - words[:covered] @ _weights(covered)[0]
    found = corrections(page)
    return found[0] if len(found) == 1 and (wrong % 2**24).any() else None


def corrections(page: bytes) -> list[bytes]:
    """Every page that differs from a damaged one in a single byte and matches its checksum. There
    is just one, the page as it was, if a single byte was damaged; but for the highest byte of a
    word, whose traces several changes share."""
    words = words_of(page)[0]
    covered = (PAGE - RESERVED) // 4
    weights = _weights(covered)[0]
    computed = words[:covered] @ weights
    wrong = words[covered:] - computed
    found = []
    for column in range(2):  # the checksum itself may be what was damaged
        if wrong[1 - column] == 0:
            found += _with(words, covered + column, computed[column])
    # Of two neighbouring Fibonacci numbers one at least is odd, so it has an inverse.
    odd = np.where(weights[:, 0] & 1, 0, 1)
    rows = np.arange(covered)
    change = wrong[odd] * _inverse(weights[rows, odd])
    fits = weights[rows, 1 - odd] * change == wrong[1 - odd]
    after = words[:covered] + change
    for row in np.flatnonzero(fits):
        found += _with(words, int(row), after[row])
    return found


def _with(words: Words, place: int, value: np.uint32) -> list[bytes]:
    """The page with one word replaced, if that changes a single byte."""
    changed = words.copy()
    changed[place] = value
    one = np.count_nonzero(changed.view(np.uint8) != words.view(np.uint8)) == 1
    return [changed.tobytes()] if one else []


def _inverse(odd: Words) -> Words:
    """Modulo 2**32, by Newton's iteration, which doubles the bits that are right."""
    inverse = odd.copy()
    for _ in range(5):
        inverse *= np.uint32(2) - odd * inverse
    return inverse


# -- the log ---------------------------------------------------------------------------------


def check_log(path: Path) -> Log:
    """Follow the checksums of a write-ahead log from frame to frame. What a writer leaves that
    dies within a transaction is no damage: a frame that the file ends within, or one that nothing
    of the same run follows and that does not complete a transaction."""
    if not path.is_file() or not path.stat().st_size:
        return Log(0, damaged=False)
    with path.open("rb") as file:
        header = file.read(_HEADER)
        if len(header) < _HEADER:
            return Log(0, damaged=False)
        magic, version, size = struct.unpack(">3I", header[:12])
        order = ">u4" if magic & 1 else _SMALL
        sums = np.frombuffer(header, order, 6).astype(np.uint32) @ _weights(6)[0]
        known = (magic in _MAGIC, version == 3007000, size == PAGE)
        if not all(known) or sums.tolist() != list(struct.unpack(">II", header[24:])):
            return Log(0, damaged=True)
        return _follow(file, order, sums, header[16:24])


def _follow(file: BinaryIO, order: str, sums: Words, salts: bytes) -> Log:
    good = 0
    while data := file.read(_AT_ONCE * (_FRAME + PAGE)):
        rows = len(data) // (_FRAME + PAGE)
        if not rows:
            break
        frames = np.frombuffer(data[: rows * (_FRAME + PAGE)], np.uint8).reshape(rows, -1)
        right, last = _chained(frames, order, sums)
        mine = (frames[:, 8:16] == np.frombuffer(salts, np.uint8)).all(axis=1)
        broken = np.flatnonzero(~(right & mine))
        if len(broken):
            ends = len(data) < _AT_ONCE * (_FRAME + PAGE)
            return Log(good + int(broken[0]), _damage(frames[broken[0] :], salts, ends, file))
        good, sums = good + rows, last
    return Log(good, damaged=False)


def _chained(frames: NDArray[np.uint8], order: str, sums: Words) -> tuple[NDArray[np.bool_], Words]:
    """Which frames follow from the checksum of the one before; and the checksum of the last."""
    stored = np.ascontiguousarray(frames[:, 16:24]).view(">u4").astype(np.uint32)
    content = np.ascontiguousarray(np.delete(frames, slice(8, 24), axis=1))
    each, carried = _weights(content.shape[1] // 4)
    before = np.concatenate([sums[None], stored])[:-1]
    found = content.view(order).astype(np.uint32) @ each + before @ carried
    right: NDArray[np.bool_] = (found == stored).all(axis=1)
    last: Words = stored[-1] if len(stored) else sums
    return right, last


def _damage(rest: NDArray[np.uint8], salts: bytes, ends: bool, file: BinaryIO) -> bool:
    """Whether what begins with a frame that does not follow was once more than remains."""
    same = rest[:, 8:16] == np.frombuffer(salts, np.uint8)
    whole, half = same.all(axis=1), same.reshape(-1, 2, 4).all(axis=2)
    later_of_this_run = bool(whole[1:].any()) or (not ends and salts in file.read(_FRAME + PAGE))
    completes = bool(rest[0, 4:8].any())
    # An older run has other salts, both of them.
    return later_of_this_run or bool(half[0].any() and (completes or (len(rest) == 1 and ends)))
