"""Runs of any evaluation as files: one each, its first line the header, then a line an outcome.

An outcome counts once its line is on the disk, so a run that was killed, or lost its power, goes on
where it was; a last line that is torn is left out, and its question asked again.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from indexes.errors import DamagedError, LockedError, SourceError, UsageError
from indexes.home import sync_folder
from indexes.i18n import t

_TIME = re.compile(r"(\d{8}-\d{6})(?:-(\d{1,9}))?$")
_NAME = re.compile(r"[^\W_][\w.-]{0,99}")


class Record(BaseModel):
    """Exactly these members."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Heading(Record):
    """The first line of any run: its name, its time, and all that the outcomes depend on."""

    run: str
    started: str

    def binding(self) -> dict[str, object]:
        """All but the name and the time."""
        return self.model_dump(mode="json", exclude={"run", "started"})


HeaderT = TypeVar("HeaderT", bound=Heading)
OutcomeT = TypeVar("OutcomeT", bound=Record)


class KeptRuns(Generic[HeaderT, OutcomeT]):
    """The files of ``folder``, whose lines are of these two kinds."""

    def __init__(self, folder: Path, header: type[HeaderT], outcome: type[OutcomeT]) -> None:
        self.folder = folder
        self._header, self._outcome = header, outcome

    def names(self) -> list[str]:
        """All runs, the oldest first."""
        return sorted((file.stem for file in self.folder.glob("*.jsonl")), key=_age)

    def free_name(self, name: str) -> str:
        """``name``, or one that begins so and that no run has."""
        taken = set(self.names())
        others = (f"{name}-{number}" for number in count(2))
        return next(one for one in chain([name], others) if one not in taken)

    def lines(self, name: str) -> tuple[HeaderT, list[OutcomeT]]:
        """What is kept of a run. Raises `SourceError` where there is none, `DamagedError` for a
        file that holds something else."""
        file = self._existing(name)
        return self._parsed(file, file.read_bytes())

    @contextmanager
    def writing(self, header: HeaderT) -> "Iterator[RunWriter[HeaderT, OutcomeT]]":
        """A new run. Raises `SourceError` where its file cannot be made."""
        file = self._file(header.run)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = file.open("xb")
        except OSError as error:
            raise _unwritable(file, error) from error
        with handle, _locked(file):
            writer: RunWriter[HeaderT, OutcomeT] = RunWriter(file, handle, ())
            writer.write(header)
            sync_folder(self.folder)
            yield writer

    @contextmanager
    def continuing(self, name: str, header: HeaderT) -> "Iterator[RunWriter[HeaderT, OutcomeT]]":
        """An old run, to which what is missing will be added. Raises `UsageError` where it was
        about something else than ``header`` is."""
        file = self._existing(name)
        with _locked(file):
            data = file.read_bytes()
            old, outcomes = self._parsed(file, data)
            _check_same(old, header)
            try:
                handle = file.open("r+b")
            except OSError as error:
                raise _unwritable(file, error) from error
            with handle:
                handle.truncate(sum(map(len, _whole_lines(data))))
                handle.seek(0, os.SEEK_END)
                yield RunWriter(file, handle, tuple(outcomes))

    def _parsed(self, file: Path, data: bytes) -> tuple[HeaderT, list[OutcomeT]]:
        lines = _whole_lines(data)
        if not lines:
            raise _no_run(file, t("it is empty"))
        try:
            header = self._header.model_validate_json(lines[0])
            return header, [self._outcome.model_validate_json(line) for line in lines[1:]]
        except ValidationError as error:
            raise _no_run(file, error.errors()[0]["msg"]) from error

    def _file(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise UsageError(t("«{name}» cannot be the name of a run.", name=name))
        return self.folder / f"{name}.jsonl"

    def _existing(self, name: str) -> Path:
        file = self._file(name)
        if not file.is_file():
            known = ", ".join(self.names()[-5:])
            raise SourceError(
                t("There is no run «{name}». The latest are: {known}.", name=name, known=known)
                if known
                else t("There is no run «{name}», nor any other.", name=name)
            )
        return file


class RunWriter(Generic[HeaderT, OutcomeT]):
    """Adds outcomes to a run's file; ``outcomes`` are those that it had before."""

    def __init__(self, file: Path, handle: BinaryIO, outcomes: tuple[OutcomeT, ...]) -> None:
        self.file, self.outcomes = file, outcomes
        self._handle = handle

    def write(self, record: HeaderT | OutcomeT) -> None:
        """Add a line and see it onto the disk. Raises `SourceError` where that fails."""
        line = json.dumps(record.model_dump(mode="json"), ensure_ascii=True, separators=(",", ":"))
        try:
            self._handle.write(line.encode() + b"\n")
            self._handle.flush()
            os.fsync(self._handle.fileno())
        except OSError as error:
            raise _unwritable(self.file, error) from error


def _age(name: str) -> tuple[str, int, str]:
    time = _TIME.search(name)
    return (time[1], int(time[2] or 1), name) if time else ("", 0, name)


def _no_run(file: Path, reason: str) -> DamagedError:
    return DamagedError(
        t("The file {file} does not hold a run: {reason}.", file=file, reason=reason)
    )


def _whole_lines(data: bytes) -> Sequence[bytes]:
    """The lines without a last one that is torn: that has no end, or came onto the disk in part,
    when blocks of zeros may stand for the rest."""
    lines = data.splitlines(keepends=True)
    while lines and not _is_whole(lines[-1]):
        lines.pop()
    return lines


def _is_whole(line: bytes) -> bool:
    if not line.endswith(b"\n"):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _check_same(old: Heading, new: Heading) -> None:
    before, now = old.binding(), new.binding()
    changed = [name for name in before if before[name] != now[name]]
    if changed:
        raise UsageError(
            t(
                "The run «{name}» cannot go on, for something else has changed since: {changed}. "
                "Start a new one, or set it back.",
                name=old.run,
                changed=", ".join(changed),
            )
        )


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(file.with_suffix(".lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise LockedError(
            t("Another process is writing the run «{name}». Wait for it, or stop it.",
              name=file.stem)
        ) from error  # fmt: skip
    try:
        yield
    finally:
        lock.release()


def _unwritable(file: Path, error: OSError) -> SourceError:
    return SourceError(
        t("The file {file} cannot be written: {reason}.", file=file,
          reason=error.strerror or error)
    )  # fmt: skip
