"""What is done to the service, and measured of it."""

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from benchmarks.load import documents
from benchmarks.load.asking import Asked, ask, begin
from benchmarks.load.figures import (
    NORMAL,
    RECOVERY_SECONDS,
    Indexing,
    Leaving,
    Overload,
    Sample,
    Soak,
    Streams,
    soaked,
    streams,
)
from benchmarks.load.processes import (
    COLLECTION,
    LoadError,
    Readers,
    Running,
    paced,
    read,
    seen,
)

_WARMING: Final = 3
_MB: Final = 1e6


@dataclass(frozen=True, slots=True)
class Bench:
    """A service, the stub behind it, its ``pace``, the ``questions``, and what reads: the Python
    that has locust, or else threads. ``work`` is a folder for what is written meanwhile."""

    service: Running
    model: Running
    pace: float
    questions: Sequence[str]
    locust: Path | None
    work: Path

    def warm(self) -> None:
        """Have everything loaded that the first questions wait for. Raises `LoadError`."""
        for number in range(_WARMING):
            one = ask(self.service.url, self.service.model, self.questions[number], "warm")
            if one.status != 200 or not one.whole:
                raise LoadError(f"No answer: {one.status} {one.error}")

    def read(self, label: str, name: str, readers: Readers) -> Streams:
        """Have the questions of ``readers`` answered."""
        spent = cpu_seconds(self.service.pid)
        asked = read(self.service, readers, name, self.questions, self.locust, self.work)
        spent = cpu_seconds(self.service.pid) - spent
        return streams(label, readers.users, asked, seen(self.model), self.pace, spent)


# -- indexing meanwhile --------------------------------------------------------------------------


@dataclass(slots=True)
class Uploading:
    """Uploads documents one after the other, ``rate`` a second, from number ``first`` on."""

    service: Running
    first: int
    rate: float
    files: list[str] = field(default_factory=list)
    _before: int = 0
    _end: threading.Event = field(default_factory=threading.Event)
    _error: Exception | None = None

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Upload during the block."""
        with httpx.Client(base_url=self.service.root, timeout=60) as client:
            self._before = self._done(client)
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()
        if self._error is not None:
            raise LoadError(f"An upload failed: {self._error}")

    def indexed(self, begun: float, patience: float = 120.0) -> Indexing:
        """How many were indexed, when all are, or after ``patience`` seconds."""
        end = time.monotonic() + patience
        with httpx.Client(base_url=self.service.root, timeout=60) as client:
            while (done := self._done(client)) < len(self.files) and time.monotonic() < end:
                time.sleep(0.2)
        return Indexing(len(self.files), done, time.monotonic() - begun)

    def _done(self, client: httpx.Client) -> int:
        counts = client.get(f"/v1/vector_stores/vs_{COLLECTION}").json()["file_counts"]
        if counts["failed"]:
            raise LoadError(f"{counts['failed']} uploads could not be indexed.")
        return int(counts["completed"]) - self._before

    def _run(self) -> None:
        try:
            with httpx.Client(base_url=self.service.root, timeout=60) as client:
                while not self._end.wait(1 / self.rate):
                    self._upload(client, self.first + len(self.files))
        except Exception as error:  # noqa: BLE001 - told by whoever waits for the thread
            self._error = error

    def _upload(self, client: httpx.Client, number: int) -> None:
        text = documents.document_of(number).encode()
        form = {"file": (f"apiary-{number:04}.md", text, "text/markdown")}
        sent = client.post("/v1/files", files=form, data={"purpose": "assistants"})
        sent.raise_for_status()
        file = sent.json()["id"]
        route = f"/v1/vector_stores/vs_{COLLECTION}/files"
        client.post(route, json={"file_id": file}).raise_for_status()
        self.files.append(file)


# -- leaving -------------------------------------------------------------------------------------


def leave(bench: Bench, clients: int) -> Leaving:
    """So many clients leave at once, each in the middle of its answer."""
    with paced(bench.model, bench.pace * 10, bench.pace), ThreadPoolExecutor(clients) as pool:
        numbers = range(clients)
        connections = list(pool.map(lambda number: _reading(bench, number), numbers))
    if (busy := answering(bench.service)) < clients:
        raise LoadError(f"{busy} of {clients} were being answered when they were to leave.")
    left = time.monotonic()
    for connection in connections:
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()
    free = _free(bench.service, left)
    refs = {f"leave-{number}" for number in range(clients)}
    closed = [one["left"] for one in seen(bench.model) if one["ref"] in refs]
    if None in closed or len(closed) < clients:
        return Leaving(clients, free, float("inf"))
    return Leaving(clients, free, max(closed) - left)


def _reading(bench: Bench, number: int) -> HTTPConnection:
    """A connection on which a first piece of an answer has come."""
    parts = urlsplit(bench.service.url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    question = bench.questions[number % len(bench.questions)]
    response = begin(
        connection, bench.service.url, bench.service.model, question, f"leave-{number}"
    )
    while b'"content":"' not in (line := response.readline()) or b'"content":""' in line:
        if not line:
            raise LoadError(f"Nothing came: {response.status}")
    return connection


def _free(service: Running, left: float) -> float:
    """Seconds until no slot is held."""
    while answering(service):
        if time.monotonic() - left > 30:
            return float("inf")
        time.sleep(0.02)
    return time.monotonic() - left


def answering(service: Running) -> int:
    """Requests that hold a slot, by the service's metric."""
    text = httpx.get(f"{service.root}/metrics", timeout=30).text
    lines = [line for line in text.splitlines() if line.startswith("waggle_answering ")]
    return int(float(lines[0].split()[1]))


