"""Mend a collection: from the checksums, from the database, and from the sources.

Each step leaves a collection that opens and can be mended again, wherever it is stopped.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from indexes.audit import LOST, lost_sources
from indexes.database import Database
from indexes.derived import Derived, dimension, name_postings
from indexes.failpoints import reach
from indexes.findings import Problem, VerifyReport, Watch
from indexes.home import DATABASE
from indexes.i18n import t
from indexes.made_with import Making
from indexes.pages import PAGE, check_log, check_pages, correction, opened
from indexes.postings import remove
from indexes.records import to_json
from indexes.salvage import Salvaged, put_aside, salvage
from indexes.verify import inspect, locks, log_of, orphans, quiet, verify

Reindex = Callable[[Sequence[str]], None]
"""Index these files anew; called while no lock is held."""

_ROWS = {"database", "page", "structure", "document", "chunk", "vector"}
_POSTINGS = {"posting", "postings_file"}


def repair(
    folder: Path,
    name: str,
    report: Watch | None = None,
    reindex: Reindex | None = None,
    making: Making | None = None,
) -> VerifyReport:
    """Mend the collection ``name`` in ``folder`` and check it again. Documents that cannot be
    saved are read anew from their files by ``reindex``, where it is given. ``making`` serves where
    the record of what the collection was made with is lost: if the vectors are found to be of its
    model, it is recorded anew; else everything must be embedded again.

    The caller must hold neither the collection's lock nor a connection to its database. Raises
    `LockedError` while another process has it open.
    """
    watch = report or (lambda _, __, ___: None)
    done: list[str] = []
    with quiet(folder):
        lost = _mend(folder, name, watch, done, making)
    files = [source for source in lost if _is_file(source)]
    if files and reindex:
        reindex(files)
    with quiet(folder):
        missing = _settle(folder, reindexed=reindex is not None)
    back = len(lost) - len(missing)
    if back:
        done.append(t("{count} documents were read anew from their files.", count=back))
    return replace(verify(folder, name, report), repaired=tuple(done), lost=missing)


def _is_file(source: str) -> bool:
    return Path(source).is_absolute() and Path(source).is_file()


def _settle(folder: Path, *, reindexed: bool) -> tuple[str, ...]:
    """Forget what is there again, and what never will be; returns what is not there."""
    database = Database(folder / DATABASE)
    try:
        lost = lost_sources(database)
        if not lost:
            return ()
        back = database.versions(lost)
        missing = tuple(source for source in lost if source not in back)
        waiting = [] if reindexed else [source for source in missing if _is_file(source)]
        with database.writing():
            database.set(LOST, to_json(waiting))
        reach("repair.settled")
        database.checkpoint()
        return missing
    finally:
        database.close()


def _mend(
    folder: Path, name: str, watch: Watch, done: list[str], making: Making | None
) -> tuple[str, ...]:
    """Returns the sources of the documents that are to be read anew."""
    path = folder / DATABASE
    _mend_log(path, done)
    _mend_pages(path, done)
    problems = inspect(folder, name, watch).problems
    if any(problem.kind in _ROWS for problem in problems):
        done += _told(salvage(folder, watch, making))
        problems = inspect(folder, name, watch).problems
    kinds = {problem.kind for problem in problems}
    database = Database(path)
    try:
        if "counts" in kinds:
            _recount(database)
            done.append(t("The counts were made anew."))
        _mend_derived(folder, database, kinds, done)
        _tidy(folder, database, problems, done)
        database.checkpoint()
        return tuple(lost_sources(database))
    finally:
        database.close()


def _told(salvaged: Salvaged) -> Iterator[str]:
    if not salvaged.known:
        yield t(
            "Nothing could be read from the database, so a new one was begun. Index your documents "
            "again with: waggle index PATH"
        )
        return
    yield t(
        "The database was written anew with the {count} documents that could be read. The damaged "
        "one was kept beside it.",
        count=salvaged.saved,
    )
    if salvaged.lost:
        yield t("{count} documents could not be read.", count=len(salvaged.lost))
    if salvaged.nameless:
        yield t(
            "Of {count} more not even the names could be read. Index your folders again with: "
            "waggle index PATH",
            count=salvaged.nameless,
        )


# -- the database's file ---------------------------------------------------------------------


def _mend_log(path: Path, done: list[str]) -> None:
    """SQLite drops what comes after the damage when it opens the database."""
    log = check_log(log_of(path))
    if not log.damaged:
        return
    put_aside(log_of(path))
    reach("repair.log_kept")
    done.append(
        t(
            "The log of the database was damaged after {frames} sound entries. What was committed "
            "after them is lost; a copy of the log was kept. Index your folders again with: waggle "
            "index PATH",
            frames=log.frames,
        )
    )
    if path.is_file() and path.stat().st_size >= PAGE and _opens(path):
        return
    log_of(path).unlink(missing_ok=True)


def _opens(path: Path) -> bool:
    """Whether opening the database took over the sound part of the log, and emptied it."""
    from indexes.errors import CollectionError

    try:
        database = Database(path)
    except CollectionError:
        return False
    database.checkpoint()
    database.close()
    return not check_log(log_of(path)).damaged


def _mend_pages(path: Path, done: list[str]) -> None:
    """Put right each page in which one byte is damaged, where its checksum tells which."""
    if not path.is_file() or path.stat().st_size < PAGE:
        return
    mended = []
    for number in check_pages(path, whole=False).damaged:
        with opened(path, write=True) as file:
            page = correction(file.read((number - 1) * PAGE, PAGE))
            if page is not None:
                file.write((number - 1) * PAGE, page)
                mended.append(str(number))
                reach("repair.page")
    if mended:
        which = ", ".join(mended)
        done.append(t("A damaged byte was put right in these pages: {which}.", which=which))


def _recount(database: Database) -> None:
    with database.writing():
        database.connection.execute("DELETE FROM counts")
        database.connection.execute(
            "INSERT INTO counts SELECT 1, (SELECT count(*) FROM documents),"
            " (SELECT count(*) FROM chunks), (SELECT ifnull(sum(length(text)), 0) FROM texts)"
        )
        database.next_generation()
    reach("repair.counted")


# -- what is derived -------------------------------------------------------------------------


def _mend_derived(
    folder: Path, database: Database, kinds: Collection[str], done: list[str]
) -> None:
    derived = Derived(folder)
    if not _POSTINGS.isdisjoint(kinds):
        postings = derived.write_postings(database.every_chunk())
        with database.writing():
            name_postings(database, postings)
            database.next_generation()
            reach("repair.postings")
        done.append(t("The postings were written anew from the database."))
    if "vector_file" in kinds and dimension(database):
        derived.build(database)
        done.append(t("The file of vectors was written anew from the database."))
    elif dimension(database):
        derived.publish(database)
        derived.wait()
    reach("repair.derived")
    derived.clean(database)


def _tidy(folder: Path, database: Database, problems: Sequence[Problem], done: list[str]) -> None:
    """Remove what nothing names, but for what somebody else has laid there."""
    for path in orphans(folder, database):
        if path.parent != folder or path.name.startswith("waggle."):
            remove(path)
            reach("repair.tidied")
    for path in locks(folder, database):
        if path.is_file() and path.stat().st_size:
            path.write_bytes(b"")
    if any(problem.kind == "orphan" for problem in problems):
        done.append(t("Files that belong to nothing were removed."))
