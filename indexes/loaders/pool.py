"""Loading in child processes that may hang, crash or swell without harm to this one."""

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import indexes
from indexes.errors import LoadError
from indexes.i18n import t
from indexes.loaders.draft import MAX_CHARACTERS
from indexes.loaders.formats import IN_PROCESS, format_of, suffix_of
from indexes.loaders.registry import load
from indexes.loaders.worker import receive, send, unpack
from indexes.types import Extracted

_SMALL = 8 * 1024 * 1024
# The child gets no more of the environment than it needs: no keys, no proxies.
_ENVIRONMENT = (
    "PATH", "HOME", "LANG", "LC_ALL", "LC_MESSAGES", "LC_CTYPE", "WAGGLE_LANG", "TMPDIR",
    "SYSTEMROOT", "TEMP", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONUTF8",
)  # fmt: skip


class LoaderPool:
    """Loads files in ``workers`` reused child processes.

    ``timeout`` is in seconds of wall time for one file, ``memory`` in bytes of address space of one
    child (where the platform can limit it), ``max_characters`` caps the text of one file. A child
    that exceeds them or crashes is replaced, and its file is a ``LoadError``. Threads may share a
    pool.
    """

    def __init__(
        self,
        workers: int = 1,
        *,
        timeout: float = 30.0,
        memory: int = 2 * 1024**3,
        max_characters: int = MAX_CHARACTERS,
    ) -> None:
        self._workers = workers
        self._max_characters = max_characters
        self._children = [_Child(timeout, memory, max_characters) for _ in range(workers)]
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
        child = self._idle.get()
        try:
            return child.load(path)
        finally:
            self._idle.put(child)

    def load_many(self, paths: Iterable[Path]) -> Iterator[tuple[Path, Extracted | LoadError]]:
        """Each path with its text or its error, in the order given, read a little ahead."""
        waiting: deque[tuple[Path, Future[Extracted | LoadError]]] = deque()
        rest = iter(paths)
        with ThreadPoolExecutor(self._workers, thread_name_prefix="loader") as executor:
            try:
                for path in islice(rest, self._workers + 1):
                    waiting.append((path, executor.submit(self._outcome, path)))
                while waiting:
                    path, future = waiting.popleft()
                    outcome = future.result()
                    for following in islice(rest, 1):
                        waiting.append((following, executor.submit(self._outcome, following)))
                    yield path, outcome
            finally:
                for _, future in waiting:
                    future.cancel()

    def _outcome(self, path: Path) -> Extracted | LoadError:
        try:
            return self.load(path)
        except LoadError as error:
            return error


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

    def __init__(self, timeout: float, memory: int, max_characters: int) -> None:
        self._timeout = timeout
        self._arguments = [str(memory), str(timeout), str(max_characters)]
        self._process: subprocess.Popen[bytes] | None = None

    def load(self, path: Path) -> Extracted:
        answer = self._ask({"path": str(path.absolute())})
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

        timer = threading.Timer(self._timeout, give_up)
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
                  "Split it or convert it to text.", seconds=round(self._timeout, 1))
            )  # fmt: skip
        raise LoadError(
            t("The file crashed its parser or needs too much memory. Save it again or split it.")
        )

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.stop()
            self._process = subprocess.Popen(
                # -P: a file named json.py in the user's folder must not be imported.
                [sys.executable, "-P", "-m", "indexes.loaders.worker", *self._arguments],
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
    return {**kept, "PYTHONPATH": os.pathsep.join([*roots, *_site_folders()])}


def _site_folders() -> list[str]:
    """Where the parent found its libraries, however it was started."""
    return [folder for folder in sys.path if folder and Path(folder).name.endswith("-packages")]
