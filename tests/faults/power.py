"""What a disk may hold after a power cut, given the operations that came before it.

The model is that of Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014, ALICE), and
of SQLite's "Atomic Commit In SQLite" (sqlite.org/atomiccommit.html), section 2:

- What an fsync of a file covered is there.
- Each write since then is there, or not, or in part: some of its sectors of 512 bytes and not the
  others, in no order. SQLite's "powersafe overwrite" holds: bytes beside those written stay. A new
  length (truncate) is there or not, as a write is.
- A name (created, renamed, removed) is certain once its own folder has been fsynced after it; a
  file that bears a name may be empty if it was not fsynced itself, and a folder whose own name was
  not made certain is lost with all that it holds.
- Until then, a cut keeps changes of names up to some moment, and loses those after it. `Names`
  says how moments of several folders hang together; each is one file system's way or worse.

A rename within a folder is one change: never is the old name gone and the new one not there.
"""

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

SECTOR = 512

Tree = dict[str, bytes | None]
"""Paths below a folder: the bytes of a file, ``None`` for a folder."""


@dataclass(frozen=True, slots=True)
class Op:
    """Something that happened. ``kind`` is ``mkdir``, ``create``, ``write`` (``data`` at ``at``),
    ``truncate`` (to ``at``), ``rename`` or ``link`` (to ``to``), ``unlink`` (a file or a folder),
    ``sync`` (a file), ``sync_folder``, or ``told`` (what the scenario said)."""

    kind: str
    path: str = ""
    at: int = 0
    data: bytes = b""
    to: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)


class Names(Enum):
    """Which changes of names the cut keeps, beside the certain ones."""

    ALL = "all"
    NONE = "none"
    JOURNAL = "journal"
    """All before one moment, in every folder, as a journal does (ext4, XFS). The last fsync of a
    folder wrote out what was in it till then."""
    APART = "apart"
    """All before a moment, another one for each folder (btrfs, at worst)."""
    ANY = "any"
    """Each change by itself, which is all that POSIX promises."""


class Contents(Enum):
    """Which writes the cut keeps, beside the certain ones."""

    ALL = "all"
    NONE = "none"
    SOME = "some"


@dataclass
class _File:
    """``pending`` holds writes (place, data) and new lengths."""

    certain: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes] | int] = field(default_factory=list)

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.certain, change)
        self.pending.clear()

    def bytes(self, contents: Contents, dice: random.Random) -> bytes:
        found = bytearray(self.certain)
        for change in self.pending if contents is not Contents.NONE else ():
            if contents is Contents.ALL or dice.random() < 0.5:
                _apply(found, change)
            elif isinstance(change, tuple) and dice.random() < 0.5:
                for part in _torn(change, dice):
                    _apply(found, part)
        return bytes(found)


def _apply(data: bytearray, change: tuple[int, bytes] | int) -> None:
    length = change if isinstance(change, int) else change[0]
    data.extend(bytes(max(0, length - len(data))))
    if isinstance(change, int):
        del data[change:]
    else:
        data[length : length + len(change[1])] = change[1]


def _torn(write: tuple[int, bytes], dice: random.Random) -> list[tuple[int, bytes]]:
    at, data = write
    edges = [at, *range(at - at % SECTOR + SECTOR, at + len(data), SECTOR), at + len(data)]
    parts = [(a, data[a - at : b - at]) for a, b in itertools.pairwise(edges)]
    return [part for part in parts if dice.random() < 0.5]


@dataclass
class _Folder:
    """``pending`` holds changes with the number of the operation that made each."""

    now: dict[str, "_Node"] = field(default_factory=dict)
    certain: dict[str, "_Node"] = field(default_factory=dict)
    pending: list[tuple[int, dict[str, "_Node | None"]]] = field(default_factory=list)

    def change(self, serial: int, change: dict[str, "_Node | None"]) -> None:
        self.pending.append((serial, change))
        _rename(self.now, change)

    def sync(self) -> None:
        self.certain = dict(self.now)
        self.pending.clear()

    def names(self, keep: Callable[[int], bool]) -> dict[str, "_Node"]:
        found = dict(self.certain)
        for serial, change in self.pending:
            if keep(serial):
                _rename(found, change)
        return found


_Node = _File | _Folder


def _rename(names: dict[str, _Node], change: Mapping[str, _Node | None]) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class Disk:
    """A disk that holds ``tree`` for certain, and to which operations are applied."""

    def __init__(self, tree: Tree) -> None:
        self._root = _Folder()
        self._serial = 0
        self._journalled = 0
        for path, data in sorted(tree.items()):
            folder, name = self._parent(path)
            folder.now[name] = _Folder() if data is None else _File(bytearray(data))
            folder.sync()

    def apply(self, op: Op) -> None:
        """Let ``op`` happen."""
        self._serial += 1
        if op.kind in ("write", "truncate", "sync"):
            self._apply_to_file(op)
        elif op.kind == "sync_folder":
            self._folder(op.path).sync()
            self._journalled = self._serial
        elif op.kind in ("rename", "link"):
            self._apply_to_two(op)
        elif op.kind != "told":
            folder, name = self._parent(op.path)
            made: dict[str, _Node | None] = {"create": _File(), "mkdir": _Folder(), "unlink": None}
            folder.change(self._serial, {name: made[op.kind]})

    def _apply_to_file(self, op: Op) -> None:
        folder, name = self._parent(op.path)
        file = folder.now[name]
        assert isinstance(file, _File), op.path
        if op.kind == "sync":
            file.sync()
        else:
            file.pending.append((op.at, op.data) if op.kind == "write" else op.at)

    def _apply_to_two(self, op: Op) -> None:
        (old, name), (new, other) = self._parent(op.path), self._parent(op.to)
        changes: list[tuple[_Folder, dict[str, _Node | None]]] = [(new, {other: old.now[name]})]
        if op.kind == "rename" and old is new:
            changes = [(old, {name: None, other: old.now[name]})]
        elif op.kind == "rename":
            changes.append((old, {name: None}))
        for folder, change in changes:
            folder.change(self._serial, change)

    def _parent(self, path: str) -> tuple[_Folder, str]:
        above, _, name = path.rpartition("/")
        return self._folder(above), name

    def _folder(self, path: str) -> _Folder:
        folder = self._root
        for part in path.split("/") if path else ():
            below = folder.now[part]
            assert isinstance(below, _Folder), path
            folder = below
        return folder

    def after_cut(self, names: Names, contents: Contents, dice: random.Random) -> Tree:
        """What may be there when the power comes back."""
        journalled = dice.randint(self._journalled, self._serial)
        found: Tree = {}

        def kept(folder: _Folder) -> Callable[[int], bool]:
            moments = [0, *(serial for serial, _ in folder.pending)]
            until = {
                Names.ALL: self._serial, Names.NONE: 0, Names.JOURNAL: journalled,
                Names.APART: dice.choice(moments),
            }.get(names)  # fmt: skip
            return lambda serial: dice.random() < 0.5 if until is None else serial <= until

        def walk(folder: _Folder, above: str) -> None:
            for name, node in folder.names(kept(folder)).items():
                if isinstance(node, _File):
                    found[above + name] = node.bytes(contents, dice)
                else:
                    found[above + name] = None
                    walk(node, f"{above}{name}/")

        walk(self._root, "")
        return found


def corners() -> Sequence[tuple[Names, Contents]]:
    """The states without chance: the least and the most that the disk may hold."""
    return [
        (Names.NONE, Contents.NONE), (Names.ALL, Contents.NONE), (Names.NONE, Contents.ALL),
        (Names.ALL, Contents.ALL),
    ]  # fmt: skip
