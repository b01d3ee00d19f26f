"""The terminal as a door: results for people on stdout, or one JSON object; the rest on stderr."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from agents.answer_screen import AnswerScreen
from agents.screen import clean
from agents.wording import bytes_text, parse_span, place, preview, short
from indexes.findings import VerifyReport
from indexes.i18n import t
from indexes.types import Document, IndexReport, RemoveReport, SearchResponse, Status

if TYPE_CHECKING:
    from agents.shapes import CheckShape, ModelShape, ModelStatusShape, PulledShape


class Terminal(AnswerScreen):
    """What a command shows. Each method writes one result, as JSON where that is asked for."""

    def results(self, response: SearchResponse) -> None:
        """Passages, best first."""
        if self.as_json:
            from agents.shapes import SearchShape

            self.json(SearchShape.of(response))
            return
        for result in response.results:
            self.line(f"{result.rank}. {place(result)}  {result.score:.3f}", "bold")
            self.line(preview(result.text))
            self.line()

    def index_report(self, report: IndexReport) -> None:
        """What an indexing run did, and each file that failed with its reason."""
        if self.as_json:
            from agents.shapes import IndexShape

            self.json(IndexShape.of(report))
            return
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
        if self.as_json:
            from agents.shapes import RemoveShape

            self.json(RemoveShape.of(report))
            return
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

    def verify_report(self, report: VerifyReport) -> None:
        """What a check of the collection found, and what was mended."""
        if self.as_json:
            from agents.shapes import VerifyShape

            self.json(VerifyShape.of(report))
            return
        for sentence in report.repaired:
            self.line(f"✓ {sentence}", "green")
        for problem in report.problems:
            self.line(f"✗ {short(problem.subject)}: {problem.detail}", "red")
        for sources, words in (
            (report.lost, t("lost, for its file is gone")),
            (report.outdated, t("its file has changed since it was indexed")),
            (report.vanished, t("its file is gone")),
        ):
            for source in sources:
                self.line(f"! {short(source)}: {words}", "yellow")
        self.line(
            t(
                "Checked: {documents} documents, {chunks} passages, {vectors} vectors, "
                "{postings} postings, {pages} pages, {files} files in {seconds} s.",
                documents=report.documents,
                chunks=report.chunks,
                vectors=report.vectors,
                postings=report.postings,
                pages=report.pages,
                files=report.files,
                seconds=f"{report.seconds:.1f}",
            )
        )
        if not report.ok:
            self.notice(t("Mend it with: waggle verify --repair"))

    def documents(self, collection: str, documents: Sequence[tuple[Document, int]]) -> None:
        """The documents of a collection, each with its number of passages."""
        if self.as_json:
            from agents.shapes import DocumentShape, ListShape

            shapes = tuple(DocumentShape.of(document, chunks) for document, chunks in documents)
            self.json(ListShape(collection=collection, documents=shapes))
            return
        columns = (t("Document"), t("Title"), t("Format"), t("Language"), t("Size"), t("Passages"))
        rows = [
            (short(d.source), d.title, d.format, d.lang, bytes_text(d.size), str(chunks))
            for d, chunks in documents
        ]
        self.table(columns, rows)

    def models(self, models: "Sequence[ModelShape]") -> None:
        """The models of the catalogue."""
        if self.as_json:
            from agents.shapes import ModelsShape

            self.json(ModelsShape(models=tuple(models)))
            return
        columns = (t("Model"), t("Kind"), t("Engine"), t("Size"), t("Licence"), t("Languages"),
                   t("Here"))  # fmt: skip
        rows = [
            (m.name, t(m.kind), ", ".join(map(t, m.engines)), bytes_text(m.size), m.licence,
             ", ".join(m.languages), "✓" if m.present else "")
            for m in models
        ]  # fmt: skip
        self.table(columns, rows)

    def status(self, status: Status, collections: Sequence[str]) -> None:
        """The facts about a collection, one a line."""
        from agents.shapes import StatusShape

        shape = StatusShape.of(status, tuple(collections))
        if self.as_json:
            self.json(shape)
            return
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

    def checks(self, checks: "Sequence[CheckShape]", *, ok: bool) -> None:
        """What the doctor found."""
        if self.as_json:
            from agents.shapes import DoctorShape

            self.json(DoctorShape(ok=ok, checks=tuple(checks)))
            return
        marks = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "red")}
        for check in checks:
            mark, style = marks[check.state]
            self.line(f"{mark} {check.name}: {check.detail}", style)
            if check.fix:
                self.line(f"  → {check.fix}")

    def text(self, document: Document, span: str | None) -> None:
        """A document's text, or the span ``A:B`` of it, to the character; on a terminal, made safe
        and ended by a newline."""
        length = len(document.text)
        start, end = (0, length) if span is None else parse_span(span, length)
        text = document.text[start:end]
        if self.as_json:
            from agents.shapes import ShowShape

            self.json(
                ShowShape(
                    source=document.source, title=document.title, start=start, end=end, text=text
                )
            )
        elif sys.stdout.isatty():
            self.write(clean(text).rstrip("\n") + "\n")
        else:
            self.write(text)

    def painted(self, pieces: Iterable[tuple[str, str]]) -> None:
        """One text on stdout, made of pieces, each with its style."""
        from rich.text import Text

        shown = Text.assemble(*((clean(text), style) for text, style in pieces))
        self._stdout().print(shown, highlight=False)

    def pulled(self, shape: "PulledShape") -> None:
        """A model that has been fetched."""
        if self.as_json:
            self.json(shape)
        else:
            self.line(t("{name} is here and checked: {path}", name=shape.name, path=shape.path))

    def model_status(self, status: "ModelStatusShape") -> None:
        """What would answer a question now."""
        if self.as_json:
            self.json(status)
            return
        from agents.chat_models import sentences

        for line in sentences(status):
            self.line(line)
