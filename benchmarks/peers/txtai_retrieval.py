"""txtai's hybrid search on the same sets, with the same embedding model and the same measures.

::

    python -m benchmarks.peers.txtai_retrieval MODEL [--sets ...] [--markdown] [--json FILE]

It runs in an environment of its own, with txtai and ir_measures (see ``docs/benchmarks.md``).
MODEL is the folder of all-MiniLM-L6-v2. Each paragraph is one entry, as in txtai's own examples,
with its title before the text or without, since either might suit txtai better; and once without
the dense leg, since the model hardly knows Chinese.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.report import Result, intervals, scores, write_json
from benchmarks.sets import MissingSetsError, Paragraph, Task, data_folder, tasks
from rag.evaluation.ranking import CUTOFF, evaluate

_SETS: Final = ("squad_en", "cmrc2018_zh", "drcd_zht")
_HYBRID: Final = {"hybrid": True, "content": False}
_KEYWORD: Final = {"keyword": True, "content": False}
_VARIANTS: Final = {
    "txtai hybrid, title and text": (_HYBRID, True),
    "txtai hybrid, text": (_HYBRID, False),
    "txtai keyword, title and text": (_KEYWORD, True),
}


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
                for system, (config, titled) in _VARIANTS.items():
                    print(f"{task.name}: {system}", file=sys.stderr, flush=True)
                    index = _index(options.model, config, task.paragraphs, titled)
                    results.append(_measure(system, index, task))
    except MissingSetsError as error:
        print(error, file=sys.stderr)
        return 2
    print(scores(results, markdown=options.markdown), end="\n\n")
    print(intervals(results, markdown=options.markdown))
    if options.json:
        write_json(options.json, results, {"txtai": version("txtai")})
    return 0


def _index(
    model: Path, config: Mapping[str, bool], paragraphs: Sequence[Paragraph], titled: bool
) -> Any:
    from txtai import Embeddings  # type: ignore[import-not-found]

    dense = {"path": str(model)} if "hybrid" in config else {}
    embeddings = Embeddings(**dense, **config)
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
