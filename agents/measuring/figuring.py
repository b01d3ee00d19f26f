"""Figures of a run: each way of doing the cases by itself, and the first beside the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agents.measuring.records import CaseLine, MeasuredRun
from agents.measuring.types import TaskSet
from rag.evaluation.scoring import Figure
from rag.evaluation.statistics import Difference, difference, interval

COSTS: Final = ("prompt tokens", "completion tokens", "seconds")
"""The figures of every set, behind its own."""


@dataclass(frozen=True, slots=True)
class TrialScores:
    """The figures of a way over the cases of a group, of a pool of them, or (``""``) of a set that
    has no groups."""

    trial: str
    group: str
    cases: int
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class TrialChange:
    """A figure over the cases that both ways have: that of the ``other`` way, that of the ``trial``
    which is the product's, and what it has over the other."""

    trial: str
    other: str
    group: str
    name: str
    first: float
    second: float
    difference: Difference
    count: int


def scores(run: MeasuredRun, measured: TaskSet) -> tuple[TrialScores, ...]:
    """For every group and pool, the figures of each way."""
    return tuple(
        TrialScores(trial, group, len(lines), _figures(lines, measured))
        for group, members in _groups(run, measured)
        for trial in run.header.trials
        if (lines := [one for one in run.lines if one.trial == trial and one.group in members])
    )


def changes(run: MeasuredRun, measured: TaskSet) -> tuple[TrialChange, ...]:
    """What the first way has over each of the others, case by case."""
    first, *others = run.header.trials
    return tuple(
        change
        for group, members in _groups(run, measured)
        for other in others
        for name in (*measured.figures, *COSTS)
        if (change := _change(run, first, other, group, members, name))
    )


def _change(
    run: MeasuredRun, trial: str, other: str, group: str, members: Sequence[str], name: str
) -> TrialChange | None:
    values: dict[str, dict[str, float]] = {trial: {}, other: {}}
    for line in run.lines:
        if line.trial in values and line.group in members and name in (found := _values(line)):
            values[line.trial][line.case] = found[name]
    both = [case for case in values[trial] if case in values[other]]
    if not both:
        return None
    before, now = ([values[one][case] for case in both] for one in (other, trial))
    return TrialChange(
        trial, other, group, name, sum(before) / len(both), sum(now) / len(both),
        difference(before, now), len(both),
    )  # fmt: skip


def _groups(run: MeasuredRun, measured: TaskSet) -> list[tuple[str, tuple[str, ...]]]:
    there = list(dict.fromkeys(line.group for line in run.lines))
    pools = [
        (name, members)
        for name, members in measured.pools.items()
        if sum(group in there for group in members) > 1
    ]
    return [*((group, (group,)) for group in there), *pools]


def _figures(lines: Sequence[CaseLine], measured: TaskSet) -> tuple[Figure, ...]:
    found: list[Figure] = []
    for name in (*measured.figures, *COSTS):
        values = [all_of[name] for line in lines if name in (all_of := _values(line))]
        if values:
            low, high = interval(values)
            found.append(Figure(name, sum(values) / len(values), low, high, len(values)))
    return tuple(found)


def _values(line: CaseLine) -> dict[str, float]:
    return {
        **line.figures,
        "prompt tokens": float(line.prompt_tokens),
        "completion tokens": float(line.completion_tokens),
        "seconds": line.seconds,
    }
