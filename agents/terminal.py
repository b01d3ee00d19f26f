"""The terminal as a door: results for people on stdout, or one JSON object; the rest on stderr."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from indexes.i18n import t
from indexes.types import Document, IndexReport, RemoveReport, SearchResult
from rag.types import Answer, Citation, Event, Retrieved, Token

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

    from agents.shapes import CheckShape, ModelShape
    from indexes.pipeline import Progress as IndexProgress
    from indexes.pipeline import Report

_INVISIBLE = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)))
_SUPPORT_STYLE = {"verbatim": "green", "entailed": "cyan", "unsupported": "yellow"}
_PREVIEW = 300


class Terminal:
    """Where a command writes. ``as_json`` keeps stdout for one JSON object; ``quiet`` drops notices
    and progress."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._err: Console | None = None
        self._out: Console | None = None

    # -- plain output ------------------------------------------------------------------------

    def json(self, shape: "BaseModel") -> None:
        """Write one JSON object."""
        self.write(shape.model_dump_json() + "\n")

    def write(self, text: str) -> None:
        """Write text to stdout as it is."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def error(self, message: str, kind: str) -> None:
        """A failure: one sentence on stderr, and with JSON an object that says the same."""
        if self.as_json:
            self.write(json.dumps({"error": message, "kind": kind}, ensure_ascii=False) + "\n")
        self._stderr().print(message, style="bold red", markup=False, highlight=False)

    def notice(self, message: str) -> None:
        """A remark on stderr."""
        if not self.quiet:
            self._stderr().print(message, style="dim", markup=False, highlight=False)

    def line(self, text: str = "", style: str = "") -> None:
        """A line for people on stdout; control characters in ``text`` are not passed on."""
        self._stdout().print(clean(text), style=style, markup=False, highlight=False)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table for people on stdout."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(_plain(cell) for cell in row))
        self._stdout().print(table)

    # -- progress ----------------------------------------------------------------------------

    @contextmanager
    def indexing(self) -> "Iterator[Report]":
        """A bar over the files of an indexing run, with rate and time left."""
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._stderr(),
            transient=True,
            disable=self.quiet,
        )
        with bar:
            task = bar.add_task(t("Indexing"), total=None, rate="")
            started = time.monotonic()

            def report(progress: "IndexProgress") -> None:
                seconds = max(time.monotonic() - started, 1e-3)
                rate = t("{rate} passages/s", rate=f"{progress.chunks / seconds:.0f}")
                name = _plain(Path(progress.source).name)
                bar.update(
                    task,
                    completed=progress.items,
                    total=progress.total,
                    rate=rate,
                    description=name[:40],
                )

            yield report

    @contextmanager
    def transferring(self, title: str) -> Iterator[Callable[[int, int], None]]:
        """A bar over the bytes of a transfer, with rate and time left."""
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._stderr(),
            transient=True,
            disable=self.quiet,
        )
        with bar:
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

    # -- results -----------------------------------------------------------------------------

    def results(self, results: Sequence[SearchResult]) -> None:
        """Passages, best first."""
        for result in results:
            self.line(f"{result.rank}. {place(result)}  {result.score:.3f}", "bold")
            self.line(_preview(result.text))
            self.line()

    def index_report(self, report: IndexReport) -> None:
        """What an indexing run did, and each file that failed with its reason."""
        self.line(
            t(
                "{added} added, {updated} updated, {unchanged} unchanged, {removed} removed; "
                "{chunks} passages in {seconds} s.",
                added=report.added,
                updated=report.updated,
                unchanged=report.unchanged,
                removed=report.removed,
                chunks=report.chunks,
                seconds=f"{report.seconds:.1f}",
            )
        )
        for source, reason in report.failed:
            self.line(f"✗ {short(source)}: {reason}", "yellow")

    def remove_report(self, report: RemoveReport) -> None:
        """The receipt of a removal."""
        for source in report.removed:
            self.line(f"− {short(source)}")
        self.line(
            t(
                "Gone: {documents} documents, {chunks} passages, {vectors} vectors, "
                "{postings} postings.",
                documents=len(report.removed),
                chunks=report.chunks,
                vectors=report.vectors,
                postings=report.postings,
            )
        )

    def documents(self, documents: Sequence[tuple[Document, int]]) -> None:
        """The documents of a collection."""
        columns = (t("Document"), t("Title"), t("Format"), t("Language"), t("Size"), t("Passages"))
        rows = [
            (short(d.source), d.title, d.format, d.lang, bytes_text(d.size), str(chunks))
            for d, chunks in documents
        ]
        self.table(columns, rows)

    def models(self, models: "Sequence[ModelShape]") -> None:
        """The models of the catalogue."""
        columns = (t("Model"), t("Kind"), t("Size"), t("Licence"), t("Languages"), t("Here"))
        rows = [
            (m.name, t(m.kind), bytes_text(m.size), m.licence, ", ".join(m.languages),
             "✓" if m.present else "")
            for m in models
        ]  # fmt: skip
        self.table(columns, rows)

    def facts(self, shape: "BaseModel") -> None:
        """Names and values, one a line."""
        rows = []
        for name, value in shape.model_dump().items():
            shown = value
            if isinstance(value, dict):
                shown = ", ".join(f"{key or '–'} {count}" for key, count in value.items())
            elif isinstance(value, tuple | list):
                shown = ", ".join(map(str, value))
            elif name == "bytes":
                shown = bytes_text(value)
            rows.append((t(name), str(shown)))
        self.table(("", ""), rows)

    def checks(self, checks: "Sequence[CheckShape]") -> None:
        """What the doctor found."""
        marks = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "red")}
        for check in checks:
            mark, style = marks[check.state]
            self.line(f"{mark} {check.name}: {check.detail}", style)
            if check.fix:
                self.line(f"  → {check.fix}")

    def text(self, text: str) -> None:
        """A document's text, to the character; on a terminal, made safe and ended by a newline."""
        if sys.stdout.isatty():
            self.write(clean(text).rstrip("\n") + "\n")
        else:
            self.write(text)

    def stream_answer(self, events: Iterable[Event]) -> Answer:
        """Show the passages at once, then the answer as it comes, then its sources."""
        streamed = ""
        for event in events:
            if isinstance(event, Retrieved):
                self.sources_found(event.contexts)
            elif isinstance(event, Token):
                streamed += event.text
                self.token(event.text)
            else:
                self.final(event.answer, streamed)
                return event.answer
        raise AssertionError("a stream ends with Finished")

    def final(self, answer: Answer, streamed: str) -> None:
        """What follows the streamed text: the sources, or that there is no answer."""
        if streamed:
            self.line()
        if answer.status == "no_model":
            for number, context in enumerate(answer.contexts, 1):
                self.line(f"[{number}] {_preview(context.text)}\n")
        elif answer.status == "unanswerable":
            if not streamed.strip():
                self.line(answer.text, "yellow")
            elif not answer.text.startswith(streamed.strip().rstrip(".。")):
                self.line(t("The documents do not support that."), "yellow")
                self.line(answer.text, "yellow")
        else:
            self.line()
            self.citations(answer)

    def sources_found(self, contexts: Sequence[SearchResult]) -> None:
        """The passages that the answer will be made from, one line each."""
        for number, context in enumerate(contexts, 1):
            self.line(f"[{number}] {place(context)}", "dim")
        self.line()

    def token(self, text: str) -> None:
        """The next piece of a streamed answer."""
        self.write(clean(text))

    def citations(self, answer: Answer) -> None:
        """The claims of an answer with what the sources say."""
        self.line(t("Sources"), "bold")
        for citation in answer.citations:
            self.line(f"[{citation.number}] {span(citation)}  {t(citation.support)}",
                      _SUPPORT_STYLE[citation.support])  # fmt: skip
            self.line(f"    “{_preview(citation.quote)}”")

    def _stderr(self) -> "Console":
        if self._err is None:
            from rich.console import Console

            self._err = Console(stderr=True, soft_wrap=True)
        return self._err

    def _stdout(self) -> "Console":
        if self._out is None:
            from rich.console import Console

            self._out = Console(soft_wrap=True)
        return self._out


def clean(text: str) -> str:
    """``text`` without control characters, which a terminal would obey."""
    return text.translate(_INVISIBLE)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(clean(text).replace("\n", " "))


def place(result: SearchResult) -> str:
    """Where a passage stands: file, page, headings."""
    parts = [short(result.source)]
    if result.page is not None:
        parts.append(t("p. {page}", page=result.page))
    return " › ".join([" ".join(parts), *result.heading]).replace("\n", " ")


def span(citation: Citation) -> str:
    """The citation's source and span, as ``show SOURCE --span`` takes them."""
    page = f" {t('p. {page}', page=citation.page)}" if citation.page is not None else ""
    return f"{short(citation.source)}:{citation.start}:{citation.end}{page}"


def short(source: str) -> str:
    """A path as one would type it from the working folder, where that is shorter."""
    try:
        return str(Path(source).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return source


def _preview(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _PREVIEW else line[: _PREVIEW - 1] + "…"


def bytes_text(count: int) -> str:
    """A number of bytes for people, in decimal units."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError
