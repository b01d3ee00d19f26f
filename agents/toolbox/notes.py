"""Notes that a run writes for itself, in a folder of its own."""

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from langchain_core.tools import BaseTool
from pydantic import Field

from agents.toolbox.making import Arguments, tool_of
from indexes.errors import SourceError, UsageError
from indexes.home import sync_folder
from indexes.i18n import t

_NAME: Final = re.compile(r"[^\W_][\w .-]{0,63}")
_ENDING: Final = ".md"
_WINDOWS: Final = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
_LONGEST: Final = 50_000
"""Characters of a note."""
_MOST: Final = 100
_SHOWN: Final = 4_000
"""Characters of a note that are read at once."""
_TAKEN: Final = 4 * _LONGEST


class WriteArguments(Arguments):
    """A note."""

    name: str = Field(description="a short name, such as findings")
    text: str = Field(description="all that it is to hold")


class ReadArguments(Arguments):
    """Which note."""

    name: str = Field(description="its name")
    start: int = Field(default=0, description="first character, from 0")


class ListArguments(Arguments):
    """Nothing."""


def note_tools(folder: Path) -> tuple[BaseTool, ...]:
    """``write_note``, ``read_note`` and ``list_notes`` over the files in ``folder``, which is made
    when the first note is written. What a note holds may have been copied from a document."""
    notes = Notes(folder)
    return (
        tool_of(notes.write_note, WriteArguments, "write", tainted=False, private=True),
        tool_of(notes.read_note, ReadArguments, tainted=True),
        tool_of(notes.list_notes, ListArguments, tainted=True),
    )


class Notes:
    """Small texts in one folder, each in a file ``NAME.md``; nothing outside it is touched, also
    where somebody has put links there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write_note(self, name: str, text: str) -> str:
        """Writes a note for later; one of that name is replaced."""
        file = self._file(name)
        if len(text) > _LONGEST:
            raise UsageError(
                t(
                    "The note has {length} characters; at most {limit} can be kept. Write less.",
                    length=len(text),
                    limit=_LONGEST,
                )
            )
        names = self._names()
        if file.name not in names and len(names) >= _MOST:
            raise UsageError(
                t("There are {count} notes already. Write into one of them.", count=_MOST)
            )
        self._make()
        _replace(file, text.encode("utf-8", "replace"))
        return t("Written: note «{name}», {length} characters.", name=file.stem, length=len(text))

    def read_note(self, name: str, start: int = 0) -> str:
        """Reads a note that was written before."""
        file = self._file(name)
        try:
            self._check()
            text = _read(file)
        except FileNotFoundError:
            raise self._missing(file.stem) from None
        start = max(0, start)
        shown, end = text[start : start + _SHOWN], min(len(text), start + _SHOWN)
        if end == len(text):
            return shown or t("The note is empty from there on.")
        span = t("characters {start}–{end}", start=start, end=end)
        length, more = t("of {length}", length=len(text)), t("go on with start={start}", start=end)
        return f"{shown}\n({span} {length}; {more})"

    def list_notes(self) -> str:
        """Lists the names of the notes."""
        names = self._names()
        return "\n".join(f"- {Path(name).stem}" for name in names) or t("There are no notes yet.")

    def _file(self, name: str) -> Path:
        plain = unicodedata.normalize("NFC", name.strip()).removesuffix(_ENDING)
        if not _NAME.fullmatch(plain) or _WINDOWS.fullmatch(plain) or plain.endswith((".", " ")):
            raise UsageError(
                t(
                    "«{name}» cannot be the name of a note: use up to 64 letters, digits, spaces, "
                    "«-» and «_».",
                    name=" ".join(name.split())[:64],
                )
            )
        return self._folder / (plain + _ENDING)

    def _names(self) -> list[str]:
        with suppress(FileNotFoundError, NotADirectoryError):
            self._check()
            with os.scandir(self._folder) as entries:
                return sorted(
                    entry.name
                    for entry in entries
                    if entry.name.endswith(_ENDING) and entry.is_file(follow_symlinks=False)
                )
        return []

    def _make(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._check()

    def _check(self) -> None:
        if not stat.S_ISDIR(self._folder.lstat().st_mode):
            raise SourceError(
                t("{folder} is not a folder of notes. Remove it, or begin another run.",
                  folder=self._folder)
            )  # fmt: skip

    def _missing(self, name: str) -> UsageError:
        known = ", ".join(Path(one).stem for one in self._names())
        if not known:
            return UsageError(t("There is no note «{name}», nor any other yet.", name=name))
        return UsageError(
            t("There is no note «{name}». There are: {known}.", name=name, known=known)
        )


def _replace(file: Path, data: bytes) -> None:
    """Put ``data`` in the place of the file, whole or not at all; a link there is replaced."""
    new = file.with_name(f".{os.getpid()}.new")
    new.unlink(missing_ok=True)
    try:
        with _opened(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as handle:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            os.fsync(handle)
        new.replace(file)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


def _read(file: Path) -> str:
    with _opened(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)) as handle:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise FileNotFoundError(file)
        with os.fdopen(os.dup(handle), "rb") as opened:
            return opened.read(_TAKEN).decode("utf-8", "replace")


@contextmanager
def _opened(file: Path, flags: int) -> Iterator[int]:
    """A handle of the file itself, never of what a link in its place points at."""
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(file, flags, 0o600)
    except OSError as error:
        if file.is_symlink():
            raise FileNotFoundError(file) from error
        raise
    try:
        yield handle
    finally:
        os.close(handle)
