"""pip in an environment of its own: its output becomes progress, and a reason when it fails."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from indexes.errors import ModelError
from indexes.i18n import t

Progress = Callable[[str], None]
"""Told, about once a second, what is being done; a phrase without a full stop."""

NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded|\[Errno (28|122|27)\]")
_NO_NETWORK = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeoutError|ReadTimeoutError|ProxyError"
    r"|Max retries exceeded|Connection (refused|reset|broken)|Network is unreachable"
)
_POLL_SECONDS = 0.5
_TOLD_LINES = re.compile(
    r"(?P<what>Collecting|Processing|Downloading|Using cached) (?P<name>\S+)(?P<size> \(.+\))?"
)
_STOP_SECONDS = 5.0


class Pip:
    """The pip of the environment whose Python is ``python``. ``options`` are added to each
    ``pip install``; all that it writes is appended to ``log``."""

    def __init__(
        self,
        python: Path,
        options: Sequence[str] = (),
        progress: Progress = lambda _: None,
        log: Path | None = None,
    ) -> None:
        self._python = python
        self._options = options
        self._progress = progress
        self._log = log or Path(os.devnull)
        self._begun = time.monotonic()
        self._doing = ""
        self._collected = 0

    def tries(self, *arguments: str) -> bool:
        """Install, and tell whether that succeeded."""
        return self._run(arguments) is None

    def install(self, *arguments: str) -> None:
        """Install. Raises `ModelError` with pip's reason."""
        complaint = self._run(arguments)
        if complaint is not None:
            raise _failure(complaint)

    def _run(self, arguments: Sequence[str]) -> str | None:
        """``None`` when pip succeeded, else the end of what it wrote."""
        command = [str(self._python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        command += ["install", "--progress-bar", "off", *self._options, *arguments]
        # /tmp is often small, and kept in memory: the archives are unpacked where they go.
        temporary = self._python.parent.parent / "tmp"
        temporary.mkdir(exist_ok=True)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        self._doing = ""
        last: deque[str] = deque(maxlen=200)
        reader = threading.Thread(target=self._read, args=(process, last))
        reader.start()
        try:
            self._tell()
            while _runs(process):
                self._tell()
        finally:
            _end(process)
            reader.join()
            shutil.rmtree(temporary, ignore_errors=True)
        return "".join(last) if process.returncode else None

    def _read(self, process: subprocess.Popen[str], last: deque[str]) -> None:
        with self._log.open("a", encoding="utf-8") as log:
            for line in process.stdout or ():
                last.append(line)
                log.write(line)
                self._note(line)

    def _note(self, line: str) -> None:
        found = _TOLD_LINES.match(line.strip())
        if found:
            self._collected += found["what"] in ("Collecting", "Processing")
            name = found["name"].rpartition("/")[2]
            if name.endswith((".whl", ".gz", ".metadata")):
                name = name.partition("-")[0]
            self._doing = name + (found["size"] or "")
        elif line.startswith("Installing collected packages"):
            self._doing = t("unpacking")

    def _tell(self) -> None:
        self._progress(
            t(
                "Installing vLLM: {packages} packages so far, {seconds:.0f} s, now {what}",
                packages=self._collected,
                seconds=time.monotonic() - self._begun,
                what=self._doing or "pip",
            )
        )


def _runs(process: subprocess.Popen[str]) -> bool:
    try:
        process.wait(timeout=_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _end(process: subprocess.Popen[str]) -> None:
    """End pip and what it started, if the caller was interrupted."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _failure(complaint: str) -> ModelError:
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    reason = (errors or lines or [t("it gave no reason")])[-1][:300].rstrip(".")
    if NO_SPACE.search(complaint):
        return ModelError(
            t(
                "vLLM could not be installed, for the disk is full ({reason}). Make room, or "
                "choose another folder with --home.",
                reason=reason,
            )
        )
    if _NO_NETWORK.search(complaint):
        return ModelError(
            t(
                "vLLM could not be installed, for the package index was not reached ({reason}). "
                "Connect to the network, or name a mirror in PIP_INDEX_URL.",
                reason=reason,
            )
        )
    return ModelError(t("vLLM could not be installed; pip says: {reason}.", reason=reason))
