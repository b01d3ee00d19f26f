"""The lines of a run's file, ``HOME/evaluations/agent/RUN.jsonl``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agents.measuring.types import Way
from rag.evaluation.datasets import Half
from rag.evaluation.kept import Heading, KeptRuns, Record


class MeasureHeader(Heading):
    """The first line. ``sha256`` is that of the set's files, ``code`` that of the sources of the
    loop and its tools, ``prompts`` are digests of what the model is told, by name; ``cases`` the
    ids of all that are to be done, each in every one of the ``trials``."""

    kind: Literal["agent measurement"] = "agent measurement"
    format: Literal[1] = 1
    dataset: str
    sha256: str
    half: Half
    limit: int | None
    seed: int
    way: Way
    cases: tuple[str, ...]
    trials: tuple[str, ...]
    model: str
    settings: Mapping[str, int | float | str | bool | None]
    prompts: Mapping[str, str]
    code: str
    versions: Mapping[str, str]


class CaseLine(Record):
    """What came of a case in one of the ways."""

    kind: Literal["case"] = "case"
    trial: str
    case: str
    group: str
    figures: Mapping[str, float]
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    detail: Mapping[str, Any]
    error: str


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """A run as far as it has come."""

    header: MeasureHeader
    lines: tuple[CaseLine, ...]

    @property
    def wanted(self) -> int:
        """The lines that a complete run has."""
        return len(self.header.cases) * len(self.header.trials)

    @property
    def complete(self) -> bool:
        return len(self.lines) >= self.wanted


class MeasuredRuns(KeptRuns[MeasureHeader, CaseLine]):
    """The runs under ``home``."""

    def __init__(self, home: Path) -> None:
        super().__init__(home / "evaluations" / "agent", MeasureHeader, CaseLine)

    def read(self, name: str) -> MeasuredRun:
        """A run by its name. Raises as `KeptRuns.lines`."""
        header, lines = self.lines(name)
        wanted = set(header.cases)
        distinct = {(one.trial, one.case): one for one in lines if one.case in wanted}
        return MeasuredRun(header, tuple(distinct.values()))
