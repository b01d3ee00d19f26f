"""Time, memory and disk of programs, measured from outside, so that all are measured alike."""

import os
import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

_INTERVAL: Final = 0.5
"""Seconds between two looks at the memory of a running program."""
_KIB: Final = 1024


class ProgramError(Exception):
    """A program failed; ``str(error)`` ends with what it wrote last."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a program took, with the programs that it started.

    ``seconds`` is the time from its start to its end, ``cpu_seconds`` the time of all cores
    together, ``peak_bytes`` its memory at its fullest.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str], text: str) -> Usage:
    """Run ``command`` in ``folder`` with ``text`` as its standard input. Raises `ProgramError`."""
    started = time.perf_counter()
    with _started(command, folder, environment) as (process, errors):
        with _Watch(process.pid) as watch:
            output, status, used = _finished(process, text)
        seconds = time.perf_counter() - started
        if status:
            raise ProgramError(_reason(command, status, errors))
    return Usage(seconds, used.ru_utime + used.ru_stime, max(watch.peak, _largest(used)), output)


@dataclass(frozen=True, slots=True)
class Answers:
    """One line of output for each question, the ``seconds`` until each came, and the memory."""

    lines: Sequence[str]
    seconds: Sequence[float]
    peak_bytes: int


def converse(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    questions: Sequence[str],
    unmeasured: int,
) -> Answers:
    """Ask one program one question after the other, each after the answer to the one before.

    The first ``unmeasured`` questions warm the program up; they have no place in the result.
    Raises `ProgramError`.
    """
    lines, seconds = [], []
    with _started(command, folder, environment) as (process, errors):
        for question in questions:
            begun = time.perf_counter()
            line = _ask(process, question)
            seconds.append(time.perf_counter() - begun)
            if not line:
                break
            lines.append(line)
        peak = _memory(process.pid)
        _, status, used = _finished(process, "")
        if status or len(lines) < len(questions):
            raise ProgramError(_reason(command, status, errors))
    return Answers(lines[unmeasured:], seconds[unmeasured:], max(peak, _largest(used)))


def disk_bytes(folder: Path) -> int:
    """What the files under ``folder`` take on the disk, in whole blocks where that is known."""
    return sum(
        blocks * 512 if (blocks := getattr(status, "st_blocks", None)) else status.st_size
        for status in (file.stat() for file in folder.rglob("*") if file.is_file())
    )


@contextmanager
def _started(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> Iterator[tuple["subprocess.Popen[str]", IO[str]]]:
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
        )
        try:
            yield process, errors
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()


def _ask(process: "subprocess.Popen[str]", question: str) -> str:
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(question + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        return ""
    return process.stdout.readline()


def _finished(
    process: "subprocess.Popen[str]", text: str
) -> tuple[str, int, resource.struct_rusage]:
    """The rest of the output, the exit status, and what the program used."""
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(text)
        process.stdin.close()
    except BrokenPipeError:
        pass  # It ended without reading all; its exit status tells why.
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return output, process.returncode, used


def _reason(command: Sequence[str], status: int, errors: IO[str]) -> str:
    errors.seek(0)
    last = "\n".join(errors.read().splitlines()[-15:])
    return f"{' '.join(command[:4])} … ended with status {status}:\n{last}"


def _largest(used: resource.struct_rusage) -> int:
    """The peak of the largest single process; Linux counts in KiB, macOS in bytes."""
    return used.ru_maxrss * (_KIB if os.uname().sysname == "Linux" else 1)


class _Watch:
    """Looks at the memory of a program and of those that it started, again and again."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_INTERVAL):
            self.peak = max(self.peak, _memory(self._pid))


def _memory(pid: int) -> int:
    """Bytes that ``pid`` and its children hold, shared pages counted once (proportional set size);
    0 where the system does not tell."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(c) for t in tasks for c in (t / "children").read_text("ascii").split()]
    except OSError:
        return 0
    sizes = [int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")]
    return sum(sizes) * _KIB + sum(map(_memory, children))
