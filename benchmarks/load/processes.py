"""The programs of a measurement, each in a process of its own: stub, service, peer, readers."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.load.asking import Asked, ask
from benchmarks.load.stub import MODEL
from benchmarks.systems import CHECKOUT, ROOT, environment, requirements
from scripts.install import Pip

COLLECTION: Final = "default"
_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 30.0


class LoadError(Exception):
    """Something of the measurement itself failed."""


@dataclass(frozen=True, slots=True)
class Running:
    """A program that answers at ``url``, the root of OpenAI's protocol, as ``model``."""

    url: str
    model: str
    pid: int

    @property
    def root(self) -> str:
        """Without the protocol's path."""
        return self.url.removesuffix("/v1")


@contextmanager
def stub(pace: float, tokens: int) -> Iterator[Running]:
    """The model server."""
    command = [sys.executable, "-m", "benchmarks.load.stub",
               "--pace", str(pace), "--tokens", str(tokens)]  # fmt: skip
    with _process(command, {}, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        yield Running(f"http://127.0.0.1:{port}/v1", MODEL, process.pid)


def seen(server: Running) -> list[dict[str, Any]]:
    """What the stub tells of its streamed answers."""
    found: list[dict[str, Any]] = httpx.get(f"{server.root}/seen", timeout=30).json()
    return found


@contextmanager
def paced(server: Running, pace: float, usual: float) -> Iterator[None]:
    """Have the stub write at another ``pace`` than its ``usual`` one during the block."""
    httpx.put(f"{server.root}/pace/{pace}", timeout=30).raise_for_status()
    try:
        yield
    finally:
        httpx.put(f"{server.root}/pace/{usual}", timeout=30).raise_for_status()


def index(home: Path, folders: Sequence[Path]) -> None:
    """Index folders, as a user does."""
    command = [*CHECKOUT, "index", "--json", "--quiet", "--home", str(home), *map(str, folders)]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True, stdout=subprocess.DEVNULL)


@contextmanager
def waggle(home: Path, model: Running, settings: Mapping[str, str], log: Path) -> Iterator[Running]:
    """`waggle serve`, with variables for its settings; ``log`` gets what it writes."""
    port = free_port()
    command = [*CHECKOUT, "serve", "--home", str(home), "--port", str(port),
               "--chat-url", model.url, "--chat-model", model.model]  # fmt: skip
    with log.open("a") as errors, _process(command, settings, stderr=errors) as process:
        running = Running(f"http://127.0.0.1:{port}/v1", f"waggle/{COLLECTION}", process.pid)
        _await(f"{running.root}/readyz", process, log)
        yield running


@contextmanager
def peer(command: Sequence[str], more: Mapping[str, str], port: int, model: str, probe: str,
         log: Path) -> Iterator[Running]:  # fmt: skip
    """Another service, which is ready when ``probe`` answers."""
    with log.open("a") as errors, _process(command, more, stderr=errors, stdout=errors) as process:
        _await(f"http://127.0.0.1:{port}{probe}", process, log)
        yield Running(f"http://127.0.0.1:{port}/v1", model, process.pid)


def python_of(name: str, environments: Path) -> Path:
    """The Python of the environment ``name``, made if it is absent or its requirements changed."""
    environments.mkdir(parents=True, exist_ok=True)
    (environments / ".gitignore").write_text("*\n", "utf-8")
    wanted = requirements(name)
    pip, installed = Pip(environments / name), environments / name / "installed.txt"
    if not installed.exists() or installed.read_bytes() != wanted.read_bytes():
        pip.install("-r", str(wanted), total=wanted.read_text("utf-8").count("=="))
        installed.write_bytes(wanted.read_bytes())
    return pip.python


@dataclass(frozen=True, slots=True)
class Readers:
    """``users`` who ask ``each`` questions one after the other, ``rate`` of whom begin in a second;
    or, with ``seconds``, as many questions as fit, with a ``pause`` after each."""

    users: int
    each: int = 1
    rate: float = 1000.0
    seconds: float = 0.0
    pause: float = 0.0


def read(
    server: Running, readers: Readers, name: str, questions: Sequence[str], locust: Path | None,
    folder: Path,
) -> list[Asked]:  # fmt: skip
    """What became of the questions of all readers: run by locust, whose Python is given, or else by
    threads of this process."""
    if locust is None:
        return _threads(server, readers, name, questions)
    file, records = folder / f"{name}-questions.json", folder / f"{name}.jsonl"
    file.write_text(json.dumps(questions), "utf-8")
    variables = {
        "LOAD_URL": server.url, "LOAD_MODEL": server.model, "LOAD_QUESTIONS": str(file),
        "LOAD_EACH": str(0 if readers.seconds else readers.each), "LOAD_NAME": name,
        "LOAD_PAUSE": str(readers.pause), "LOAD_RECORDS": str(records),
    }  # fmt: skip
    until = ["-t", f"{readers.seconds:.0f}s"] if readers.seconds else []
    command = [str(locust), "-m", "locust", "-f", str(Path(__file__).with_name("users.py")),
               "--headless", "--only-summary", "--exit-code-on-error", "0", "--stop-timeout", "300",
               "--loglevel", "WARNING", "-u", str(readers.users), "-r", str(readers.rate),
               *until]  # fmt: skip
    done = subprocess.run(command, cwd=folder, env={**environment(), **variables},
                          capture_output=True, text=True, check=False)  # fmt: skip
    if done.returncode:
        raise LoadError(f"locust: {done.stderr[-2000:]}")
    lines = records.read_text("utf-8").splitlines()
    return [_asked(json.loads(line)) for line in lines]


def _threads(server: Running, readers: Readers, name: str, questions: Sequence[str]) -> list[Asked]:
    end = time.monotonic() + readers.seconds

    def reader(number: int) -> list[Asked]:
        time.sleep(number / readers.rate)
        found: list[Asked] = []
        while time.monotonic() < end if readers.seconds else len(found) < readers.each:
            question = questions[(number * 7 + len(found)) % len(questions)]
            ref = f"{name}-{number}-{len(found)}"
            found.append(ask(server.url, server.model, question, ref))
            time.sleep(readers.pause)
        return found

    with ThreadPoolExecutor(readers.users) as pool:
        return [one for found in pool.map(reader, range(readers.users)) for one in found]


def _asked(record: dict[str, Any]) -> Asked:
    pieces = [(float(at), int(length)) for at, length in record.pop("pieces")]
    return Asked(**record, pieces=pieces)


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _process(
    command: Sequence[str], more: Mapping[str, str], *, stdout: Any = None, stderr: Any = None
) -> Iterator["subprocess.Popen[str]"]:
    variables = {**environment(), "PYTHONPATH": str(ROOT), **more}
    process = subprocess.Popen(
        command, cwd=ROOT, env=variables, stdout=stdout, stderr=stderr, text=True
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _await(address: str, process: "subprocess.Popen[str]", log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            if httpx.get(address, timeout=10).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise LoadError(f"{address} does not answer. {log.read_text('utf-8', 'replace')[-2000:]}")
