"""What is known of the model servers that this machine's ``waggle models serve`` runs.

Each has, in ``HOME/serving``, a log, a record, and a lock that is held for as long as Waggle
watches over it: whoever finds that lock free knows that the record is a leftover.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from indexes.errors import ModelError
from indexes.i18n import t
from rag.serving.plan import ServePlan

_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.1
_LOOK_SECONDS = 1.0  # `running` holds a lock for a moment to see whether it is free


class Running(BaseModel):
    """A server: ``pid`` leads its process group and ``birth`` tells it from a later process of that
    number; ``waggle`` is the process that watches over it. ``started`` is in seconds since 1970,
    UTC. The address of OpenAI's protocol is ``url``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: int
    birth: str
    waggle: int
    url: str
    model: str
    ready: bool
    started: float
    log: str


def log_file(home: Path, port: int) -> Path:
    """Where the server at ``port`` writes; its record lies beside it."""
    return home / "serving" / f"{port}.log"


def server_url(plan: ServePlan) -> str:
    """The root of OpenAI's protocol, as this machine reaches it."""
    host = f"[{plan.host}]" if ":" in plan.host else plan.host
    return f"http://{host}:{plan.port}/v1"


def running(home: Path) -> list[Running]:
    """The servers that run or load here."""
    records = sorted((home / "serving").glob("*.json"))
    found = ((_read(record), _lock(record)) for record in records)
    return [known for known, lock in found if known is not None and _is_held(lock)]


@contextmanager
def watching(log: Path, plan: ServePlan) -> Iterator[Callable[[int, bool], None]]:
    """Hold the lock of the server that writes ``log``; the function given records its process and
    whether it answers. A server whose Waggle was killed is ended first.

    Raises `ModelError` when another Waggle serves there.
    """
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    record = log.with_suffix(".json")
    lock = _lock(record)
    try:
        lock.acquire(timeout=_LOOK_SECONDS)
    except Timeout:
        raise _taken(record, plan) from None
    begun = time.time()

    def note(pid: int, ready: bool) -> None:
        state = Running(
            pid=pid, birth=_birth(pid), waggle=os.getpid(), url=server_url(plan),
            model=plan.model.name, ready=ready, started=begun, log=str(log),
        )  # fmt: skip
        fresh = record.with_suffix(".new")
        fresh.write_text(state.model_dump_json(), encoding="utf-8")
        fresh.replace(record)

    try:
        _end_leftover(record)
        yield note
    finally:
        record.unlink(missing_ok=True)
        lock.release()


def _lock(record: Path) -> FileLock:
    return FileLock(record.with_suffix(".alive"), mode=0o600)


def _is_held(lock: FileLock) -> bool:
    try:
        with lock.acquire(timeout=0):
            return False
    except (Timeout, OSError):
        return True


def _read(record: Path) -> Running | None:
    try:
        return Running.model_validate_json(record.read_bytes())
    except (OSError, ValidationError):
        return None


def _taken(record: Path, plan: ServePlan) -> ModelError:
    known = _read(record)
    return ModelError(
        t(
            "Waggle already serves {model} at port {port} (process {pid}). End that one, or choose "
            "another port with --port.",
            model=known.model if known else "?",
            port=plan.port,
            pid=known.waggle if known else "?",
        )
    )


def _end_leftover(record: Path) -> None:
    """End a server that outlived its Waggle, or else it holds the port and the GPU for ever."""
    known = _read(record)
    if known is None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not known.birth or _birth(known.pid) != known.birth:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(known.pid, number)
        until = time.monotonic() + _STOP_SECONDS
        while _birth(known.pid) == known.birth and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)


def _birth(pid: int) -> str:
    """When that process began, as Linux tells it, or "" where there is none (or no such telling).
    See proc_pid_stat(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
