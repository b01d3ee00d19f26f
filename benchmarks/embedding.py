"""Texts per second and nDCG@10 of the built-in embedding model, against torch in float32.

::

    python -m benchmarks.embedding [--sample N] [--rounds N] [--threads N] [--no-quality]

sentence-transformers is run as LangChain's ``HuggingFaceEmbeddings`` runs it (batches of 32, sorted
by length) and as LlamaIndex's ``HuggingFaceEmbedding`` does (batches of 10, in the given order).
The systems take turns, so that what else the machine does meets all of them; the medians count.
CPU seconds are those of all threads: on a busy machine compare them with ``--threads 1``, since
torch's threads spin while they wait for each other. Exit status 2: there is nothing to measure
with.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.sets import MissingSetsError, Task, data_folder, tasks
from indexes.embedding import LocalEmbedder, default_embedder
from indexes.embedding.convert import convert
from indexes.embedding.default import _installed_model
from indexes.embedding.fingerprint import model_fingerprint
from indexes.embedding.record import RECORD_NAME
from rag.evaluation.ranking import CUTOFF, evaluate

Vectors = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]
BASELINE = "sentence-transformers, float32, batches of 32"
_WORDS_OF_A_SHORT_TEXT = 12


@dataclass(slots=True)
class Times:
    """One entry a round: texts per second of the clock, and of the processor."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    options = _options(arguments)
    try:
        task = next(tasks(data_folder(), "squad_en"))
    except MissingSetsError as error:
        print(error, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as cache:
        systems = _systems(Path(cache), options.threads)
        samples = _samples(task, options.sample)
        times = {name: _measure(systems, texts, options.rounds) for name, texts in samples.items()}
        quality = _quality(systems, task) if options.quality else {}
    print(f"{_machine()}, {len(os.sched_getaffinity(0))} cores\n")
    print(_table(list(systems), times, quality))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.embedding", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--sample", type=int, default=200, help="texts of one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--no-quality", dest="quality", action="store_false")
    return parser.parse_args(arguments)


def _systems(cache: Path, threads: int) -> dict[str, Encode]:
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    # The tokenizers library has threads of its own.
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    model = SentenceTransformer(str(_installed_model()), device="cpu")

    def sorted_batches(texts: Sequence[str]) -> Vectors:
        return np.asarray(model.encode(list(texts), normalize_embeddings=True))

    def small_batches(texts: Sequence[str]) -> Vectors:
        return np.concatenate(
            [sorted_batches(texts[first : first + 10]) for first in range(0, len(texts), 10)]
        )

    return {
        BASELINE: sorted_batches,
        "sentence-transformers, float32, batches of 10": small_batches,
        "Waggle, float32": _float32(cache / "f32", threads).encode,
        "Waggle, int8": default_embedder(cache / "int8", threads=threads).encode,
    }


def _float32(cache: Path, threads: int) -> LocalEmbedder:
    """The built-in model as a model without an 8-bit graph is run."""
    fingerprint = model_fingerprint(_installed_model(), cache)
    folder = cache / "exports" / fingerprint
    folder.mkdir(parents=True)
    record = convert(_installed_model(), folder, fingerprint, int8=False)
    (folder / RECORD_NAME).write_text(record.model_dump_json(), encoding="utf-8")
    return default_embedder(cache, threads=threads)


def _samples(task: Task, size: int) -> dict[str, list[str]]:
    """Paragraphs, and paragraphs of which every second one is cut to a line."""
    chosen = np.random.default_rng(1).permutation(len(task.paragraphs))[:size]
    long = [task.paragraphs[row].text for row in chosen]
    short = [" ".join(text.split()[:_WORDS_OF_A_SHORT_TEXT]) for text in long]
    mixed = [pair[number % 2] for number, pair in enumerate(zip(long, short, strict=True))]
    return {"paragraphs": long, "short and long": mixed}


def _measure(systems: dict[str, Encode], texts: list[str], rounds: int) -> dict[str, Times]:
    times = {name: Times() for name in systems}
    for encode in systems.values():
        encode(texts[:8])
    for _ in range(rounds):
        for name, encode in systems.items():
            wall, cpu = time.perf_counter(), time.process_time()
            encode(texts)
            times[name].wall.append(len(texts) / (time.perf_counter() - wall))
            times[name].cpu.append(len(texts) / (time.process_time() - cpu))
    return times


def _quality(systems: dict[str, Encode], task: Task) -> dict[str, float]:
    """nDCG@10 of the exact search; small batches give what large ones give."""
    paragraphs = [paragraph.text for paragraph in task.paragraphs]
    questions = [question.text for question in task.questions]
    gold = {question.id: question.gold for question in task.questions}
    figures = {}
    for name, encode in systems.items():
        if name.endswith("batches of 10"):
            continue
        scores = encode(questions) @ encode(paragraphs).T
        best = np.argsort(-scores, axis=1)[:, :CUTOFF]
        found = [[task.paragraphs[row].id for row in rows] for rows in best]
        figures[name] = float(evaluate(gold, dict(zip(gold, found, strict=True)))["nDCG@10"].mean())
    return figures


def _table(names: list[str], times: dict[str, dict[str, Times]], quality: dict[str, float]) -> str:
    head = ["embedding"]
    for sample in times:
        head += [f"{sample}: texts/s", "ratio", "texts/CPU s", "ratio"]
    rows = [[*head, "nDCG@10"], ["---"] * (len(head) + 1)]
    for name in names:
        row = [name]
        for measured in times.values():
            row += _pair(measured[name].wall, measured[BASELINE].wall)
            row += _pair(measured[name].cpu, measured[BASELINE].cpu)
        rows.append([*row, f"{quality[name]:.4f}" if name in quality else ""])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _pair(rates: list[float], baseline: list[float]) -> list[str]:
    ratio: Any = np.median(np.array(rates) / np.array(baseline))
    return [f"{np.median(rates):.1f}", f"{ratio:.2f}"]


def _machine() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


if __name__ == "__main__":
    sys.exit(main())
