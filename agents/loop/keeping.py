"""The folders of runs: ``HOME/agents/runs/RUN_ID/``, each with what it takes to go on with it."""

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.loop.journal import Journal, unwritable
from agents.loop.types import Mode, Run, RunStatus
from indexes.errors import DamagedError, LockedError, RunError, UsageError
from indexes.failpoints import reach
from indexes.home import sync_folder
from indexes.i18n import t

if TYPE_CHECKING:
    from filelock import BaseFileLock

HEADER: Final = "header.json"
LOCK: Final = "run.lock"
NOTES: Final = "notes"
_FRESH: Final = "header.tmp"
_ID: Final = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")
_SHOWN: Final = 5
_PATIENCE: Final = 1.0
"""Seconds to wait for a lock: those who list the runs hold it for a moment."""
_YOUNG: Final = 60.0
"""Seconds in which a run that was made gets its header, if it ever does."""

State = Literal["running", "interrupted"] | RunStatus
"""How a run stands: ``interrupted`` is one whose process ended before it did."""


class Header(BaseModel):
    """What a run is. ``options`` are those it was begun with, in plain values; ``status`` and what
    follows it tell how it ended, or why it waits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    run_id: str
    goal: str
    begun: datetime
    model: str = ""
    mode: Mode = "loop"
    options: dict[str, Any] = {}
    status: RunStatus | None = None
    answer: str = ""
    reason: str = ""
    seconds: float = 0.0
    ended: datetime | None = None

    @property
    def collection(self) -> str:
        """The collection that the run is about."""
        return str(self.options.get("collection", "default"))


@dataclass(frozen=True, slots=True)
class Listed:
    """A run in a list; a damaged one has no ``header``, and says in ``problem`` why."""

    run_id: str
    header: Header | None
    state: State | None
    problem: str = ""


class Kept:
    """A run's folder. While it is open no other process can go on with the run."""

    def __init__(self, folder: Path, header: Header, lock: "BaseFileLock") -> None:
        self.folder, self.header = folder, header
        self._lock = lock
        self.journal = Journal(folder)

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self.header.run_id

    @property
    def notes(self) -> Path:
        """The folder of the run's notes; it may not be there yet."""
        return self.folder / NOTES

    def ended(self, run: Run) -> None:
        """Write down how it ended, or that it waits. Raises `RunError` where that fails."""
        self._put(
            status=run.status,
            answer=run.answer,
            reason=run.reason,
            seconds=run.seconds,
            ended=_now(),
        )

    def going_on(self) -> None:
        """It runs again: it has not ended any more."""
        if self.header.status:
            self._put(status=None, answer="", reason="", ended=None)

    def _put(self, **changes: Any) -> None:
        self.header = self.header.model_copy(update=changes)
        try:
            _write_header(self.folder, self.header)
        except OSError as error:
            raise unwritable(self.folder / HEADER, error.strerror or str(error)) from error

    def close(self) -> None:
        """Let others have it."""
        self.journal.close()
        self._lock.release()


def runs_folder(home: Path) -> Path:
    """Where the runs of a home are."""
    return home / "agents" / "runs"


def notes_of(home: Path, run_id: str) -> Path:
    """The folder of a run's notes; it may not be there yet, nor the run."""
    return runs_folder(home) / run_id / NOTES


def new_id() -> str:
    """The name of a run that is to be begun: after those of runs that began before."""
    now = _now()
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 250:03x}{secrets.token_hex(2)[1:]}"


@contextmanager
def begin_run(
    home: Path,
    goal: str,
    run_id: str = "",
    *,
    model: str = "",
    mode: Mode = "loop",
    **options: Any,
) -> Iterator[Kept]:
    """A new run, open; ``run_id`` is one of `new_id`. ``options`` are plain values. Raises
    `RunError` where it cannot be kept."""
    run_id = run_id or new_id()
    folder = runs_folder(home) / run_id
    header = Header(run_id=run_id, goal=goal, begun=_now(), model=model, mode=mode, options=options)
    try:
        _sweep(folder.parent)
        folder.mkdir(parents=True, mode=0o700)
        for above in (folder.parent, folder.parent.parent, home):
            sync_folder(above)
        reach("run.made")
    except OSError as error:
        raise _unbegun(folder, error) from error
    lock = locked(folder)
    try:
        _write_header(folder, header)
        kept = Kept(folder, header, lock)
    except BaseException as error:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise _unbegun(folder, error) from error
        raise
    try:
        yield kept
    finally:
        kept.close()


