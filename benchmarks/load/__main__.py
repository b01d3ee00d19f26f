"""Load on `waggle serve`, before a model server of known pace, and beside Hayhooks.

::

    python -m benchmarks.load [--streams N] [--pace SECONDS] [--soak MINUTES] [--only NAME ...]

It writes a section of ``docs/benchmarks.md`` and ``docs/benchmarks.zh.md``; with ``--quick`` it
tries all out with a few streams in seconds, without locust and peers, and writes nothing. What was
measured before and is not measured now stays in the section. The exit status is 1 if a bar does not
hold, and 2 if something of the measurement itself failed.
"""

import argparse
import datetime
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.load import documents, page
from benchmarks.load.figures import Indexing, Leaving, Overload, Result, Soak, Streams
from benchmarks.load.processes import (
    LoadError,
    Readers,
    Running,
    free_port,
    index,
    paced,
    peer,
    python_of,
    stub,
    waggle,
)
from benchmarks.load.scenarios import Bench, Uploading, leave, overload, soak
from benchmarks.machine import Load, machine
from benchmarks.systems import ROOT, requirements

ENVIRONMENTS: Final = ROOT / "benchmarks" / ".peers"
EXAMPLES: Final = ROOT / "examples"
SCENARIOS: Final = ("streams", "indexing", "leaving", "overload", "slower", "peers", "soak")
DOCUMENTS: Final = 200
SLOWER_PACE: Final = 0.15
"""Seconds a token at which two cores keep up with 200 answers that are being written."""
SLOWER_RATE: Final = 10.0
"""Readers that begin in a second there: all have begun before the first has ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, judge; returns the exit status."""
    options = options_of(arguments)
    load = Load()

    def note(result: Result) -> None:
        if options.quick:
            return
        whole, about = _kept(options, result, load)
        for name, lang in (("benchmarks.md", "en"), ("benchmarks.zh.md", "zh")):
            page.insert(options.docs / name, page.section(whole, about, lang))

    try:
        with tempfile.TemporaryDirectory() as work:
            result = measured(options, Path(work), note)
    except LoadError as error:
        print(error, file=sys.stderr)
        return 2
    note(result)
    bars = result.bars()
    for bar in bars:
        print(bar.line())
    return 0 if all(bar.held for bar in bars) else 1


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What is to be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--streams", type=int, default=200, help="at a time (default 200)")
    parser.add_argument("--each", type=int, default=3, help="questions of each reader (default 3)")
    parser.add_argument("--rate", type=float, default=20.0, help="readers that begin in a second")
    parser.add_argument("--pace", type=float, default=0.02, help="seconds a token (default 0.02)")
    parser.add_argument("--tokens", type=int, default=128, help="of an answer, about")
    parser.add_argument("--queue", type=int, default=64, help="requests that may wait")
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES")
    parser.add_argument("--soak-users", type=int, default=8)
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=None, metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="try it out with few streams")
    parser.add_argument("--home", type=Path, help="a home whose models are used")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    parser.add_argument("--json", type=Path, default=ENVIRONMENTS / "load.json")
    options = parser.parse_args(arguments)
    if options.quick:
        options.streams, options.each, options.rate, options.queue = 4, 1, 100.0, 4
        options.tokens, options.soak, options.soak_users = 40, options.soak or 0.05, 2
    options.only = options.only or [name for name in SCENARIOS if name != "soak" or options.soak]
    return options


Note = Callable[[Result], None]


def measured(options: argparse.Namespace, work: Path, note: Note = lambda _: None) -> Result:
    """Measure, in the folder ``work``; ``note`` is told what there is after each scenario. Raises
    `LoadError`."""
    count = 12 if options.quick else DOCUMENTS
    folder, home = work / "documents", work / "home"
    documents.write(folder, 0, count)
    if options.home:
        home.mkdir()
        (home / "models").symlink_to(options.home / "models")
    index(home, [folder] if options.quick else [folder, EXAMPLES])
    questions = [documents.question_of(number) for number in range(count)]
    locust = None if options.quick else python_of("locust", ENVIRONMENTS)
    result = Result()
    with stub(options.pace, options.tokens) as model:
        if set(options.only) - {"peers"}:
            temporary = work / "temporary"
            temporary.mkdir()
            settings = {
                "WAGGLE_SERVE_CONCURRENCY": str(options.streams), "TMPDIR": str(temporary),
                "WAGGLE_SERVE_QUEUE": str(options.queue), "WAGGLE_SERVE_LOG": "warning",
                "WAGGLE_LANG": "en",
            }  # fmt: skip
            with waggle(home, model, settings, work / "waggle.log") as service:
                bench = Bench(service, model, options.pace, questions, locust, work)
                bench.warm()
                result = _of_waggle(options, bench, count, temporary, note)
        if "peers" in options.only and not options.quick:
            with _hayhooks(folder, model, work) as service:
                bench = Bench(service, model, options.pace, questions, locust, work)
                bench.warm()
                readers = Readers(options.streams, options.each, options.rate)
                found = bench.read("Hayhooks", "hayhooks", readers)
                result = replace(result, streams=[*result.streams, found])
    return result


