"""Doing every case in every way, several at a time, and keeping what comes."""

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Final

import agents
import rag
from agents.measuring.records import CaseLine, MeasuredRun, MeasuredRuns, MeasureHeader
from agents.measuring.sets import set_named
from agents.measuring.types import Bench, Case, TaskSet, Trial, Way
from indexes.errors import EndpointError, SourceError, UsageError
from indexes.i18n import t
from rag.evaluation.datasets import Half, data_folder, half_of
from rag.evaluation.kept import RunWriter
from rag.evaluation.readers import digest_of
from rag.models.chat import model_name

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from indexes.collection import Notice
    from rag.evaluation.shelves import Progress

_PACKAGES: Final = ("waggledance", "langchain", "langgraph", "langchain-core")
_SETTINGS: Final = ("temperature", "max_tokens")
_MAX_STEM: Final = 60
_CODE: Final = (
    (Path(agents.__file__).parent, ("loop", "toolbox", "measuring")),
    (Path(rag.__file__).parent, ("models", "prompting")),
)
"""Whose sources an outcome depends on."""


@dataclass(frozen=True, slots=True)
class MeasurePlan:
    """What to measure: a set by its name, or ``SET/GROUP,…`` of it; ``limit`` cases of each group.
    ``data`` is the folder of the sets, by default that of the other evaluations."""

    name: str
    limit: int | None = 20
    half: Half = "report"
    seed: int = 0
    way: Way = "both"
    concurrency: int = 1
    data: Path | None = None

    @classmethod
    def of(cls, header: MeasureHeader, concurrency: int, data: Path | None) -> "MeasurePlan":
        """That by which a run was made."""
        return cls(
            header.dataset, header.limit, header.half, header.seed, header.way, concurrency, data,
        )  # fmt: skip


def measure(
    plan: MeasurePlan,
    home: Path,
    chat: "BaseChatModel",
    *,
    resume: str | None = None,
    notice: "Notice | None" = None,
    progress: "Progress | None" = None,
) -> MeasuredRun:
    """Measure, or do what the run ``resume`` still lacks.

    Raises `UsageError` for a set that there is not, or a run that was about something else,
    `SourceError` for files that cannot be read, ``EndpointError`` where the model's server fails:
    what has come by then is kept.
    """
    name, _, groups = plan.name.partition("/")
    chosen_set, runs = set_named(name), MeasuredRuns(home)
    folder = plan.data or data_folder()
    cases = choose(_read(chosen_set, folder, groups.split(",") if groups else ()), plan)
    bench = Bench(chat, home, folder, plan.way, notice)
    with chosen_set.trials(bench) as trials:
        header = _bound(plan, chosen_set, bench, cases, trials, runs)
        writing = runs.continuing(resume, header) if resume else runs.writing(header)
        with writing as writer:
            _do_all(plan.concurrency, cases, trials, writer, progress)
    return runs.read(resume or header.run)


def choose(cases: Sequence[Case], plan: MeasurePlan) -> tuple[Case, ...]:
    """Those of the half, ``limit`` of each group, in the order of a hash of the seed and the id:
    a smaller choice is a part of a larger one. The groups take turns, so that a run that is stopped
    has something of each. Raises `UsageError` where there is none."""
    order = sorted(
        (case for case in cases if plan.half in ("all", half_of(case.id))),
        key=lambda case: hashlib.sha256(f"{plan.seed}\0{case.id}".encode()).digest(),
    )
    groups = dict.fromkeys(case.group for case in cases)
    parts = [[case for case in order if case.group == group][: plan.limit] for group in groups]
    chosen = tuple(case for turn in zip_longest(*parts) for case in turn if case is not None)
    if not chosen:
        raise UsageError(t("«{name}» has no case in the half {half}.", name=plan.name,
                           half=plan.half))  # fmt: skip
    return chosen


def _read(chosen: TaskSet, folder: Path, groups: Sequence[str]) -> Sequence[Case]:
    try:
        cases = chosen.read(folder)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise SourceError(
            t("The set in {folder} is not as expected: {reason}.", folder=folder, reason=error)
        ) from error
    there = list(dict.fromkeys(case.group for case in cases if case.group))
    for group in groups:
        if group not in there:
            raise UsageError(
                t("«{name}» has no group «{group}». There are: {known}.", name=chosen.name,
                  group=group, known=", ".join(there) or "–")
            )  # fmt: skip
    return [case for case in cases if not groups or case.group in groups]


def _bound(
    plan: MeasurePlan,
    chosen: TaskSet,
    bench: Bench,
    cases: Sequence[Case],
    trials: Sequence[Trial],
    runs: MeasuredRuns,
) -> MeasureHeader:
    """Everything that the outcomes depend on, under the name of a new run."""
    now = datetime.now(UTC)
    stem = re.sub(r"[/,]", "-", plan.name)[:_MAX_STEM]
    return MeasureHeader(
        run=runs.free_name(f"{stem}-{now:%Y%m%d-%H%M%S}"),
        started=now.isoformat(timespec="seconds"),
        dataset=plan.name,
        sha256=digest_of([bench.data / file for file in chosen.files]),
        half=plan.half,
        limit=plan.limit,
        seed=plan.seed,
        way=plan.way,
        cases=tuple(case.id for case in cases),
        trials=tuple(trial.name for trial in trials),
        model=model_name(bench.chat),
        settings={name: getattr(bench.chat, name, None) for name in _SETTINGS},
        prompts={name: _sha256(text) for name, text in chosen.texts().items()},
        code=_code(),
        versions=_versions(),
    )


def _versions() -> Mapping[str, str]:
    return {**{name: version(name) for name in _PACKAGES}, "python": python_version()}


def _code() -> str:
    digest = hashlib.sha256()
    for root, packages in _CODE:
        for package in packages:
            for file in sorted((root / package).rglob("*.py")):
                digest.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _do_all(
    at_once: int,
    cases: Sequence[Case],
    trials: Sequence[Trial],
    writer: RunWriter[MeasureHeader, CaseLine],
    progress: "Progress | None",
) -> None:
    done = {(line.trial, line.case) for line in writer.outcomes}
    todo = [(c, trial) for c in cases for trial in trials if (trial.name, c.id) not in done]
    count, total, started = len(done), len(done) + len(todo), time.monotonic()
    if progress:
        progress(t("Measuring"), count, total)
    pool = ThreadPoolExecutor(at_once, "waggle-measure")
    try:
        for future in as_completed([pool.submit(_line, *one) for one in todo]):
            writer.write(future.result())
            count += 1
            if progress:
                minutes = max(time.monotonic() - started, 1e-3) / 60
                rate = f"{(count - len(done)) / minutes:.1f}"
                progress(t("Measuring, {rate}/min", rate=rate), count, total)
    finally:
        pool.shutdown(cancel_futures=True)


def _line(case: Case, trial: Trial) -> CaseLine:
    """A server that fails once, such as by a reply that does not come in time, may well do better
    the second time; hours of work need not end with that."""
    try:
        came = trial.do(case)
    except EndpointError:
        came = trial.do(case)
    return CaseLine(
        trial=trial.name, case=case.id, group=case.group, figures=dict(came.figures),
        prompt_tokens=came.usage.prompt_tokens, completion_tokens=came.usage.completion_tokens,
        seconds=came.seconds, detail=dict(came.detail), error=came.error,
    )  # fmt: skip
