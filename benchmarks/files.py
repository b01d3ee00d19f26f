"""Many files: how fast they are indexed, how fast a second look finds that nothing has changed,
and that the memory does not grow with them.

``python -m benchmarks.files --files 100000 --folder FOLDER`` writes that many small text files,
unless the folder already holds them, and indexes them with an embedding model that only hashes
words, so that everything else is what is measured. Each step runs in a process of its own. It
prints a Markdown table.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import Load, machine
from indexes.collection import Collection
from indexes.home import disk_usage
from tests.indexes.hash_embedder import HashEmbedder

_IN_A_FOLDER = 500
_WORDS = 60
_GONE = 1_000
_SEED = 11
_NAME = "files"


@contextmanager
def measured(figures: dict[str, float], step: str) -> Iterator[None]:
    """Seconds on the wall and of the processor, and by how many MB the memory of this process
    grew at its fullest (Linux only; 0 elsewhere), into ``figures``."""
    before = _forget_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    figures[f"{step}: s"] = time.perf_counter() - wall
    figures[f"{step}: CPU s"] = time.process_time() - cpu
    figures[f"{step}: memory grew by MB"] = (_status("VmHWM") - before) / 1e6


def _forget_peak() -> int:
    """The size of this process now, which is then the largest so far (proc(5), clear_refs)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except OSError:
        return _status("VmHWM")
    return _status("VmRSS")


def _status(field: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def write_files(folder: Path, count: int) -> None:
    """``count`` files of 60 words, 500 in a folder."""
    dice = random.Random(_SEED)
    letters = "etaoinshrdlu"
    words = ["".join(dice.choices(letters, k=dice.randint(3, 9))) for _ in range(5_000)]
    for number in range(count):
        below = folder / f"{number // _IN_A_FOLDER:04d}"
        if number % _IN_A_FOLDER == 0:
            below.mkdir(parents=True, exist_ok=True)
        text = f"File {number}. {' '.join(dice.choices(words, k=_WORDS))}."
        (below / f"file-{number:06d}.txt").write_text(text, "utf-8")


def index(home: Path, files: Path) -> dict[str, float]:
    """Index all of them."""
    figures: dict[str, float] = {}
    with _opened(home) as collection:
        with measured(figures, "index"):
            report = collection.add([files])
        figures["index: files/s"] = report.added / figures["index: s"]
        figures["index: files per CPU second"] = report.added / figures["index: CPU s"]
    return figures


def rescan(home: Path, files: Path) -> dict[str, float]:
    """Look at all of them again; nothing has changed."""
    figures: dict[str, float] = {}
    with _opened(home) as collection, measured(figures, "unchanged"):
        report = collection.add([files])
    figures["unchanged: files"] = report.unchanged
    return figures


def prune(home: Path, files: Path) -> dict[str, float]:
    """Delete a thousand, and find out which."""
    there = sorted(files.rglob("*.txt"))
    gone = there[:: max(1, len(there) // _GONE)][:_GONE]
    for path in gone:
        path.unlink()
    figures: dict[str, float] = {}
    with _opened(home) as collection, measured(figures, "prune"):
        report = collection.add([files], prune=True)
    figures["prune: removed"] = report.removed
    return figures


STEPS: dict[str, Callable[[Path, Path], dict[str, float]]] = {
    "index": index,
    "rescan": rescan,
    "prune": prune,
}


def _opened(home: Path) -> Collection:
    return Collection.open(_NAME, home=home, embedder=HashEmbedder())


def step_alone(step: str, home: Path, files: Path) -> dict[str, float]:
    """A step in a process of its own, which has nothing in memory yet."""
    command = [sys.executable, "-m", "benchmarks.files", "--folder", str(files), "--step", step]
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    done = subprocess.run(
        [*command, "--home", str(home)],
        check=True, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--files", type=int, default=100_000)
    arguments.add_argument("--folder", type=Path, required=True)
    arguments.add_argument("--step", choices=list(STEPS), help=argparse.SUPPRESS)
    arguments.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.step:
        print(json.dumps(STEPS[options.step](options.home, options.folder)))
        return 0
    files, home = options.folder / "files", options.folder / "home"
    if not files.exists():
        write_files(files, options.files)
    load, figures = Load(), dict[str, float]()
    for step in STEPS:
        if step != "index" or not home.exists():
            figures |= step_alone(step, home, files)
            print(f"{step} is done", file=sys.stderr, flush=True)
    print(
        f"{options.files:,} files on {machine()}; other programs took {load.others():.0%} of "
        f"the processors; the collection takes {disk_usage(home) / 1e6:.0f} MB\n"
    )
    print("| | |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value:,.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
