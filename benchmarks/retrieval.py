"""Recall, MRR and nDCG of Waggle's search, measured through `indexes.Collection` as users call it.

::

    python -m benchmarks.retrieval [--sets squad_en ...] [--limit N] [--markdown] [--json FILE]

The exit status is 0 if every bar holds, 1 if one does not, 2 if there is nothing to measure with.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.report import Result, intervals, scores, write_json
from benchmarks.sets import SETS, MissingSetsError, Paragraph, Task, data_folder, tasks
from indexes.collection import Collection
from indexes.embedding import default_embedder
from indexes.retrieval import Mode
from indexes.types import SearchResult
from rag.evaluation.ranking import distinct, evaluate, reciprocal_rank_fusion

_PASSAGES = 50
"""Passages asked for, so that ten documents remain when each counts once. The candidates of a
search are the same for 10 passages as for 50."""
_MODES: Final[tuple[Mode, ...]] = ("lexical", "dense", "hybrid")


@dataclass(frozen=True, slots=True)
class Bar:
    """What the hybrid ranking must reach on a task."""

    task: str
    measure: str
    least: float


BARS: Final = (
    Bar("squad_en", "R@1", 0.87),
    Bar("squad_en", "R@5", 0.97),
    Bar("squad_en", "RR@10", 0.91),
    Bar("cmrc2018_zh", "R@1", 0.985),
    Bar("drcd_zht", "R@1", 0.954),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, judge; returns the exit status."""
    options = _options(arguments)
    try:
        folder = data_folder()
        todo = [task for name in options.sets for task in tasks(folder, name, options.limit)]
    except MissingSetsError as error:
        print(error, file=sys.stderr)
        return 2
    results = list(_run(todo))
    hybrid = [result for result in results if result.system == "hybrid"]
    print(scores(results, markdown=options.markdown))
    print("\n95 % intervals (bootstrap over the questions)\n")
    print(intervals(hybrid, markdown=options.markdown))
    if options.json:
        write_json(options.json, results, {"waggledance": version("waggledance")})
    if options.limit:
        print("\nThe bars were not checked: they are about all questions, without --limit.")
        return 0
    return 0 if judge(hybrid) else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.retrieval", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS, metavar="SET")
    parser.add_argument("--limit", type=_positive, help="only the first LIMIT questions of each")
    parser.add_argument("--markdown", action="store_true", help="the tables of docs/benchmarks.md")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("it must be a number above 0")
    return int(text)


def _run(todo: Sequence[Task]) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as home:
        embedder = default_embedder(Path(home) / "models")
        for number, task in enumerate(todo):
            with Collection.open(f"task-{number}", home=home, embedder=embedder) as collection:
                _tell(f"{task.name}: {len(task.paragraphs)} paragraphs")
                fill(collection, task.paragraphs)
                _tell(f"{task.name}: {len(task.questions)} questions")
                yield from measure(collection, task)


def fill(collection: Collection, paragraphs: Sequence[Paragraph]) -> None:
    """Add every paragraph as a document named by its id."""
    collection.add_texts(
        [paragraph.text for paragraph in paragraphs],
        [{"title": paragraph.title} for paragraph in paragraphs],
        [paragraph.id for paragraph in paragraphs],
    )


def measure(collection: Collection, task: Task) -> Iterator[Result]:
    """Ask every question in every mode; and, for comparison, the two legs joined by reciprocal
    rank fusion of their passages."""
    gold = {question.id: question.gold for question in task.questions}
    rankings: dict[str, dict[str, list[str]]] = {name: {} for name in ("rrf", *_MODES)}
    seconds: dict[str, list[float]] = {name: [] for name in rankings}
    for question in task.questions:
        found: dict[Mode, Sequence[SearchResult]] = {}
        for mode in _MODES:
            started = time.perf_counter()
            found[mode] = collection.search(question.text, _PASSAGES, mode=mode).results
            seconds[mode].append(time.perf_counter() - started)
            rankings[mode][question.id] = distinct(result.source for result in found[mode])
        rankings["rrf"][question.id] = _fused(found)
    for system in ("lexical", "dense", "rrf", "hybrid"):
        yield Result(task.name, system, evaluate(gold, rankings[system]), seconds[system])


def _fused(found: Mapping[Mode, Sequence[SearchResult]]) -> list[str]:
    legs = (found["lexical"], found["dense"])
    sources = {result.chunk_id: result.source for leg in legs for result in leg}
    order = reciprocal_rank_fusion([[result.chunk_id for result in leg] for leg in legs])
    return distinct(sources[chunk] for chunk in order)


def judge(hybrid: Sequence[Result]) -> bool:
    """Print which bars hold; tells whether all do."""
    print()
    reached = {result.task: result for result in hybrid}
    holds = True
    for bar in BARS:
        if bar.task in reached:
            value = reached[bar.task].mean(bar.measure)
            holds = holds and value >= bar.least
            verdict = "holds" if value >= bar.least else "DOES NOT HOLD"
            print(f"{bar.task} {bar.measure} {value:.4f}, at least {bar.least}: {verdict}")
    return holds


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
