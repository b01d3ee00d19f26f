"""The standard streams: questions from standard input, and what stands in for a closed stream."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from indexes.errors import UsageError
from indexes.i18n import t

_MARK = "\ufeff"
"""The byte order mark, with which some programs begin a text."""


def text_of(text: str) -> str:
    """``text`` itself; for «-» all of standard input. Raises `UsageError` where that is not UTF-8,
    or closed."""
    if text != "-":
        return text
    try:
        return sys.stdin.read().removeprefix(_MARK).strip()
    except UnicodeDecodeError:
        raise UsageError(t("Standard input is not text in UTF-8.")) from None


def read_lines() -> Iterator[tuple[str, UsageError | None]]:
    """The lines of standard input that are not empty, each as soon as it is there. One that is not
    text has � for what cannot be read, and goes with what is wrong with it. Raises `UsageError`
    where standard input is closed."""
    mark = _MARK
    for raw in getattr(sys.stdin, "buffer", sys.stdin):
        for piece in raw.splitlines():
            line, error = _decoded(piece)
            line, mark = line.removeprefix(mark).strip(), ""
            if line:
                yield line, error


def _decoded(line: str | bytes) -> tuple[str, UsageError | None]:
    if isinstance(line, str):  # a stand-in for standard input that holds no bytes
        return line, None
    encoding = sys.stdin.encoding or "utf-8"
    text = line.decode(encoding, "replace")
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        pass
    else:
        if "\0" not in text:  # as in each line of UTF-16, of which the rest may look like UTF-8
            return text, None
    return text, UsageError(t("This line of standard input is not text in UTF-8."))


class ClosedInput(io.TextIOBase):
    """Standard input of a process that was started without. Whoever reads gets `UsageError`."""

    def read(self, *_: object) -> NoReturn:
        raise UsageError(t("Standard input is closed. Send the text through a pipe or a file."))

    def readline(self, *_: object) -> NoReturn:
        self.read()


class ClosedOutput(io.TextIOBase):
    """Standard output of a process that was started without. Whoever writes gets `OSError`."""

    def write(self, *_: object) -> NoReturn:
        raise OSError(errno.EBADF, t("Standard output is closed"))


def stand_in() -> None:
    """Put something in the place of each standard stream that is closed, and take its descriptor,
    so that no file that is opened later gets it."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or ClosedInput()
    sys.stdout = sys.stdout or ClosedOutput()
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115


def settled(code: int) -> int:
    """The exit code. What could not be written to standard output, and was told, is let go: Python
    would try it once more at its end, and exit with another code."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return code or 1
    return code
