"""What was measured of several systems: medians, ratios, and who does what better."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from benchmarks.systems import WAGGLE


@dataclass(frozen=True, slots=True)
class Row:
    """One round of one system on one folder. ``cold`` and ``warm`` hold the seconds of single
    questions: of new processes, and of one that runs already."""

    folder: str
    system: str
    numbers: Mapping[str, float]
    cold: Sequence[float] = field(default_factory=list)
    warm: Sequence[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Measure:
    """A column of the tables. ``digits`` follow the decimal point."""

    name: str
    head: str
    unit: str
    digits: int
    more_is_better: bool = False


MEASURES: Final = (
    Measure("documents_per_second", "documents/s", "", 1, more_is_better=True),
    Measure("index_seconds", "index", "s", 1),
    Measure("index_cpu_seconds", "index CPU", "s", 1),
    Measure("index_memory", "index memory", "MB", 0),
    Measure("disk", "disk", "MB", 2),
    Measure("cold_p50", "cold p50", "s", 2),
    Measure("cold_p95", "cold p95", "s", 2),
    Measure("cold_cpu_seconds", "cold CPU", "s", 2),
    Measure("warm_p50", "warm p50", "ms", 1),
    Measure("warm_p95", "warm p95", "ms", 1),
    Measure("warm_memory", "warm memory", "MB", 0),
    Measure("R@5", "R@5", "", 4, more_is_better=True),
    Measure("RR@10", "MRR@10", "", 4, more_is_better=True),
)

Figures = Mapping[str, Mapping[str, Mapping[str, float]]]
"""By folder, system and measure."""


def figures(rows: Sequence[Row]) -> Figures:
    """Medians over the rounds; the quantiles are over the questions of all rounds together."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        systems = found.setdefault(row.folder, {})
        if row.system not in systems:
            same = [r for r in rows if (r.folder, r.system) == (row.folder, row.system)]
            systems[row.system] = _summary(same)
    return found


def _summary(rows: Sequence[Row]) -> dict[str, float]:
    values = {
        name: float(np.median([row.numbers[name] for row in rows])) for name in rows[0].numbers
    }
    for name, lists, scale in (
        ("cold", [row.cold for row in rows], 1),
        ("warm", [row.warm for row in rows], 1000),
    ):
        seconds = [second for one in lists for second in one]
        if seconds:
            middle, late = np.quantile(seconds, [0.5, 0.95]) * scale
            values |= {f"{name}_p50": float(middle), f"{name}_p95": float(late)}
    return values


def ratio(measure: Measure, waggle: float, peer: float) -> float:
    """How many times better Waggle is; below 1 the peer is better. Two zeros are equal."""
    better, worse = (waggle, peer) if measure.more_is_better else (peer, waggle)
    if better == worse:
        return 1.0
    return better / worse if worse else float("inf")


@dataclass(frozen=True, slots=True)
class Lead:
    """A measure in which a peer is better than Waggle."""

    folder: str
    peer: str
    measure: Measure
    waggle: float
    value: float


def leads(found: Figures) -> Iterator[Lead]:
    """Every measure on which a peer beats Waggle, to the digits that are printed."""
    for folder, systems in found.items():
        waggle = systems.get(WAGGLE, {})
        for peer, values in systems.items():
            for measure in MEASURES:
                if peer == WAGGLE or measure.name not in values or measure.name not in waggle:
                    continue
                mine, other = (
                    round(v, measure.digits) for v in (waggle[measure.name], values[measure.name])
                )
                if (other > mine) == measure.more_is_better and other != mine:
                    yield Lead(folder, peer, measure, mine, other)


def slower_than(found: Figures, folder: str, times: float, peers: Sequence[str]) -> list[str]:
    """Those of ``peers`` than which Waggle does not index ``folder`` ``times`` as fast."""
    systems = found.get(folder, {})
    if WAGGLE not in systems:
        return []
    name = "documents_per_second"
    mine = systems[WAGGLE][name]
    return [peer for peer in peers if peer in systems and mine < times * systems[peer][name]]
