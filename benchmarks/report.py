"""Results as tables and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rag.evaluation.ranking import ALL_GOLD, NAMES, Values
from rag.evaluation.statistics import interval


@dataclass(frozen=True, slots=True)
class Result:
    """How one system did on one task. ``values`` holds one value per question for each of
    `metrics.NAMES`, ``seconds`` the time of each search (empty: not measured)."""

    task: str
    system: str
    values: Mapping[str, Values]
    seconds: Sequence[float] = ()

    def mean(self, name: str) -> float:
        """The figure that is reported."""
        return float(self.values[name].mean())


def scores(results: Sequence[Result], *, markdown: bool = False) -> str:
    """One row per task and system. In Markdown, which is kept, without the time of a search: that
    depends on what else the machine does."""
    head = ["set", "questions", "ranking", *NAMES]
    rows = [
        [
            result.task,
            f"{len(result.values[ALL_GOLD]):,}",
            result.system,
            *(f"{result.mean(name):.4f}" for name in NAMES),
        ]
        for result in results
    ]
    if not markdown:
        head.append("ms (median)")
        for row, result in zip(rows, results, strict=True):
            milliseconds = _milliseconds(result.seconds)
            row.append(f"{milliseconds['median']:.1f}" if milliseconds else "")
    return table(head, rows, markdown)


def intervals(results: Sequence[Result], *, markdown: bool = False) -> str:
    """Bootstrap 95 % intervals, one row per result."""
    rows = [
        [result.task, result.system]
        + ["{:.3f} to {:.3f}".format(*interval(result.values[name])) for name in NAMES]
        for result in results
    ]
    return table(["set", "ranking", *NAMES], rows, markdown)


def write_json(file: Path, results: Sequence[Result], about: Mapping[str, Any]) -> None:
    """Means, 95 % intervals and milliseconds of every result, and what they are ``about``."""
    entries = [
        {
            "set": result.task,
            "ranking": result.system,
            "questions": len(result.values[ALL_GOLD]),
            "mean": {name: result.mean(name) for name in NAMES},
            "interval_95": {name: interval(result.values[name]) for name in NAMES},
            "milliseconds": _milliseconds(result.seconds),
        }
        for result in results
    ]
    text = json.dumps({**about, "results": entries}, ensure_ascii=False, indent=1)
    file.write_text(text + "\n", encoding="utf-8")


def _milliseconds(seconds: Sequence[float]) -> dict[str, float] | None:
    if not len(seconds):
        return None
    median, late = np.quantile(seconds, [0.5, 0.95]) * 1000
    return {"median": round(float(median), 2), "p95": round(float(late), 2)}


def table(head: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool) -> str:
    """Cells in columns: for a page, or for a terminal."""
    if markdown:
        lines = [head, ["---"] * len(head), *rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [[cell.ljust(w) for cell, w in zip(r, widths, strict=True)] for r in (head, *rows)]
    return "\n".join("  ".join(line).rstrip() for line in lines)
