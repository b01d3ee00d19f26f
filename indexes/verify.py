"""Is everything as it was written: source ↔ document ↔ chunk ↔ vector ↔ posting.

The functions take the folder of a collection, for a collection may be too damaged to be opened.
Nothing is changed but what opening a database does; `indexes.repair` mends.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import apsw
from filelock import FileLock, Timeout

from indexes.audit import audit_documents, audit_lost, audit_numbers, audit_structure, unreadable
from indexes.audit_derived import (
    TANTIVY_LOCKS,
    audit_postings,
    audit_vectors,
    live_files,
    managed_files,
)
from indexes.database import Database
from indexes.errors import CollectionError
from indexes.findings import Problem, Tally, VerifyReport, Watch
from indexes.home import BUILD_LOCK, DATABASE, HOLDER, WRITE_LOCK, held, noted_holder
from indexes.i18n import t
from indexes.migration import open_database
from indexes.pages import PAGE, Log, check_log, check_pages, intact, opened, words_of
from indexes.schema import FORMAT

KEPT = ".damaged-"
"""In the name of what a repair has put aside."""
_LOCK_SECONDS = 10
_BUILD_SECONDS = 120
_SHOWN = 10


def verify(folder: Path, name: str, report: Watch | None = None) -> VerifyReport:
    """Check the collection ``name`` in ``folder``. Writers wait meanwhile, readers go on. Raises
    `LockedError` while another process writes. The caller must not hold the collection's lock."""
    with quiet(folder):
        return inspect(folder, name, report or _unwatched)


def _unwatched(_: str, __: int, ___: int) -> None:
    return


@contextmanager
def quiet(folder: Path) -> Iterator[None]:
    """A time in which nobody writes, nor builds a file of vectors."""
    with ExitStack() as locks:
        try:
            _to_present_format(folder)
            (folder / "vectors").mkdir(parents=True, exist_ok=True)
            locks.enter_context(FileLock(folder / WRITE_LOCK).acquire(timeout=_LOCK_SECONDS))
            locks.enter_context(noted_holder(folder))
            # Whoever builds a file now publishes it without the lock of the writers.
            with FileLock(folder / "vectors" / BUILD_LOCK).acquire(timeout=_BUILD_SECONDS):
                pass
        except Timeout:
            raise held(folder) from None
        except OSError as error:
            raise CollectionError(
                t(
                    "The folder {folder} cannot be locked: {reason}. Checking a collection needs "
                    "the right to write there.",
                    folder=folder,
                    reason=error.strerror or error,
                )
            ) from error
        yield


def _to_present_format(folder: Path) -> None:
    path = folder / DATABASE
    if path.is_file() and path.stat().st_size >= PAGE:
        with opened(path) as file:
            header = file.read(0, 100)
        if header.startswith(b"SQLite format 3\0") and header[20] == 0 and header[63] == 1:
            open_database(folder).close()


def inspect(folder: Path, name: str, watch: Watch) -> VerifyReport:
    """Check everything; the caller sees to it that nothing changes meanwhile."""
    started = time.monotonic()
    tally, problems = Tally(), list[Problem]()
    outdated: list[str] = []
    vanished: list[str] = []
    generation = 0
    database = _opened(folder, tally, problems, watch)
    if database is not None:
        with database:
            for part in (
                audit_structure(database.it),
                audit_numbers(database.it),
                audit_lost(database.it),
                audit_documents(database.it, tally, watch),
                audit_vectors(database.it, folder, tally),
                audit_postings(database.it, folder, tally, watch),
                _audit_files(folder, database.it),
                _audit_sources(database.it, outdated, vanished, watch),
            ):
                problems += _told(part, database.it)
            with suppress(apsw.Error, ValueError):
                generation = database.it.generation
    return VerifyReport(
        name, generation, tally.documents, tally.chunks, tally.vectors, tally.postings,
        tally.pages, tally.files, tuple(dict.fromkeys(problems)), tuple(outdated), tuple(vanished),
        (), (), time.monotonic() - started,
    )  # fmt: skip


def _told(part: Iterator[Problem], database: Database) -> Iterator[Problem]:
    """What a part finds; that it cannot go on is a finding too."""
    try:
        yield from part
    except (apsw.Error, CollectionError, ValueError, TypeError) as error:
        yield unreadable(database, error)


# -- the database's file ---------------------------------------------------------------------


class _Opened:
    """A database that leaves a damaged log as it is, for whoever mends it."""

    def __init__(self, path: Path, log: Log) -> None:
        self.it = Database(path)
        if log.damaged:
            self.it.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        else:
            self.it.checkpoint()

    def __enter__(self) -> "_Opened":
        return self

    def __exit__(self, *_: object) -> None:
        self.it.close()


