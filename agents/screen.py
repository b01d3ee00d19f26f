"""Where a command writes: text and tables on stdout, notices, errors and progress on stderr."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from indexes.i18n import t

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console
    from rich.progress import Progress

    from indexes.pipeline import Progress as IndexProgress
    from indexes.pipeline import Report

# Control characters, which a terminal obeys; bidirectional overrides, zero-width and tag
# characters, with which a text looks like another one.
_INVISIBLE = dict.fromkeys(
    (
        *range(9), *range(11, 32), *range(127, 160), 0x200B, *range(0x202A, 0x202F),
        *range(0x2060, 0x2065), *range(0x2066, 0x206A), 0xFEFF, *range(0xE0000, 0xE0080),
    )
)  # fmt: skip

_PIPE_COLUMNS = 10_000


def clean(text: str) -> str:
    """``text`` without the characters that a terminal would obey or not show."""
    return text.translate(_INVISIBLE)


def one_line(text: str) -> str:
    """``text`` made safe, on one line."""
    return clean(" ".join(text.split()))


class Screen:
    """Standard output and error. ``as_json`` keeps stdout for one JSON object; ``quiet`` drops
    notices and progress."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._err: Console | None = None
        self._out: Console | None = None

    def json(self, shape: "BaseModel") -> None:
        """Write one JSON object."""
        self.write(_json(shape.model_dump(mode="json")))

    def write(self, text: str) -> None:
        """Write text to stdout as it is."""
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            _reader_gone()

    def error(self, message: str, kind: str) -> None:
        """A failure: one sentence on stderr, and with JSON an object that says the same."""
        self.urgent(message, "bold red")
        if self.as_json:
            with suppress(OSError):  # where stdout itself is what failed, stderr has said so
                self.failure(message, kind)

    def failure(self, message: str, kind: str, **about: str) -> None:
        """The JSON object of a failure, and before that what it is ``about``."""
        self.write(_json({**about, "error": message, "kind": kind}))

    def notice(self, message: str) -> None:
        """A remark on stderr."""
        self.aside(message, "dim")

    def aside(self, text: str = "", style: str = "") -> None:
        """A line on stderr, for whoever watches."""
        if not self.quiet:
            self.urgent(text, style)

    def urgent(self, text: str = "", style: str = "") -> None:
        """A line on stderr that even somebody who wants quiet has to read."""
        self._stderr().print(clean(text), style=style, markup=False, highlight=False)

    def line(self, text: str = "", style: str = "") -> None:
        """A line for people on stdout."""
        self._stdout().print(clean(text), style=style, markup=False, highlight=False)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table for people on stdout."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(one_line(cell)) for cell in row))
        self._stdout().print(table)

    # -- progress ----------------------------------------------------------------------------

    @contextmanager
    def indexing(self) -> "Iterator[Report]":
        """A bar over the files of an indexing run, with rate and time left."""
        from rich.progress import MofNCompleteColumn, TextColumn

        with self._bar(MofNCompleteColumn(), TextColumn("{task.fields[rate]}")) as bar:
            task = bar.add_task(t("Indexing"), total=None, rate="")
            started = time.monotonic()

            def report(progress: "IndexProgress") -> None:
                seconds = max(time.monotonic() - started, 1e-3)
                bar.update(
                    task,
                    completed=progress.items,
                    total=progress.total,
                    rate=t("{rate} passages/s", rate=f"{progress.chunks / seconds:.0f}"),
                    description=one_line(Path(progress.source).name)[:40] or t("Indexing"),
                )

            yield report

    @contextmanager
    def steps(self) -> Iterator[Callable[[str, int, int], None]]:
        """A bar over each step of something that has several."""
        from rich.progress import MofNCompleteColumn

        with self._bar(MofNCompleteColumn()) as bar:
            task = bar.add_task("", total=None)

            def report(step: str, done: int, total: int) -> None:
                bar.update(task, description=step, completed=done, total=total)

            yield report

    @contextmanager
    def transferring(self, title: str) -> Iterator[Callable[[int, int], None]]:
        """A bar over the bytes of a transfer, with rate and time left."""
        from rich.progress import DownloadColumn, TransferSpeedColumn

        with self._bar(DownloadColumn(), TransferSpeedColumn()) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    @contextmanager
    def waiting(self, title: str) -> Iterator[Callable[[float], None]]:
        """A spinner that shows the seconds passed."""
        if self.quiet or not self._stderr().is_terminal:
            yield lambda _: None
            return
        with self._stderr().status(title) as status:
            yield lambda seconds: status.update(f"{title} {seconds:.0f} s")

    @contextmanager
    def working(self, title: str) -> Iterator[Callable[[str], None]]:
        """A spinner with a line that says what is being done."""
        if self.quiet or not self._stderr().is_terminal:
            yield lambda _: None
            return
        with self._stderr().status(clean(title)) as status:
            yield lambda text: status.update(one_line(text))

    @contextmanager
    def ticking(self) -> Iterator[Callable[[str], None]]:
        """A spinner with what is being done and for how long; for ``""`` there is none."""
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        text, time_passed = TextColumn("{task.description}", markup=False), TimeElapsedColumn()
        spinner = Progress(
            SpinnerColumn(),
            text,
            time_passed,
            console=self._stderr(),
            transient=True,
            disable=self.quiet or not self._stderr().is_terminal,
        )
        task = spinner.add_task("", total=None)

        def show(doing: str) -> None:
            spinner.stop()
            if doing:
                spinner.reset(task, description=one_line(doing))
                spinner.start()

        try:
            yield show
        finally:
            spinner.stop()

    def _bar(self, *columns: object) -> "Progress":
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            *columns,  # type: ignore[arg-type]
            TimeRemainingColumn(),
            console=self._stderr(),
            transient=True,
            disable=self.quiet or not self._stderr().is_terminal,
        )

    def _stderr(self) -> "Console":
        if self._err is None:
            self._err = _console(stderr=True)
        return self._err

    def _stdout(self) -> "Console":
        if self._out is None:
            self._out = _console(stderr=False)
        return self._out


def _json(value: object) -> str:
    # Not pydantic's own writer: that refuses file names which are not valid Unicode.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def _reader_gone() -> NoReturn:
    """Whoever reads our output has seen enough, as ``head`` does: end, and flush into nothing."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    raise SystemExit(0)


def _console(*, stderr: bool) -> "Console":
    from rich.console import Console

    class PipeConsole(Console):
        def on_broken_pipe(self) -> None:
            _reader_gone()

    # In a pipe a table is as wide as its cells, so that a line stays a line.
    stream = sys.stderr if stderr else sys.stdout
    return PipeConsole(
        stderr=stderr, soft_wrap=True, width=None if stream.isatty() else _PIPE_COLUMNS
    )
