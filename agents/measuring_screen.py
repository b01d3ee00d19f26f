"""``waggle eval agent``: measures, and shows the figures."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agents.evaluating import comparison_table, list_table, scores_table
from agents.evaluation_shapes import (
    ChangeShape,
    ComparisonShape,
    FigureShape,
    MeasureShape,
    RunShape,
    ScoresShape,
)
from agents.measuring.figuring import COSTS, changes, scores
from agents.measuring.records import MeasuredRun, MeasuredRuns
from agents.measuring.running import MeasurePlan, measure
from agents.measuring.sets import set_named
from agents.measuring.types import TaskSet
from agents.measuring_shapes import MeasuresShape
from agents.terminal import Terminal
from indexes.errors import UsageError, WaggleError
from indexes.i18n import t

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

ChatFactory = Callable[[], "BaseChatModel | None"]


def run_measured(
    terminal: Terminal,
    home: Path,
    given: MeasurePlan,
    names: Sequence[str],
    chat: ChatFactory,
    resume: str | None = None,
) -> None:
    """Measure the sets ``names`` as it is ``given``, one after the other, or go on with a run."""
    plans = [replace(given, name=name) for name in names]
    if resume:
        header = MeasuredRuns(home).read(resume).header
        plans = [MeasurePlan.of(header, given.concurrency, given.data)]
    for plan in plans:
        set_named(plan.name.partition("/")[0])  # a wrong name is told before a model is loaded
    model = chat()
    if model is None:
        raise UsageError(t("There is no chat model here. Get one with: waggle models pull"))
    _present(terminal, home, [_measured(terminal, home, plan, model, resume) for plan in plans])


def show_measured(terminal: Terminal, home: Path, name: str) -> None:
    """The figures of a run that is there."""
    _present(terminal, home, [MeasuredRuns(home).read(name)])


def list_measured(terminal: Terminal, home: Path) -> None:
    """All runs that are kept, the oldest first."""
    runs = MeasuredRuns(home)
    list_table(terminal, tuple(_run_shape(runs.read(name)) for name in runs.names()))


def _measured(
    terminal: Terminal, home: Path, plan: MeasurePlan, model: "BaseChatModel", resume: str | None
) -> MeasuredRun:
    runs = MeasuredRuns(home)
    before = set(runs.names()) - {resume}
    try:
        with terminal.steps() as bar:
            return measure(plan, home, model, resume=resume, notice=terminal.notice, progress=bar)
    except (WaggleError, KeyboardInterrupt):
        for name in set(runs.names()) - before:
            terminal.notice(
                t("What was measured is kept. Go on with: waggle eval agent --resume {run}",
                  run=name)
            )  # fmt: skip
        raise


# -- showing -------------------------------------------------------------------------------------


def _present(terminal: Terminal, home: Path, measured: Sequence[MeasuredRun]) -> None:
    shapes = tuple(_shape(home, run) for run in measured)
    if terminal.as_json:
        terminal.json(MeasuresShape(measured=shapes))
        return
    for shape in shapes:
        names = (*_set_of(shape.dataset).figures, *COSTS)
        scores_table(terminal, (shape.dataset, shape.model), shape.scores, names)
        for comparison in shape.comparisons:
            comparison_table(terminal, comparison)
        if not shape.complete:
            terminal.notice(
                t("The run is not complete. Go on with: waggle eval agent --resume {run}",
                  run=shape.run)
            )  # fmt: skip
        terminal.line(t("Kept in {file}", file=shape.file), "dim")


def _shape(home: Path, run: MeasuredRun) -> MeasureShape:
    measured = _set_of(run.header.dataset)
    found = tuple(
        ScoresShape(
            pipeline=one.trial, group=one.group, questions=one.cases,
            figures=tuple(FigureShape.model_validate(figure) for figure in one.figures),
        )
        for one in scores(run, measured)
    )  # fmt: skip
    file = MeasuredRuns(home).folder / f"{run.header.run}.jsonl"
    return MeasureShape(
        **_run_shape(run).model_dump(exclude={"started"}), half=run.header.half, file=str(file),
        complete=run.complete, scores=found, comparisons=_comparisons(run, measured),
    )  # fmt: skip


def _comparisons(run: MeasuredRun, measured: TaskSet) -> tuple[ComparisonShape, ...]:
    first, *others = run.header.trials
    found = changes(run, measured)
    return tuple(
        ComparisonShape(
            first=other, second=first, changed=(),
            changes=tuple(ChangeShape.model_validate(one) for one in found if one.other == other),
        )
        for other in others
    )  # fmt: skip


def _set_of(dataset: str) -> TaskSet:
    return set_named(dataset.partition("/")[0])


def _run_shape(run: MeasuredRun) -> RunShape:
    header = run.header
    return RunShape(
        run=header.run, dataset=header.dataset, model=header.model, started=header.started,
        outcomes=len(run.lines), wanted=run.wanted,
    )  # fmt: skip