# -- overload ------------------------------------------------------------------------------------


def overload(bench: Bench, slots: int, queue: int, times: int = 10) -> Overload:
    """``times`` as many questions at once as there are slots."""
    before = _lone(bench, "before")
    with _probing(bench.service) as health:
        readers = Readers(slots * times, rate=slots * times)
        asked = read(bench.service, readers, "overload", bench.questions, bench.locust, bench.work)
    last = max(one.ended for one in asked)
    after, recovery = float("inf"), float("inf")
    while time.monotonic() - last < 2 * RECOVERY_SECONDS:
        after = _lone(bench, "after")
        if after <= NORMAL * before:
            recovery = time.monotonic() - after - last
            break
    statuses = dict(Counter(_status(one) for one in asked))
    silent = sum(one.status == 429 and not one.retry_after for one in asked)
    return Overload(
        slots, queue, len(asked), statuses, silent, max(health), before, after, max(recovery, 0.0)
    )


def _status(one: Asked) -> int:
    """0 where a stream that began did not come to its end."""
    return 0 if one.status == 200 and not (one.whole and one.cited) else one.status


def _lone(bench: Bench, ref: str) -> float:
    one = ask(bench.service.url, bench.service.model, bench.questions[0], ref)
    return one.ended - one.sent


@contextmanager
def _probing(service: Running) -> Iterator[list[float]]:
    """Seconds that `/healthz` takes, asked again and again during the block."""
    took, end = [0.0], threading.Event()

    def probe() -> None:
        while not end.wait(0.25):
            begun = time.monotonic()
            try:
                httpx.get(f"{service.root}/healthz", timeout=30).raise_for_status()
                took.append(time.monotonic() - begun)
            except httpx.HTTPError:
                took.append(float("inf"))

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield took
    finally:
        end.set()
        thread.join()


# -- soak ----------------------------------------------------------------------------------------


def soak(bench: Bench, minutes: float, users: int, every: float, temporary: Path) -> Soak:
    """A moderate load for long, the service being looked at ``every`` so many seconds; it keeps its
    temporary files below ``temporary``."""
    samples: list[Sample] = []
    end, begun = threading.Event(), time.monotonic()

    def look() -> None:
        while not end.wait(every):
            samples.append(sample(bench.service.pid, temporary, begun))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        readers = Readers(users, rate=users / 2, seconds=minutes * 60, pause=1.0)
        asked = read(bench.service, readers, "soak", bench.questions, bench.locust, bench.work)
    finally:
        end.set()
        thread.join()
    return soaked(samples, minutes, users, asked)


def sample(pid: int, temporary: Path, begun: float) -> Sample:
    """What a process holds now."""
    folder = Path("/proc") / str(pid)
    pages = int((folder / "statm").read_text().split()[1])
    return Sample(
        time.monotonic() - begun, pages * os.sysconf("SC_PAGE_SIZE") / _MB,
        len(list((folder / "fd").iterdir())), len(list((folder / "task").iterdir())),
        sum(1 for _ in temporary.rglob("*")),
    )  # fmt: skip


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has had."""
    fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
