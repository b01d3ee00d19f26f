"""txtai's hybrid search on the same sets, with the same embedding model and the same measures.

::

    python3 -m venv .venv-txtai
    .venv-txtai/bin/pip install txtai ir_measures
    .venv-txtai/bin/python -m benchmarks.peers.txtai_retrieval MODEL [--markdown] [--json FILE]

MODEL is the folder of all-MiniLM-L6-v2. Each paragraph is one entry, as in txtai's own examples;
once with its title before the text and once without, since either might suit txtai better.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.metrics import CUTOFF, evaluate
from benchmarks.report import Result, intervals, scores, write_json
from benchmarks.sets import MissingSetsError, Paragraph, Task, data_folder, tasks

_SETS: Final = ("squad_en", "cmrc2018_zh", "drcd_zht")
_VARIANTS: Final = {"txtai, title and text": True, "txtai, text": False}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--sets", nargs="+", choices=_SETS, default=_SETS, metavar="SET")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    results = []
    try:
        folder = data_folder()
        for name in options.sets:
            for task in tasks(folder, name, options.limit):
                for system, titled in _VARIANTS.items():
                    print(f"{task.name}: {system}", file=sys.stderr, flush=True)
                    index = _index(options.model, task.paragraphs, titled)
                    results.append(_measure(system, index, task))
    except MissingSetsError as error:
        print(error, file=sys.stderr)
        return 2
    print(scores(results, markdown=options.markdown), end="\n\n")
    print(intervals(results, markdown=options.markdown))
    if options.json:
        write_json(options.json, results, {"txtai": version("txtai")})
    return 0


def _index(model: Path, paragraphs: Sequence[Paragraph], titled: bool) -> Any:
    from txtai import Embeddings  # type: ignore[import-not-found]

    embeddings = Embeddings(path=str(model), hybrid=True, content=False)
    embeddings.index((p.id, f"{p.title}\n{p.text}" if titled else p.text, None) for p in paragraphs)
    return embeddings


def _measure(system: str, index: Any, task: Task) -> Result:
    rankings: dict[str, list[str]] = {}
    seconds = []
    for question in task.questions:
        started = time.perf_counter()
        found = index.search(question.text, CUTOFF)
        seconds.append(time.perf_counter() - started)
        rankings[question.id] = [document for document, _ in found]
    gold = {question.id: question.gold for question in task.questions}
    return Result(task.name, system, evaluate(gold, rankings), seconds)


if __name__ == "__main__":
    sys.exit(main())
