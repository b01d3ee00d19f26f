"""Loading in child processes that may hang, crash or swell without harm to this one."""

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import indexes
from indexes.ahead import ahead
from indexes.errors import LoadError
from indexes.i18n import t
from indexes.loaders.draft import MAX_CHARACTERS
from indexes.loaders.formats import IN_PROCESS, ZIPPED, format_of, suffix_of
from indexes.loaders.registry import load
from indexes.loaders.worker import receive, send, unpack
from indexes.types import Extracted

_MEGABYTE = 1024 * 1024
_SMALL = _MEGABYTE
# What a file beyond its first megabyte adds to its limits, and where that ends. Measured: HTML
# takes 1.6 s and 28 MB for a megabyte, a workbook of 1.3 MB 11 s, a PDF 8 to 18 ms a page.
_SECONDS_PER_MEGABYTE = 3.0
_LONGEST = 120.0
_MEMORY_PER_BYTE = 32
_LARGEST = 3 * 1024**3
_PACKED = 8  # how many times larger zipped documents and PDFs are once unpacked
# The child gets no more of the environment than it needs: no keys, no proxies.
_ENVIRONMENT = (
    "PATH", "HOME", "LANG", "LC_ALL", "LC_MESSAGES", "LC_CTYPE", "WAGGLE_LANG", "TMPDIR",
    "SYSTEMROOT", "TEMP", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONUTF8",
)  # fmt: skip
# NumPy, which openpyxl imports, would otherwise reserve address space for a thread of each core.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may take: ``seconds`` of wall time, ``memory`` in bytes of address space (where
    the platform can limit it)."""

    seconds: float = 10.0
    memory: int = 1024**3

    def for_size(self, size: int) -> Self:
        """The limits of a file of ``size`` bytes, unpacked: each megabyte beyond the first adds
        3 s, up to two minutes, and 32 MB, up to 3 GB."""
        beyond = max(0, size - _MEGABYTE)
        seconds = self.seconds + _SECONDS_PER_MEGABYTE * beyond / _MEGABYTE
        memory = self.memory + _MEMORY_PER_BYTE * beyond
        return replace(
            self,
            seconds=min(seconds, max(self.seconds, _LONGEST)),
            memory=min(memory, max(self.memory, _LARGEST)),
        )


class LoaderPool:
    """Loads files in ``workers`` reused child processes.

    ``limits`` are those of a file up to 1 MB; larger ones get more, unless ``grow`` is false.
    ``max_characters`` caps the text of one file. A child that exceeds them or crashes is replaced,
    and its file is a ``LoadError``. Threads may share a pool.
    """

    def __init__(
        self,
        workers: int = 1,
        *,
        limits: Limits | None = None,
        grow: bool = True,
        max_characters: int = MAX_CHARACTERS,
    ) -> None:
        self._workers = workers
        self._limits = limits or Limits()
        self._grow = grow
        self._max_characters = max_characters
        self._children = [_Child(max_characters) for _ in range(workers)]
        self._idle: queue.SimpleQueue[_Child] = queue.SimpleQueue()
        for child in self._children:
            self._idle.put(child)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child processes."""
        for child in self._children:
            child.stop()

    def load(self, path: Path) -> Extracted:
        """The text of one file.

        Raises:
            LoadError: the text cannot be extracted; the message says why and what to do.
        """
        # Text, Markdown, code and plain tables are a decode and a few linear passes: they cannot
        # hang or crash, and the trip to a child would cost more than reading them.
        if _is_simple(path):
            return load(path, max_characters=self._max_characters)
        limits = self._limits.for_size(_size(path)) if self._grow else self._limits
        child = self._idle.get()
        try:
            return child.load(path, limits)
        finally:
            self._idle.put(child)

    def load_many(self, paths: Iterable[Path]) -> Iterator[tuple[Path, Extracted | LoadError]]:
        """Each path with its text or its error, in the order given, read a little ahead."""

        def loaded(path: Path) -> tuple[Path, Extracted | LoadError]:
            return path, self._outcome(path)

        return ahead(loaded, paths, self._workers, depth=self._workers + 1)

    def _outcome(self, path: Path) -> Extracted | LoadError:
        try:
            return self.load(path)
        except LoadError as error:
            return error


def _size(path: Path) -> int:
    """In bytes, roughly as they are once unpacked."""
    try:
        size = path.stat().st_size
        return size * _PACKED if suffix_of(path) in ZIPPED | {"pdf"} else size
    except OSError:
        return 0  # the child finds the same and words the error


def _is_simple(path: Path) -> bool:
    if suffix_of(path) not in IN_PROCESS:
        return False
    try:
        if not path.is_file() or path.stat().st_size > _SMALL:
            return False
        with path.open("rb") as file:
            return format_of(path, file.read(4096)) in IN_PROCESS
    except (OSError, LoadError):
        return False  # the child finds the same and words the error


class _Child:
    """One worker process, started at its first file and again after it was lost."""

    def __init__(self, max_characters: int) -> None:
        self._max_characters = max_characters
        self._process: subprocess.Popen[bytes] | None = None

    def load(self, path: Path, limits: Limits) -> Extracted:
        answer = self._ask({"path": str(path.absolute()), **asdict(limits)})
        if "error" in answer:
            raise LoadError(answer["error"])
        return unpack(answer["extracted"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(request["seconds"], give_up)
        timer.start()
        answer = None
        try:
            with contextlib.suppress(BrokenPipeError, ValueError):  # a damaged answer is no answer
                send(process.stdin, request)
                answer = receive(process.stdout)
        finally:
            timer.cancel()
            if answer is None or answer["last"]:
                self.stop()
        if answer is not None:
            return answer
        if late.is_set():
            raise LoadError(
                t("Reading the file took more than {seconds} s and was stopped. "
                  "Split it or convert it to text.", seconds=round(request["seconds"], 1))
            )  # fmt: skip
        raise LoadError(
            t("The file crashed its parser or needs too much memory. Save it again or split it.")
        )

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.stop()
            self._process = subprocess.Popen(
                # -P: a file named json.py in the user's folder must not be imported.
                [sys.executable, "-P", "-m", "indexes.loaders.worker", str(self._max_characters)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                # Ctrl-C is for the parent, which then closes the child's stdin.
                start_new_session=True,
            )
        return self._process

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    roots = [str(Path(folder).resolve().parent) for folder in indexes.__path__]
    # The child may not rename files, and Python would leave half-made bytecode beside the modules.
    fixed = {**_ONE_THREAD, "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **fixed, "PYTHONPATH": os.pathsep.join([*roots, *_site_folders()])}


def _site_folders() -> list[str]:
    """Where the parent found its libraries, however it was started."""
    return [folder for folder in sys.path if folder and Path(folder).name.endswith("-packages")]