def _of_waggle(
    options: argparse.Namespace, bench: Bench, count: int, temporary: Path, note: Note
) -> Result:
    result = Result()
    for name in (one for one in SCENARIOS if one in options.only and one != "peers"):
        result = _with(name, result, options, bench, count, temporary)
        _tell(f"{name}: {result.last(name)}")
        note(result)
    return result


def _with(
    name: str, result: Result, options: argparse.Namespace, bench: Bench, count: int,
    temporary: Path,
) -> Result:  # fmt: skip
    """The result, and what the scenario ``name`` adds to it."""
    readers = Readers(options.streams, options.each, options.rate)
    if name == "streams":
        return replace(result, streams=[bench.read("Waggle", "alone", readers)])
    if name == "indexing":
        uploading, begun = Uploading(bench.service, count, 2.0), time.monotonic()
        with uploading.going_on():
            found = bench.read("Waggle, indexing meanwhile", "indexing", readers)
        return replace(result, streams=[*result.streams, found], indexing=uploading.indexed(begun))
    if name == "slower" and not options.quick:
        slow = Readers(options.streams, 2, SLOWER_RATE)
        with paced(bench.model, SLOWER_PACE, bench.pace):
            found = replace(bench, pace=SLOWER_PACE).read("Waggle, slower model", "slower", slow)
        return replace(result, streams=[*result.streams, found])
    if name == "leaving":
        return replace(result, leaving=leave(bench, min(20, options.streams)))
    if name == "overload":
        return replace(result, overload=overload(bench, options.streams, options.queue))
    if name == "soak" and options.soak:
        every = 0.2 if options.quick else 5.0
        lasted = soak(bench, options.soak, options.soak_users, every, temporary)
        return replace(result, soak=lasted)
    return result


@contextmanager
def _hayhooks(folder: Path, model: Running, work: Path) -> Iterator[Running]:
    python, port = python_of("hayhooks", ENVIRONMENTS), free_port()
    command = [str(python.with_name("hayhooks")), "run", "--host", "127.0.0.1", "--port", str(port),
               "--pipelines-dir", str(ROOT / "benchmarks" / "peers" / "hayhooks")]  # fmt: skip
    more = {"LOAD_DOCUMENTS": str(folder), "LOAD_MODEL_URL": model.url, "LOG": "WARNING",
            "HAYSTACK_TELEMETRY_ENABLED": "False"}  # fmt: skip
    with ExitStack() as stack:
        yield stack.enter_context(peer(command, more, port, "load", "/status", work / "peer.log"))


def _kept(
    options: argparse.Namespace, result: Result, load: Load
) -> tuple[Result, Mapping[str, Any]]:
    """The result together with what was measured before, kept in a file."""
    older = _read(options.json)
    labels = {one.label for one in result.streams}
    whole = Result(
        [*result.streams, *(one for one in older.streams if one.label not in labels)],
        result.indexing or older.indexing, result.leaving or older.leaving,
        result.overload or older.overload, result.soak or older.soak,
    )  # fmt: skip
    whole = replace(whole, streams=sorted(whole.streams, key=lambda one: _order(one.label)))
    about = _about(options, load) if result.streams else _saved(options.json).get("about")
    about = about or _about(options, load)
    saved = {**asdict(whole), "about": about}
    options.json.write_text(json.dumps(saved, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return whole, about


def _order(label: str) -> tuple[bool, str]:
    return not label.startswith("Waggle"), label


def _read(file: Path) -> Result:
    saved = _saved(file)
    if not saved:
        return Result()
    kinds = {"indexing": Indexing, "leaving": Leaving, "overload": Overload, "soak": Soak}
    rest: dict[str, Any] = {
        name: kind(**saved[name]) for name, kind in kinds.items() if saved[name]
    }
    if rest.get("overload"):
        statuses = {int(status): n for status, n in rest["overload"].statuses.items()}
        rest["overload"] = replace(rest["overload"], statuses=statuses)
    return Result([_streams(one) for one in saved["streams"]], **rest)


def _streams(saved: Mapping[str, Any]) -> Streams:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in saved.items()
    }
    return Streams(**values)


def _saved(file: Path) -> dict[str, Any]:
    saved: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return saved


def _about(options: argparse.Namespace, load: Load) -> dict[str, Any]:
    chosen = [requirements(name).read_text("utf-8").partition("#")[0].split()
              for name in ("locust", "hayhooks")]  # fmt: skip
    versions = [f"waggledance {version('waggledance')}", *(
        line.replace("==", " ") for lines in chosen for line in lines)]  # fmt: skip
    return {
        "date": datetime.date.today().isoformat(), "machine": machine(), "others": load.others(),
        "versions": ", ".join(versions), "pace_ms": options.pace * 1000, "each": options.each,
        "rate": options.rate, "documents": DOCUMENTS + len(list(EXAMPLES.iterdir())),
        "slots": options.streams, "queue": options.queue, "wanted_tokens": options.tokens,
    }  # fmt: skip


def _tell(found: object) -> None:
    print(found, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
