"""Processes that begin with everything imported, and tell what they do through a pipe."""

import multiprocessing
import os
import resource
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from indexes import failpoints
from indexes.errors import WaggleError

_CONTEXT = multiprocessing.get_context("forkserver")
_PRELOADED = ["tests.faults.checks"]
PATIENCE = 60.0
"""Seconds in which a process must tell something."""
_STATUS = threading.Lock()
"""The end of a process can be asked for by one thread at a time: starting one asks for the ends of
all others, and of two who read an exit code from its pipe the second finds nothing (255)."""

Told = dict[str, Any]


def preload(*modules: str) -> None:
    """Have these imported before any process begins. All tests of a run fork from one server, which
    starts with the first process: what one file asks for must not take the place of another's."""
    _PRELOADED.extend(module for module in modules if module not in _PRELOADED)


@dataclass
class Outcome:
    """How a process ended (negative: by that signal), and what it told."""

    code: int
    told: list[Told] = field(default_factory=list)

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL

    def all(self, key: str) -> list[Any]:
        return [told[key] for told in self.told if key in told]

    @property
    def result(self) -> Any:
        """What the work returned; fails where it did not return."""
        assert self.code == 0, self.describe()
        assert not self.all("error"), self.describe()
        return self.all("result")[0]

    @property
    def error(self) -> Told | None:
        """The error that ended the work."""
        found = self.all("error")
        return found[0] if found else None

    def describe(self) -> str:
        error = self.error
        return f"exit {self.code}: {error['traceback'] if error else self.told[-3:]}"


class Child:
    """A process at work."""

    def __init__(self, work: Callable[..., Any], arguments: tuple[Any, ...], **faults: Any) -> None:
        self.ear, mouth = _CONTEXT.Pipe(duplex=False)
        self.process = _CONTEXT.Process(
            target=_run, args=(mouth, work, arguments, faults), daemon=True
        )
        _CONTEXT.set_forkserver_preload(_PRELOADED)
        with _STATUS:
            self.process.start()
        mouth.close()
        self.told: list[Told] = []

    def hear(self, timeout: float = PATIENCE) -> Told:
        """The next thing it tells."""
        assert self.ear.poll(timeout), "the process is silent"
        self.told.append(self.ear.recv())
        return self.told[-1]

    def kill(self) -> None:
        self.process.kill()

    def interrupt(self) -> None:
        with _STATUS:
            if self.process.pid and self.process.is_alive():
                os.kill(self.process.pid, signal.SIGINT)

    def end(self, patience: float = PATIENCE) -> Outcome:
        """Wait for its end, which must come within ``patience`` seconds."""
        deadline = time.monotonic() + patience
        try:
            while True:
                self.hear(max(0.0, deadline - time.monotonic()))
        except EOFError:
            pass
        except AssertionError:
            self.kill()
            raise
        wait([self.process.sentinel])
        with _STATUS:
            self.process.join()
            code = self.process.exitcode
        self.ear.close()
        return Outcome(code if code is not None else 1, self.told)


def run(work: Callable[..., Any], *arguments: Any, **faults: Any) -> Outcome:
    """``work(say, *arguments)`` in a process of its own, to its end. ``faults`` may be ``plan``
    (see `indexes.failpoints`) and ``limit`` (bytes that any file may grow to)."""
    return Child(work, arguments, **faults).end()


def _run(
    mouth: Connection, work: Callable[..., Any], arguments: tuple[Any, ...], faults: dict[str, Any]
) -> None:
    def say(**told: Any) -> None:
        mouth.send(told)

    os.environ["WAGGLE_LANG"] = "en"
    signal.signal(signal.SIGINT, signal.default_int_handler)
    failpoints.plan(faults.get("plan", ""))
    if "limit" in faults:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (faults["limit"], resource.RLIM_INFINITY))
    try:
        result = work(say, *arguments)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        say(result=result, hits=dict(failpoints.hits()))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent judges it
        say(error=_described(error), hits=dict(failpoints.hits()))


def _described(error: BaseException) -> Told:
    return {
        "kind": type(error).__name__,
        "ours": isinstance(error, WaggleError),
        "disk": isinstance(error, OSError),
        "text": str(error),
        "traceback": "".join(traceback.format_exception(error)),
    }