@contextmanager
def open_run(home: Path, run_id: str) -> Iterator[Kept]:
    """A run that is there, to go on with it. Raises `UsageError` for one that is not, `LockedError`
    while another process works on it, `DamagedError` for one that cannot be read."""
    folder = existing(home, run_id)
    header = read_header(home, run_id)
    lock = locked(folder)
    try:
        kept = Kept(folder, header, lock)
    except BaseException:
        lock.release()
        raise
    try:
        yield kept
    finally:
        kept.close()


def read_header(home: Path, run_id: str) -> Header:
    """What a run is. Raises `UsageError` where there is none of that name, `DamagedError` where it
    cannot be read."""
    file = existing(home, run_id) / HEADER
    try:
        header = Header.model_validate_json(file.read_bytes())
    except OSError as error:
        raise _foreign(file, error.strerror or str(error)) from error
    except ValidationError as error:
        raise _foreign(file, error.errors()[0]["msg"]) from error
    if header.run_id != run_id:
        raise _foreign(file, t("it is about the run «{run}»", run=header.run_id))
    return header


def runs(home: Path) -> tuple[Listed, ...]:
    """All runs of a home, the latest first."""
    return tuple(_listed(home, run_id) for run_id in _ids(home))


def _listed(home: Path, run_id: str) -> Listed:
    try:
        header = read_header(home, run_id)
    except DamagedError as error:
        return Listed(run_id, None, None, str(error))
    state: State = header.status or ("running" if _is_held(home, run_id) else "interrupted")
    return Listed(run_id, header, state)


def _ids(home: Path) -> list[str]:
    folder = runs_folder(home)
    if not folder.is_dir():
        return []
    return sorted((entry.name for entry in folder.iterdir() if _is_run(entry)), reverse=True)


def _is_run(folder: Path) -> bool:
    """Also one whose header was lost."""
    return _is_named(folder) and not _is_stillborn(folder)


def _is_named(folder: Path) -> bool:
    return bool(_ID.fullmatch(folder.name)) and folder.is_dir()


def _is_stillborn(folder: Path) -> bool:
    """Whether the process that made it was killed before the run had a header."""
    return {entry.name for entry in folder.iterdir()} <= {LOCK, _FRESH}


def existing(home: Path, run_id: str) -> Path:
    """The folder of a run. Raises `UsageError` where there is none of that name."""
    folder = runs_folder(home) / run_id
    if _ID.fullmatch(run_id) and _is_run(folder):
        return folder
    known = ", ".join(_ids(home)[:_SHOWN])
    raise UsageError(
        t("The agent has no run «{name}». The latest are: {known}.", name=run_id, known=known)
        if known
        else t("The agent has no run «{name}», nor any other.", name=run_id)
    )


def _foreign(file: Path, reason: str) -> DamagedError:
    return DamagedError(
        t(
            "The folder {folder} does not hold a run that can be read ({reason}). Begin a new one.",
            folder=file.parent,
            reason=reason,
        )
    )


def _write_header(folder: Path, header: Header) -> None:
    """All of it or nothing."""
    file = folder / HEADER
    fresh = folder / _FRESH
    try:
        reach("header.writing")
        with fresh.open("wb") as out:
            out.write(header.model_dump_json(indent=1).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
        reach("header.written")
        fresh.replace(file)
        sync_folder(folder)
        reach("header.renamed")
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


def _unbegun(folder: Path, error: OSError) -> RunError:
    return RunError(
        t(
            "No run can be kept in {folder}: {reason}. Make room there, or choose another with "
            "--home.",
            folder=folder.parent,
            reason=error.strerror or error,
        )
    )


def _lock(folder: Path) -> "BaseFileLock":
    from filelock import FileLock

    # One thread may begin a run and another end it.
    return FileLock(folder / LOCK, mode=0o600, thread_local=False)


def locked(folder: Path) -> "BaseFileLock":
    """The lock of the run in that folder. Raises `LockedError` while another process has it."""
    from filelock import Timeout

    lock = _lock(folder)
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout as error:
        raise LockedError(
            t("The run «{name}» is being worked on by another process. Wait for it, or stop it.",
              name=folder.name)
        ) from error  # fmt: skip
    except OSError as error:
        raise unwritable(folder / LOCK, error.strerror or str(error)) from error
    return lock


def _is_held(home: Path, run_id: str) -> bool:
    from filelock import Timeout

    lock = _lock(runs_folder(home) / run_id)
    try:
        lock.acquire(timeout=0)
        lock.release()
    except Timeout:
        return True
    except OSError:
        return False
    return False


def _sweep(folder: Path) -> None:
    """Away with what is left of runs whose process was killed before they had a header."""
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if _is_named(entry) and _is_stillborn(entry):
            with suppress(OSError):
                if time.time() - entry.stat().st_mtime > _YOUNG:
                    shutil.rmtree(entry)


def _now() -> datetime:
    return datetime.now(UTC)
