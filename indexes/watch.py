"""Keep a collection in step with folders that change.

The system's notices of change are hints: they get lost when too many come at once, and one of a
new or renamed folder stands for all that is in it. So a notice only says where to look, the disk
says what is there, and when enough is in doubt everything is looked through.
"""

import math
import os
import stat
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from indexes.errors import LockedError, SourceError, UnknownSourceError
from indexes.gitignore import NAME as GITIGNORE
from indexes.i18n import t
from indexes.pipeline import Report
from indexes.sources import Globs, Selection
from indexes.types import IndexReport

if TYPE_CHECKING:
    from indexes.collection import Collection

_FEW = 200  # paths that are looked at one by one
_WAKE_SECONDS = 1.0
_LONGEST_BURST = 10  # times the debounce

# A notice may have been lost, so a change is followed by a look at everything: after so many times
# as long as that takes, which bounds the load, and within these seconds.
_AUDIT_TIMES, _AUDIT_SOONEST, _AUDIT_LATEST = 20, 2.0, 600.0
# Where no notice comes at all, as from some network drives.
_IDLE_SECONDS = 3600.0


@dataclass(slots=True)
class _Changes:
    """Where something may have changed: at or below ``paths``, or ``anywhere``."""

    paths: set[str] = field(default_factory=set)
    anywhere: bool = False

    def add(self, other: "_Changes") -> None:
        self.anywhere |= other.anywhere
        if not self.anywhere:
            self.paths |= other.paths
        if self.anywhere or len(self.paths) > _FEW:
            self.everything()

    def everything(self) -> None:
        self.anywhere, self.paths = True, set()


def follow(
    collection: "Collection",
    paths: Sequence[str | os.PathLike[str]],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    prune: bool = True,
    progress: Report | None = None,
    stop: threading.Event | None = None,
    debounce_ms: int = 500,
) -> Iterator[IndexReport]:
    """Index ``paths`` as `Collection.add` does, and again whenever something below them changes,
    until ``stop`` is set. Yields the report of the first run, then one of each that had something
    to do. A run begins when nothing has changed for ``debounce_ms`` milliseconds, or ten times
    that after the first change.

    A path that vanishes is waited for, and its documents stay meanwhile. So is another process
    that writes to the collection. Where the system tells of no changes, as on network drives, the
    environment variable ``WATCHFILES_FORCE_POLLING=1`` has the folders looked through instead.

    Raises `SourceError` for a path that does not exist at the start, or that cannot be watched.
    """
    stop = stop or threading.Event()
    selection = Selection(paths, Globs(include, exclude), skip=collection.home)
    keeper = _Keeper(collection, selection, (include, exclude), prune, progress)
    for changes in _changes(selection, stop, debounce_ms):
        report = keeper.meet(changes)
        if report:
            yield report
        if stop.is_set():
            return


class _Keeper:
    """Brings the collection up to date."""

    def __init__(
        self,
        collection: "Collection",
        selection: Selection,
        globs: tuple[Sequence[str], Sequence[str]],
        prune: bool,
        progress: Report | None,
    ) -> None:
        self._collection = collection
        self._selection = selection
        self._include, self._exclude = globs
        self._prune = prune
        self._progress = progress
        self._pending = _Changes()
        self._begun = False
        self._audit_at = self._rest_until = 0.0
        self._cost = math.inf  # seconds to look through everything, where little has changed
        self._failed: set[tuple[str, str]] = set()

    def meet(self, changes: _Changes) -> IndexReport | None:
        """Take note of changes, and do what is due; the report of it if there is news."""
        self._pending.add(changes)
        now = time.monotonic()
        if self._begun and now >= self._audit_at:
            self._pending.everything()
        if not self._pending.paths and not (self._pending.anywhere and now >= self._rest_until):
            return None
        everything = self._pending.anywhere
        try:
            report = self._all() if everything else self._few(self._pending.paths)
        except LockedError:
            return None
        except (SourceError, UnknownSourceError):
            if not self._begun:
                raise
            # What was listed a moment ago has vanished.
            self._pending.everything()
            return None
        return self._news(report, everything) if report else None

    def _all(self) -> IndexReport | None:
        began = time.monotonic()
        roots = self._selection.present() if self._begun else self._selection.roots
        report = self._add(roots) if roots else None
        self._pending = _Changes()
        now = time.monotonic()
        took = now - began
        if took < self._cost or (report and not _changed(report)):
            self._cost = took
        # Under a load that never ends, half of the time is left to others.
        self._rest_until = now + min(took, self._cost) if self._begun else now
        settled = not (report and _changed(report))
        self._audit_at = now + (_IDLE_SECONDS if settled else self._audit_delay())
        return report

    def _audit_delay(self) -> float:
        return min(_AUDIT_LATEST, max(_AUDIT_SOONEST, _AUDIT_TIMES * self._cost))

    def _add(self, roots: Sequence[Path]) -> IndexReport:
        if not self._prune and not self._selection.scan().files:
            return self._nothing()
        return self._collection.add(
            roots, include=self._include, exclude=self._exclude,
            prune=self._prune, progress=self._progress,
        )  # fmt: skip

    def _few(self, paths: set[str]) -> IndexReport | None:
        files = self._selection.below(paths)
        if len(files) > _FEW:
            self._pending.everything()
            return None
        places = sorted(paths) if self._prune else []
        report = self._collection.refresh(places, files, progress=self._progress)
        self._pending = _Changes()
        if _changed(report) or report.failed:
            self._audit_at = min(self._audit_at, time.monotonic() + self._audit_delay())
        return report

    def _news(self, report: IndexReport, everything: bool) -> IndexReport | None:
        failed = set(report.failed)
        news = not self._begun or _changed(report) or failed - self._failed
        self._failed = failed if everything else self._failed | failed
        self._begun = True
        return report if news else None

    def _nothing(self) -> IndexReport:
        return IndexReport(0, 0, 0, 0, (), 0, 0.0, self._collection.status().generation)