def _opened(folder: Path, tally: Tally, problems: list[Problem], watch: Watch) -> _Opened | None:
    """The database, if it can be opened; its pages and its log are checked on the way."""
    path = folder / DATABASE
    watch(t("database"), 0, 1)
    if not path.is_file() or not path.stat().st_size:
        detail = t("The database is missing or empty.")
        problems.append(Problem("database", DATABASE, detail))
        return None
    tally.files += 1
    log = check_log(log_of(path))
    if log.damaged:
        detail = t(
            "The log of the database is damaged after {frames} sound entries; what was committed "
            "after them cannot be read.",
            frames=log.frames,
        )
        problems.append(Problem("log", log_of(path).name, detail))
    database = None
    # A database whose first page is damaged must not be opened: it might be taken for a new one.
    if log.frames or has_sound_beginning(path):
        try:
            database = _Opened(path, log)
        except (CollectionError, apsw.Error) as error:
            detail = t("The database cannot be opened: {reason}.", reason=error)
            problems.append(Problem("database", DATABASE, detail))
    problems += _audit_pages(path, tally)
    watch(t("database"), 1, 1)
    return database


def log_of(path: Path) -> Path:
    """The write-ahead log of a database."""
    return path.with_name(f"{path.name}-wal")


def has_sound_beginning(path: Path) -> bool:
    """Whether the first page, which tells what the file is, matches its checksum and is of the
    present format."""
    if path.stat().st_size < PAGE:
        return False
    with opened(path) as file:
        page = file.read(0, PAGE)
    known = page.startswith(b"SQLite format 3\0") and page[63] == FORMAT
    return known and bool(intact(words_of(page))[0])


def _audit_pages(path: Path, tally: Tally) -> Iterator[Problem]:
    log = log_of(path)
    found = check_pages(path, whole=not log.is_file() or not log.stat().st_size)
    tally.pages = found.count
    if found.damaged:
        shown = ", ".join(map(str, found.damaged[:_SHOWN]))
        more = ", …" if len(found.damaged) > _SHOWN else ""
        detail = t(
            "{count} of {pages} pages do not match their checksum: {which}.",
            count=len(found.damaged),
            pages=found.count,
            which=shown + more,
        )
        yield Problem("page", path.name, detail)
    if found.odd_bytes or found.count != found.expected:
        detail = t(
            "The file has {count} pages, and should have {expected}.",
            count=found.count,
            expected=found.expected,
        )
        yield Problem("page", path.name, detail)


# -- files and sources -----------------------------------------------------------------------


def _audit_files(folder: Path, database: Database) -> Iterator[Problem]:
    for path in orphans(folder, database):
        detail = t("The file belongs to nothing.")
        yield Problem("orphan", str(path.relative_to(folder)), detail)
    for path in locks(folder, database):
        if path.is_file() and path.stat().st_size:
            detail = t("A file that is only there to be locked is not empty.")
            yield Problem("orphan", str(path.relative_to(folder)), detail)


def orphans(folder: Path, database: Database) -> list[Path]:
    """Files and folders in the collection's folder that nothing names, in order."""
    file, postings = database.vector_file(), database.get("postings")
    place = folder / "postings" / postings
    named = {DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", WRITE_LOCK, HOLDER}
    found = [
        path
        for path in _entries(folder)
        if path.name not in named | {"postings", "vectors"} and KEPT not in path.name
    ]
    found += [p for p in _entries(folder / "postings") if p.name != postings]
    live = {BUILD_LOCK, file.name if file else BUILD_LOCK}
    found += [p for p in _entries(folder / "vectors") if p.name not in live]
    if postings and place.is_dir():
        with suppress(OSError, ValueError, KeyError, TypeError):
            known = live_files(place) | managed_files(place)
            known.update((*TANTIVY_LOCKS, "meta.json", ".managed.json"))
            found += [p for p in _entries(place) if p.name not in known]
    return sorted(found)


def locks(folder: Path, database: Database) -> list[Path]:
    """Where files stand that are only there to be locked."""
    place = folder / "postings" / database.get("postings")
    return [
        folder / WRITE_LOCK,
        folder / "vectors" / BUILD_LOCK,
        *(place / name for name in TANTIVY_LOCKS),
    ]


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _audit_sources(
    database: Database, outdated: list[str], vanished: list[str], watch: Watch
) -> Iterator[Problem]:
    """The files that documents came from: changed since, gone, or changed in silence."""
    total = database.counts()[0]
    cursor = database.connection.execute(
        "SELECT source, size, modified_ns, sha256 FROM documents ORDER BY source"
    )
    for done, (source, size, modified_ns, sha256) in enumerate(cursor, 1):
        path = Path(source)
        if not path.is_absolute():
            continue
        try:
            stat = path.stat()
            with path.open("rb") as data:
                same = hashlib.file_digest(data, "sha256").hexdigest() == sha256
        except (OSError, ValueError):
            vanished.append(source)
            continue
        if not same and (stat.st_size, stat.st_mtime_ns) != (size, modified_ns):
            outdated.append(source)
        elif not same:
            detail = t(
                "The file has the size and time that it had when it was indexed, and another "
                "content. Restore it from a backup; or, if the change is meant, touch it and index "
                "it again."
            )
            yield Problem("source_changed", source, detail)
        watch(t("sources"), done, total)
