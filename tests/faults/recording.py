"""What a process does to the files of its collections, as a list of `Op`.

There is no one place to listen at that is there on every machine (a tracer may be forbidden, and a
library to be loaded before all others would have to be compiled), so there is one for each writer:

- SQLite: a VFS between its own and the checksum VFS, which takes for its base whatever is the
  default when it is loaded. It sees each write to the database, the log and the journal, each
  truncate and sync. The first sync of a log or a journal syncs its folder too (``UNIXFILE_DIRSYNC``
  in os_unix.c). The ``-shm`` file is memory that is shared, made anew at the next start, and not
  recorded.
- Python: an audit hook hears renames, links and removals before they happen, and ``os.fsync`` is
  replaced. What was written meanwhile is found by looking: the folder is compared with what it was.
- tantivy: Rust, with its own system calls. Each look finds which files are new, and brings them
  in the order that tantivy 0.27 keeps, as ``strace`` shows (`test_power_traced` looks again): names
  of new files go to ``.managed.json``; each file is written and fdatasynced; the folder is
  fdatasynced; ``meta.json`` is written under another name, fdatasynced and renamed, with no sync
  of the folder after it; files that nothing needs any more are removed, the folder is fdatasynced,
  and ``.managed.json`` is written anew. Names that begin with ``.tmp`` last shorter than a look;
  two of one kind stand for all.

A look comes before each event of SQLite and of Python, so that nothing moves past one.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from indexes.home import POSTINGS
from indexes.postings import CHANGING
from tests.faults.power import Op, Tree
from tests.faults.scenarios import Say

_META, _MANAGED = CHANGING
_TEMPORARY = ".tmp"
_WITH_FOLDER = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL
_Stamp = tuple[int, int, int]


def tree_of(home: Path) -> Tree:
    """Everything below ``home/collections``."""
    below = sorted((home / "collections").rglob("*"))
    tree: Tree = {"collections": None} if (home / "collections").is_dir() else {}
    for path in below:
        if not path.name.endswith("-shm"):
            name = str(path.relative_to(home))
            tree[name] = None if path.is_dir() else path.read_bytes()
    return tree


def record(say: Say, home: Path, work: Callable[[Path, Say], None]) -> tuple[Tree, list[Op]]:
    """Run ``work(home, say)``; returns what was there before, and what happened."""
    recorder = Recorder(home)
    before = tree_of(home)
    recorder.listen()
    work(home, recorder.say)
    recorder.deaf = True
    return before, recorder.ops


class Recorder:
    """Hears this process from `listen` on, to its end."""

    def __init__(self, home: Path) -> None:
        self.ops: list[Op] = []
        self.deaf = False
        self._home = home
        self._lock = threading.RLock()
        self._looking = False
        self._sqlite: set[str] = set()
        self._seen: dict[str, _Stamp | None] = self._found()

    def listen(self) -> None:
        """Begin. The checksum VFS must not have been loaded yet."""
        assert "cksmvfs" not in apsw.vfs_names()
        self._vfs = _Vfs(self)
        apsw.VFSFile = lambda base, name, flags: _File(self, base, name, flags)  # type: ignore[misc,assignment]
        self._fsync = os.fsync
        os.fsync = self._synced
        sys.addaudithook(self._heard)

    def say(self, **told: Any) -> None:
        with self._lock:
            self.look()
            self.ops.append(Op("told", told=told))

    # -- SQLite ------------------------------------------------------------------------------

    def note(self, kind: str, path: str, at: int = 0, data: bytes = b"") -> None:
        """What SQLite is about to do."""
        with self._lock:
            self.look()
            name = self._name(path)
            if name is not None and not self.deaf:
                self.ops.append(Op(kind, name, at, data))

    def opened(self, path: str, *, new: bool) -> None:
        """From now on SQLite alone writes to ``path``."""
        with self._lock:
            self.look()
            if name := self._name(path):
                self._sqlite.add(name)
                self._seen.pop(name, None)
                if new and not self.deaf:
                    self.ops.append(Op("create", name))

    # -- Python ------------------------------------------------------------------------------

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if self.deaf or self._looking or event not in ("os.rename", "os.link", "os.remove"):
            return
        with self._lock:
            self.look()
            old = self._name(args[0], args[-2] if event != "os.remove" else args[1])
            if old is None or not (self._home / old).exists():
                return
            if event == "os.remove":
                self._unlinked(old)
            elif new := self._name(args[1], args[-1]):
                self._moved(event.removeprefix("os."), old, new)

    def _unlinked(self, name: str) -> None:
        if not name.endswith("-shm"):
            self._sqlite.discard(name)
            self._seen.pop(name, None)
            self.ops.append(Op("unlink", name))

    def _moved(self, kind: str, old: str, new: str) -> None:
        self.ops.append(Op(kind, old, to=new))
        self._sqlite.discard(new)
        self._seen.pop(new, None)
        if old in self._sqlite:
            self._sqlite.add(new)
        else:
            self._seen[new] = self._seen[old]
        if kind == "rename":
            self._sqlite.discard(old)
            self._seen.pop(old, None)

    def _synced(self, fd: Any) -> None:
        self._fsync(fd)
        number = fd if isinstance(fd, int) else fd.fileno()
        path = str(Path(f"/proc/self/fd/{number}").readlink())
        self.note("sync_folder" if Path(path).is_dir() else "sync", path)

    def _name(self, path: Any, folder: int | None = None) -> str | None:
        """The path below the home; nothing for what is not in the collections."""
        whole = Path(os.fsdecode(path))
        if isinstance(folder, int) and folder >= 0 and not whole.is_absolute():
            whole = Path(f"/proc/self/fd/{folder}").readlink() / whole
        if not whole.is_relative_to(self._home):
            return None
        name = str(whole.relative_to(self._home))
        return "" if name == "." else name if name.startswith("collections") else None

    # -- looking -----------------------------------------------------------------------------

    def _found(self) -> dict[str, _Stamp | None]:
        """What is there now, but for what SQLite writes."""
        found: dict[str, _Stamp | None] = {}
        waiting = ["collections"] if (self._home / "collections").is_dir() else []
        while waiting:
            name = waiting.pop()
            found[name] = None
            with os.scandir(self._home / name) as entries:
                for entry in entries:
                    below = f"{name}/{entry.name}"
                    if entry.is_dir():
                        waiting.append(below)
                    elif not self._passes(below):
                        try:
                            stat = entry.stat()
                        except FileNotFoundError:
                            continue
                        found[below] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        return found

    def _passes(self, name: str) -> bool:
        temporary = f"/{POSTINGS}/" in name and name.rpartition("/")[2].startswith(_TEMPORARY)
        return temporary or name in self._sqlite or name.endswith("-shm")

    def look(self) -> None:
        """Bring what changed since the last look."""
        with self._lock:
            if self.deaf or self._looking:
                return
            self._looking = True
            try:
                self._compare()
            finally:
                self._looking = False

    def _compare(self) -> None:
        found, seen = self._found(), self._seen
        for name in sorted(found.keys() - seen.keys()):
            if found[name] is None:
                self.ops.append(Op("mkdir", name))
        changed = sorted(n for n, s in found.items() if s is not None and seen.get(n) != s)
        gone = sorted(seen.keys() - found.keys(), reverse=True)
        indexes = {_index(n) for n in (*changed, *gone)} - {""}
        for name in changed:
            if not _index(name):
                self._written(name, new=name not in seen)
        for index in sorted(indexes):
            self._by_tantivy(
                index, [n for n in changed if _index(n) == index],
                [n for n in gone if _index(n) == index],
            )  # fmt: skip
        self.ops += [Op("unlink", name) for name in gone if not _index(name)]
        self._seen = found

    def _written(self, name: str, *, new: bool) -> None:
        if new:
            self.ops.append(Op("create", name))
        else:
            self.ops.append(Op("truncate", name, 0))
        if data := self._read(name):
            self.ops.append(Op("write", name, 0, data))

    def _read(self, name: str) -> bytes:
        return (self._home / name).read_bytes()

    def _by_tantivy(self, index: str, changed: list[str], gone: list[str]) -> None:
        meta, managed = f"{index}/{_META}", f"{index}/{_MANAGED}"
        files = [name for name in changed if name not in (meta, managed)]
        if managed in changed:
            self._replaced(managed, self._with_names(managed, gone))
        for name in files:
            self._written(name, new=name not in self._seen)
            self.ops.append(Op("sync", name))
        if meta in changed:
            self.ops.append(Op("sync_folder", index))
            self._replaced(meta, self._read(meta))
        self.ops += [Op("unlink", name) for name in gone]
        if gone and managed in changed:
            self.ops.append(Op("sync_folder", index))
            self._replaced(managed, self._read(managed))

    def _with_names(self, managed: str, gone: list[str]) -> bytes:
        """The list of files as it was before those that are gone were struck off."""
        data = self._read(managed)
        names: list[str] = json.loads(data)
        struck = {Path(name).name for name in gone}.difference(names)
        return json.dumps([*names, *sorted(struck)]).encode() if struck else data

    def _replaced(self, name: str, data: bytes) -> None:
        temporary = f"{name.rpartition('/')[0]}/{_TEMPORARY}{len(self.ops)}"
        self.ops += [
            Op("create", temporary), Op("write", temporary, 0, data), Op("sync", temporary),
            Op("rename", temporary, to=name),
        ]  # fmt: skip


def _index(name: str) -> str:
    """The folder of postings that holds this file; nothing for other files."""
    above = name.rpartition("/")[0]
    return above if above.rpartition("/")[0].endswith(f"/{POSTINGS}") else ""


_VFS_FILE = apsw.VFSFile


class _File(_VFS_FILE):
    def __init__(self, recorder: Recorder, base: str, name: Any, flags: list[int]) -> None:
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else str(name or "")
        self._recorder = recorder
        new = not Path(self._path).exists()
        super().__init__(base, name, flags)
        self._with_folder = bool(flags[0] & _WITH_FOLDER and flags[0] & apsw.SQLITE_OPEN_CREATE)
        recorder.opened(self._path, new=new)

    def xWrite(self, data: Any, offset: int) -> None:
        self._recorder.note("write", self._path, offset, bytes(data))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._recorder.note("truncate", self._path, newsize)
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._recorder.note("sync", self._path)
        if self._with_folder:
            self._recorder.note("sync_folder", str(Path(self._path).parent))
            self._with_folder = False


class _Vfs(apsw.VFS):
    """Lies on SQLite's own VFS, and is the default."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        super().__init__("recording", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        return _File(self._recorder, "unix", name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self._recorder.note("unlink", filename)
        if syncdir:
            self._recorder.note("sync_folder", str(Path(filename).parent))