def _changed(report: IndexReport) -> bool:
    return bool(report.added or report.updated or report.removed)


def _changes(selection: Selection, stop: threading.Event, debounce_ms: int) -> Iterator[_Changes]:
    """What changes, again and again, if it be nothing. Whatever happened before the system gave
    notice of it counts as a change anywhere, and so does a root that is another than it was: its
    notices have ended."""
    places = [*map(str, selection.roots), *selection.ignore_files()]
    while not stop.is_set():
        states = {place: _state(place) for place in places}
        folders = [place for place in map(str, selection.roots) if Path(place).is_dir()]
        with closing(_notices(folders, selection, stop, debounce_ms)) as notices:
            if next(notices, None) is None:
                stop.wait(_WAKE_SECONDS)
                continue
            yield _Changes(anywhere=True)
            for paths in notices:
                yield _Changes(paths, anywhere=_is_rule(paths) or bool(paths & {*folders}))
                if paths & {*folders} or any(_state(p) != states[p] for p in places):
                    break


def _is_rule(paths: set[str]) -> bool:
    return any(os.path.basename(path) == GITIGNORE for path in paths)  # noqa: PTH119 - strings


def _state(place: str) -> tuple[int, ...]:
    """What tells that a place is still the same folder, or a file with the same content."""
    try:
        found = os.stat(place)  # noqa: PTH116 - strings
    except OSError:
        return ()
    readable = os.access(place, os.R_OK)
    if stat.S_ISDIR(found.st_mode):
        return found.st_dev, found.st_ino, readable
    return found.st_dev, found.st_ino, readable, found.st_size, found.st_mtime_ns


def _notices(
    folders: Sequence[str], selection: Selection, stop: threading.Event, debounce_ms: int
) -> Generator[set[str], None, None]:
    """The paths that the system tells of, again and again, if there be none; ends when it can tell
    no more. Once the first set has come, no change goes by unseen."""
    from watchfiles import watch

    told = False
    try:
        if not folders:
            while not stop.wait(_WAKE_SECONDS if told else 0):
                told = True
                yield set()
            return
        for changes in watch(
            *folders,
            watch_filter=lambda _, path: selection.concerns(path),
            step=debounce_ms,
            debounce=_LONGEST_BURST * debounce_ms,
            rust_timeout=1,
            yield_on_timeout=True,
            stop_event=stop,
            ignore_permission_denied=True,
        ):
            told = True
            yield {path for _, path in changes}
    except FileNotFoundError:
        return
    except (OSError, RuntimeError) as error:
        if told:  # as of a name that is no UTF-8
            return
        raise SourceError(
            t(
                "{paths} cannot be watched: {reason}. Allow more watches "
                "(sysctl fs.inotify.max_user_watches), or set WATCHFILES_FORCE_POLLING=1.",
                paths=", ".join(folders),
                reason=error,
            )
        ) from error
