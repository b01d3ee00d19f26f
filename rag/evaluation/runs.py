"""Runs as they are kept: one file each, ``HOME/evaluations/runs/RUN.jsonl``."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from indexes.errors import DamagedError, SourceError
from rag.evaluation.kept import KeptRuns
from rag.evaluation.records import Header, Outcome


@dataclass(frozen=True, slots=True)
class Run:
    """A run as far as it has come."""

    header: Header
    outcomes: tuple[Outcome, ...]

    @property
    def wanted(self) -> int:
        """The outcomes that a complete run has."""
        return len(self.header.questions) * len(self.header.pipelines)

    @property
    def complete(self) -> bool:
        return len(self.outcomes) >= self.wanted


class Runs(KeptRuns[Header, Outcome]):
    """The runs under ``home``."""

    def __init__(self, home: Path) -> None:
        super().__init__(home / "evaluations" / "runs", Header, Outcome)

    def read(self, name: str) -> Run:
        """A run by its name. Raises as `KeptRuns.lines`."""
        header, outcomes = self.lines(name)
        asked = set(header.questions)
        distinct = {(o.pipeline, o.question.id): o for o in outcomes if o.question.id in asked}
        return Run(header, tuple(distinct.values()))

    def unfinished(self, header: Header) -> Run | None:
        """The latest run of exactly the same that has not come to its end."""
        return next((run for run in self.same(header) if not run.complete), None)

    def same(self, header: Header) -> Iterator[Run]:
        """The runs of exactly the same, the latest first."""
        for name in reversed(self.names()):
            try:
                run = self.read(name)
            except (SourceError, DamagedError):
                continue  # somebody else's file, or one that was removed meanwhile
            if run.header.binding() == header.binding():
                yield run
