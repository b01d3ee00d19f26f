"""Runs as they are kept: one file each, ``HOME/evaluations/runs/RUN.jsonl``.

An outcome counts once its line is on the disk, so a run that was killed, or lost its power, goes on
where it was; a last line that is torn is left out, and its question asked again.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from indexes.errors import DamagedError, LockedError, SourceError, UsageError
from indexes.home import sync_folder
from indexes.i18n import t
from rag.evaluation.records import Header, Outcome, Record

_TIME = re.compile(r"(\d{8}-\d{6})(?:-(\d{1,9}))?$")
_NAME = re.compile(r"[^\W_][\w.-]{0,99}")


@dataclass(frozen=True, slots=True)
class Run:
    """A run as far as it has come."""

    header: Header
    outcomes: tuple[Outcome, ...]

    @property
    def wanted(self) -> int:
        """The outcomes that a complete run has."""
        return len(self.header.questions) * len(self.header.pipelines)

    @property
    def complete(self) -> bool:
        return len(self.outcomes) >= self.wanted


class Runs:
    """The runs under ``home``."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "evaluations" / "runs"

    def names(self) -> list[str]:
        """All runs, the oldest first."""
        return sorted((file.stem for file in self.folder.glob("*.jsonl")), key=_age)

    def free_name(self, name: str) -> str:
        """``name``, or one that begins so and that no run has."""
        taken = set(self.names())
        others = (f"{name}-{number}" for number in count(2))
        return next(one for one in chain([name], others) if one not in taken)

    def read(self, name: str) -> Run:
        """A run by its name. Raises `SourceError` where there is none, `DamagedError` for a file
        that holds something else."""
        return _run(self._existing(name), self._existing(name).read_bytes())

    def unfinished(self, header: Header) -> Run | None:
        """The latest run of exactly the same that has not come to its end."""
        return next((run for run in self.same(header) if not run.complete), None)

    def same(self, header: Header) -> Iterator[Run]:
        """The runs of exactly the same, the latest first."""
        for name in reversed(self.names()):
            try:
                run = self.read(name)
            except (SourceError, DamagedError):
                continue  # somebody else's file, or one that was removed meanwhile
            if run.header.binding() == header.binding():
                yield run

    @contextmanager
    def writing(self, header: Header) -> Iterator["RunWriter"]:
        """A new run. Raises `SourceError` where its file cannot be made."""
        file = self._file(header.run)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = file.open("xb")
        except OSError as error:
            raise _unwritable(file, error) from error
        with handle, _locked(file):
            writer = RunWriter(file, handle, ())
            writer.write(header)
            sync_folder(self.folder)
            yield writer

    @contextmanager
    def continuing(self, name: str, header: Header) -> Iterator["RunWriter"]:
        """An old run, to which what is missing will be added. Raises `UsageError` where it was
        about something else than ``header`` is."""
        file = self._existing(name)
        with _locked(file):
            data = file.read_bytes()
            run = _run(file, data)
            _check_same(run.header, header)
            try:
                handle = file.open("r+b")
            except OSError as error:
                raise _unwritable(file, error) from error
            with handle:
                handle.truncate(sum(map(len, _whole_lines(data))))
                handle.seek(0, os.SEEK_END)
                yield RunWriter(file, handle, run.outcomes)

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


class RunWriter:
    """Adds outcomes to a run's file; ``outcomes`` are those that it had before."""

    def __init__(self, file: Path, handle: BinaryIO, outcomes: tuple[Outcome, ...]) -> None:
        self.file, self.outcomes = file, outcomes
        self._handle = handle

    def write(self, record: Record) -> None:
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


def _run(file: Path, data: bytes) -> Run:
    lines = _whole_lines(data)
    if not lines:
        raise _no_run(file, t("it is empty"))
    try:
        header = Header.model_validate_json(lines[0])
        outcomes = [Outcome.model_validate_json(line) for line in lines[1:]]
    except ValidationError as error:
        raise _no_run(file, error.errors()[0]["msg"]) from error
    asked = set(header.questions)
    distinct = {(o.pipeline, o.question.id): o for o in outcomes if o.question.id in asked}
    return Run(header, tuple(distinct.values()))


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


def _check_same(old: Header, new: Header) -> None:
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
