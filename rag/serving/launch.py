"""vLLM as a child process in the foreground: started, waited for, watched, and ended as a whole."""

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from indexes.errors import ModelError
from indexes.i18n import t
from rag.serving.digest import Digest
from rag.serving.plan import SERVER_MODULE, ServePlan
from rag.serving.reasons import failure, port_taken
from rag.serving.running import server_url, watching

Say = Callable[[str], None]

INTERRUPTED = 130

_PORT_SECONDS = 2.0
_POLL_SECONDS = 0.2
_HEALTH_SECONDS = 2.0
_TAIL_BYTES = 200_000


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: how long a start may go without a sign of life (a line in its log), and how long a
    server that is asked to end may take before it is killed."""

    silent: float = 900.0
    stop: float = 20.0


def serve(
    plan: ServePlan,
    python: Path,
    *,
    log: Path,
    ready: Say = lambda _: None,
    tell: Say = lambda _: None,
    progress: Say = lambda _: None,
    patience: Patience | None = None,
) -> int:
    """Run the server of ``plan`` with ``python``, which has vLLM, until it is asked to end.

    All that it writes goes to ``log`` (`rag.serving.running.log_file`). ``progress`` is told a few
    times a second how far it is, ``tell`` the few sentences worth keeping, ``ready`` its address
    once it answers. SIGINT and SIGTERM end it and all processes that it started; a second signal
    does so at once. Returns 130 after SIGINT and else 0. To be called in the main thread.

    Raises `ModelError` with the reason when it does not come up, or ends by itself.
    """
    with watching(log, plan) as note, _requests() as asked:
        _require_port(plan)
        process = _spawn(plan, python, log)
        server = _Server(plan, process, log, asked, Digest(plan, log, tell, progress))
        try:
            note(process.pid, False)
            if server.await_answer(patience or Patience()):
                note(process.pid, True)
                ready(server_url(plan))
                answers, use = _how_to_use(plan)
                tell(answers)
                tell(use)
                progress(answers)  # in the place of how far it had come
                server.watch()
        finally:
            server.end(patience or Patience())
    return INTERRUPTED if asked.first == signal.SIGINT else 0


@dataclass(slots=True)
class _Requests:
    """The signals that asked for the end, so far."""

    first: int = 0
    count: int = 0

    def note(self, number: int, _: FrameType | None) -> None:
        self.first = self.first or number
        self.count += 1


@contextmanager
def _requests() -> Iterator[_Requests]:
    asked = _Requests()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, asked.note) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True, slots=True)
class _Server:
    plan: ServePlan
    process: subprocess.Popen[bytes]
    log: Path
    asked: _Requests
    digest: Digest

    def await_answer(self, patience: Patience) -> bool:
        """Wait until it answers; ``False`` when its end is asked for before."""
        life = time.monotonic()
        while not self.asked.count:
            if self.process.poll() is not None:
                raise ModelError(self._failure())
            if self.digest.read(loading=True):
                life = time.monotonic()
            if time.monotonic() - life > patience.silent:
                raise self._silent(patience.silent)
            if _answers(self.plan):
                self.digest.read(loading=True)
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def watch(self) -> None:
        """Return when its end is asked for."""
        while not self.asked.count:
            self.digest.read(loading=False)
            if self.process.poll() is not None:
                raise ModelError(self._failure())
            time.sleep(_POLL_SECONDS)

    def end(self, patience: Patience) -> None:
        """End it, and all that it started."""
        until = time.monotonic() + patience.stop
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        while self.process.poll() is None and time.monotonic() < until and self.asked.count < 2:
            time.sleep(_POLL_SECONDS)
        # Also where the first process has ended: its workers hold the GPU's memory.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _failure(self) -> str:
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
        return failure(text, self.process.returncode, self.plan, self.log)

    def _silent(self, seconds: float) -> ModelError:
        return ModelError(
            t(
                "The model server has neither answered nor written anything for {seconds:.0f} "
                "seconds, and was ended. Its log is {log}.",
                seconds=seconds,
                log=self.log,
            )
        )


def _spawn(plan: ServePlan, python: Path, log: Path) -> subprocess.Popen[bytes]:
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    # vLLM compiles for the GPU with the tools of its own environment.
    path = f"{python.parent}{os.pathsep}{inherited.get('PATH', os.defpath)}"
    if log.exists():  # it may tell why the last server ended
        log.replace(log.with_name(f"{log.name}.1"))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        # -P: no folder of the user's becomes a place to import from.
        return subprocess.Popen(
            [str(python), "-P", "-m", SERVER_MODULE, *plan.arguments],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd=log.parent,
            env={**inherited, "PATH": path, "PYTHONUNBUFFERED": "1", **plan.environment},
            start_new_session=True,
        )
    except OSError as error:
        raise ModelError(
            t("{python} cannot be started: {reason}.", python=python, reason=error.strerror)
        ) from error
    finally:
        os.close(descriptor)


def _require_port(plan: ServePlan) -> None:
    """Known now, and not after minutes of loading. A server that was just ended may still hold it
    for a moment."""
    until = time.monotonic() + _PORT_SECONDS
    while (error := _port_error(plan)) and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    if error:
        raise ModelError(port_taken(plan, error)) from error


def _port_error(plan: ServePlan) -> OSError | None:
    family = socket.AF_INET6 if ":" in plan.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((plan.host, plan.port))
        except OSError as error:
            return error
    return None


def _answers(plan: ServePlan) -> bool:
    address = urlsplit(server_url(plan))
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=_HEALTH_SECONDS
    )
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _how_to_use(plan: ServePlan) -> tuple[str, str]:
    url = server_url(plan)
    table, name, variable = {
        "chat": ("chat", "url", "WAGGLE_CHAT_URL"),
        "embedding": ("index", "embedder_url", "WAGGLE_EMBEDDER_URL"),
        "rerank": ("rerank", "url", "WAGGLE_RERANK_URL"),
    }[plan.model.kind]
    return (
        t("{model} answers at {url}. Ctrl-C ends it.", model=plan.model.name, url=url),
        t(
            'To use it, write {name} = "{url}" under [{table}] into waggle.toml, or set '
            "{variable}={url}.",
            name=name,
            url=url,
            table=table,
            variable=variable,
        ),
    )
