"""The embedded engine: llama.cpp in a process of its own, shared by every command that asks.

The process (`engine_main.py`) stays for a while after the last question, so that the next one
finds the model loaded and the beginning of the prompt computed. ``state_dir`` holds its address
and key (readable by the owner alone), two locks and its log.
"""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from indexes.errors import ModelError
from indexes.i18n import t
from rag.models import engine_main
from rag.models.engine_main import LOG_FILE, START_LOCK, STATE_FILE, read_metrics
from rag.models.engine_state import (
    Endpoint,
    Options,
    State,
    answers,
    get,
    is_alive,
    options_for,
    read_state,
)

__all__ = ["Endpoint", "EngineStatus", "engine_status", "ensure_engine", "stop_engine"]

Waiting = Callable[[float], None]
"""Called a few times a second while the model loads, with the seconds since the call began."""

_POLL_SECONDS = 0.05
# How long a thread of llama.cpp spins for the others before it sleeps. Two idle cores: 18 tokens/s,
# as with the default and against 13 without spinning; beside a busy process: 7.7 against 0.4.
_SPINS = "1000"
_STOP_SECONDS = 5.0
_LOG_ERROR = re.compile(r"^[\d.]+ E (?P<text>.+)$", re.MULTILINE)
_NO_MEMORY = re.compile(
    r"bad_alloc|MemoryError|out of memory|failed to allocate|[Cc]annot allocate|unable to allocate"
    r"|Resource temporarily unavailable"
)
_started: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What is known of a running engine; ``started`` is in seconds since 1970, UTC."""

    pid: int
    ready: bool
    url: str
    model: str
    model_path: Path
    context: int
    slots: int
    started: float


def ensure_engine(
    model_path: Path,
    state_dir: Path,
    *,
    name: str | None = None,
    context: int = 8192,
    slots: int = 2,
    threads: int | None = None,
    idle_seconds: float = 600,
    timeout: float = 60,
    progress: Waiting | None = None,
) -> Endpoint:
    """The engine that serves ``model_path``, started if need be; it ends by itself when idle.

    ``context`` is the number of tokens each of the ``slots`` simultaneous requests may use,
    ``threads`` the CPU threads (default: the physical cores), ``timeout`` the seconds within which
    it must answer. An engine with another model or other options is replaced once it has finished
    what it is doing; ``idle_seconds`` counts for a new engine only. Raises ``ModelFileError`` when
    the file is missing and ``ModelError`` when the engine does not start.
    """
    options = options_for(model_path, name or model_path.stem, context, slots, threads)
    wait = _Wait(timeout, progress)
    with _start_lock(state_dir, wait):
        state = _running(state_dir, wait)
        if state is not None and state.options == options and answers(state):
            os.utime(state_dir / STATE_FILE)  # the engine counts its idle time from here
            return state.endpoint()
        if state is not None:
            _await_quiet(state, wait)
            _terminate(state_dir, state.pid)
        return _start(options, state_dir, idle_seconds, wait).endpoint()


def stop_engine(state_dir: Path, *, timeout: float = 60) -> bool:
    """Stop the engine at once; ``False`` when none was running."""
    if not state_dir.is_dir():
        return False
    wait = _Wait(timeout, None)
    with _start_lock(state_dir, wait):
        state = _running(state_dir, wait)
        if state is not None:
            _terminate(state_dir, state.pid)
        return state is not None


def engine_status(state_dir: Path) -> EngineStatus | None:
    """The engine that is running or loading, or ``None``."""
    state = read_state(state_dir)
    if state is None or not is_alive(state_dir):
        return None
    options = state.options
    return EngineStatus(
        pid=state.pid,
        ready=state.ready,
        url=state.url,
        model=options.model,
        model_path=Path(options.model_path),
        context=options.context,
        slots=options.slots,
        started=state.started,
    )


class _Wait:
    """A deadline that tells the caller that time passes."""

    def __init__(self, seconds: float, progress: Waiting | None) -> None:
        self.seconds = seconds
        self._begin = time.monotonic()
        self._progress = progress
        self._told = 0.0

    def tick(self) -> bool:
        """Wait a moment; ``False`` once the time is up."""
        elapsed = time.monotonic() - self._begin
        if self._progress is not None and elapsed - self._told >= 0.1:
            self._told = elapsed
            self._progress(elapsed)
        time.sleep(_POLL_SECONDS)
        return elapsed < self.seconds


@contextmanager
def _start_lock(state_dir: Path, wait: _Wait) -> Iterator[None]:
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(state_dir / START_LOCK, mode=0o600)
        while not lock.is_locked:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if not wait.tick():
                    raise _too_slow(state_dir, wait) from None
    except OSError as error:
        raise ModelError(
            t(
                "The model engine cannot use the folder {folder}: {reason}.",
                folder=state_dir,
                reason=error,
            )
        ) from error
    try:
        yield
    finally:
        lock.release()


def _running(state_dir: Path, wait: _Wait) -> State | None:
    """The living engine, waiting for one that still loads or is leaving; else ``None``."""
    while is_alive(state_dir):
        state = read_state(state_dir)
        if state is not None and state.ready:
            return state
        if not wait.tick():
            if state is not None:
                _terminate(state_dir, state.pid)
            raise _too_slow(state_dir, wait)
    (state_dir / STATE_FILE).unlink(missing_ok=True)
    return None


def _await_quiet(state: State, wait: _Wait) -> None:
    """Let other people's answers finish, as long as the caller's patience lasts."""
    while (body := get(state, "/metrics")) is not None:
        busy, _ = read_metrics(body.decode("utf-8", "replace"))
        if not busy:
            return
        if not wait.tick():
            raise ModelError(
                t(
                    "The model engine is busy with another request under other settings. "
                    "Try again when that is done."
                )
            )


def _terminate(state_dir: Path, pid: int) -> None:
    """End the engine whose lock is held; ``pid`` is what the holder of that lock wrote."""
    for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        if not is_alive(state_dir):
            break
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            break
        grace = _Wait(_STOP_SECONDS, None)
        while is_alive(state_dir) and grace.tick():
            continue
    (state_dir / STATE_FILE).unlink(missing_ok=True)
    _reap()


def _reap() -> None:
    """Collect the exit status of engines that this process started and that have ended."""
    _started[:] = [process for process in _started if process.poll() is None]


def _start(options: Options, state_dir: Path, idle_seconds: float, wait: _Wait) -> State:
    if importlib.util.find_spec("xllamacpp") is None:
        raise ModelError(
            t(
                "The embedded engine is not installed. Install it with `pip install xllamacpp`, or "
                "name a model server in the settings ([chat] url)."
            )
        )
    _reap()
    process = _spawn(options, state_dir, idle_seconds)
    try:
        while process.poll() is None:
            state = read_state(state_dir)
            if state is not None and state.ready and answers(state):
                _started.append(process)
                return state
            if not wait.tick():
                raise _too_slow(state_dir, wait)
        raise _start_failure(options, state_dir, process.returncode)
    except BaseException:
        process.kill()
        process.wait()
        (state_dir / STATE_FILE).unlink(missing_ok=True)
        raise


def _spawn(options: Options, state_dir: Path, idle_seconds: float) -> subprocess.Popen[bytes]:
    # -P: no folder of the user's becomes a place to import from.
    command = [sys.executable, "-P", str(Path(engine_main.__file__).resolve())]
    command += [str(state_dir.resolve()), options.model_dump_json(), str(idle_seconds)]
    log = os.open(state_dir / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=state_dir,
            env={"GOMP_SPINCOUNT": _SPINS, **os.environ},
            start_new_session=True,
        )
    finally:
        os.close(log)


def _too_slow(state_dir: Path, wait: _Wait) -> ModelError:
    return ModelError(
        t(
            "The model engine was not ready within {seconds:.0f} seconds. Try again with less load "
            "on the machine; its log is {log}.",
            seconds=wait.seconds,
            log=state_dir / LOG_FILE,
        )
    )


def _start_failure(options: Options, state_dir: Path, code: int) -> ModelError:
    log = state_dir / LOG_FILE
    text = log.read_text(encoding="utf-8", errors="replace")
    killed = code == -getattr(signal, "SIGKILL", 9)
    if killed or code == engine_main.OUT_OF_MEMORY_EXIT or _NO_MEMORY.search(text):
        return ModelError(
            t(
                "There is not enough memory for the model {name} with {context} tokens of context. "
                "Close other programs or set a smaller context; the engine's log is {log}.",
                name=options.model,
                context=options.context,
                log=log,
            )
        )
    found = _LOG_ERROR.search(text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reason = found["text"].strip() if found else (lines or [f"exit status {code}"])[-1]
    return ModelError(
        t(
            "The model engine could not start: {reason}. If {path} is damaged, fetch it again with "
            "`waggle models pull`; the engine's log is {log}.",
            reason=reason[:300].rstrip("."),
            path=options.model_path,
            log=log,
        )
    )
