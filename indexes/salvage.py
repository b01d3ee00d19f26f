"""What can still be read of a damaged database, copied into a new one that takes its place.

Only documents whose seal is right are copied. The new database takes the old one's place by a
rename, so that a kill leaves either the one or the other; the damaged file is kept beside it.
"""

import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import apsw
import numpy as np

from indexes.audit import LOST, Sealed, read_sealed
from indexes.database import Database
from indexes.derived import dimension
from indexes.errors import CollectionError, LockedError
from indexes.failpoints import reach
from indexes.findings import Watch
from indexes.home import DATABASE, sync_folder
from indexes.i18n import t
from indexes.made_with import Making
from indexes.pages import PAGE, corrections, opened, sealed_page
from indexes.records import to_json
from indexes.schema import RESERVED
from indexes.verify import KEPT, has_sound_beginning, log_of

_COPIED = ("embedder_fingerprint", "embedder", "dimension", "splitting", "knowledge")
_FRESH, _TRIAL, _DONOR = (f"{DATABASE}.{what}" for what in ("mending", "trial", "donor"))
_BATCH = 200
_COMPARED = 8
_SAME = 0.98
"""Two runs of one model differ by rounding; two models share no directions."""
_UNREADABLE = (apsw.Error, CollectionError, ValueError, TypeError)


@dataclass(frozen=True, slots=True)
class Salvaged:
    """How many documents were ``saved``, the sources of those that were not, and of how many not
    even the source can be read. ``known`` is false where nobody can tell what there was."""

    saved: int
    lost: tuple[str, ...]
    nameless: int
    known: bool


def put_aside(path: Path) -> None:
    """Keep a copy of ``path`` as it is now, under a name that tells when."""
    if not path.is_file():
        return
    kept = _kept(path)
    try:
        os.link(path, kept)
    except OSError:
        shutil.copy2(path, kept)
    sync_folder(path.parent)


def _kept(path: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    return path.with_name(f"{path.name}{KEPT}{stamp}")


def salvage(folder: Path, watch: Watch, making: Making | None = None) -> Salvaged:
    """Put a new database, with every document that can be read, in the place of the damaged one;
    ``making`` is what the collection may have been made with, if that cannot be read either.
    The caller holds the collection's lock. Raises `LockedError` where another process has the
    database open."""
    path = folder / DATABASE
    for name in (_FRESH, _TRIAL, _DONOR):
        _remove(folder / name)
    old, new = _readable(path), Database(folder / _FRESH)
    try:
        done = _copy(old, new, watch) if old else Salvaged(0, (), 0, known=False)
        _know_model(new, making)
        reach("repair.copied")
        new.checkpoint()
    finally:
        new.close()
        if old:
            with suppress(apsw.Error):
                old.close()
    _replace(path, folder / _FRESH)
    for name in (_TRIAL, _DONOR):
        _remove(folder / name)
    return done


def _remove(path: Path) -> None:
    for file in (path, log_of(path), path.with_name(f"{path.name}-shm")):
        file.unlink(missing_ok=True)


def _readable(path: Path) -> Database | None:
    """The damaged database, opened; a copy of it with another first page, or lengthened to what it
    should be, where only that can be opened; nothing where that neither helps."""
    if not path.is_file() or path.stat().st_size < PAGE:
        return None
    with opened(path) as file:
        first = file.read(0, PAGE)
        size = file.size()
    sound = has_sound_beginning(path)
    pages = struct.unpack(">I", first[28:32])[0] if sound else -(-size // PAGE)
    if sound and size >= pages * PAGE:
        return _opened(path)
    trial = path.with_name(_TRIAL)
    for beginning in _beginnings(path, first, pages, sound=sound):
        _remove(trial)
        shutil.copyfile(path, trial)
        if log_of(path).is_file():
            shutil.copyfile(log_of(path), log_of(trial))
        with trial.open("r+b") as file:
            file.write(beginning)
            file.truncate(pages * PAGE)
        if database := _opened(trial):
            return database
    return None


def _beginnings(path: Path, first: bytes, pages: int, *, sound: bool) -> Iterator[bytes]:
    """First pages to try: this one, those that it may have been before one byte was damaged, and
    that of a new database, whose tables begin where those of most databases do."""
    if sound:
        yield first
        return
    donor = path.with_name(_DONOR)
    database = Database(donor)
    database.checkpoint()
    database.close()
    page = donor.read_bytes()[:PAGE]
    _remove(donor)
    yield from (c for c in corrections(first) if c[:24] == page[:24] and c[44:60] == page[44:60])
    body = page[:28] + struct.pack(">III", pages, 0, 0) + page[40 : PAGE - RESERVED]
    yield sealed_page(body)


def _opened(path: Path) -> Database | None:
    try:
        database = Database(path)
    except _UNREADABLE:
        return None
    try:
        database.connection.execute("SELECT 1 FROM documents LIMIT 0").fetchall()
        database.connection.execute("SELECT 1 FROM spans LIMIT 0").fetchall()
    except apsw.Error:
        database.close()
        return None
    return database


# -- documents -------------------------------------------------------------------------------


def _copy(old: Database, new: Database, watch: Watch) -> Salvaged:
    last, width = _last_row(old), _width(old)
    names = _names(old)
    lost: list[str] = []
    saved = nameless = 0
    for first in range(1, last + 1, _BATCH):
        with new.writing():
            for row in range(first, min(first + _BATCH, last + 1)):
                found = _sealed(old, row, width)
                if isinstance(found, Sealed):
                    new.insert(found.document, found.chunks, found.vectors.astype("float32"))
                    saved += 1
                elif row in names:
                    lost.append(names[row])
                else:
                    nameless += found
        reach("repair.copying")
        watch(t("documents"), min(first + _BATCH, last + 1) - 1, last)
    with new.writing():
        _copy_facts(old, new, width, saved)
        # Whoever comes after a repair that was stopped knows what it had still to read anew.
        new.set(LOST, to_json(lost))
    return Salvaged(saved, tuple(lost), nameless, known=bool(last))


def _sealed(old: Database, row: int, width: int) -> Sealed | int:
    """The document, or how many were lost: it may be that there never was one."""
    try:
        return read_sealed(old, row, width) or 0
    except _UNREADABLE:
        return 1


def _last_row(old: Database) -> int:
    """The highest row number that any table tells of."""
    found = [0]
    for sql in (
        "SELECT seq FROM sqlite_sequence WHERE name = 'documents'",
        "SELECT max(id) FROM documents",
        "SELECT max(document) FROM texts",
        "SELECT max(document) FROM spans",
    ):
        with suppress(apsw.Error):
            found += [row[0] or 0 for row in old.connection.execute(sql)]
    return max(found)


def _names(old: Database) -> dict[int, str]:
    """Sources by row number, as far as the table or its index can be read from either end."""
    names: dict[int, str] = {}
    for order in ("source", "source DESC", "+id", "id DESC"):
        with suppress(apsw.Error):
            for row, source in old.connection.execute(
                f"SELECT id, source FROM documents ORDER BY {order}"
            ):
                names[row] = source
    return names


def _width(old: Database) -> int:
    with suppress(*_UNREADABLE):
        if width := dimension(old):
            return width
    with suppress(apsw.Error):
        for (size,) in old.connection.execute("SELECT length(vector) FROM vectors LIMIT 1"):
            return int(size) // 2
    return 0


def _copy_facts(old: Database, new: Database, width: int, saved: int) -> None:
    for key in _COPIED:
        with suppress(*_UNREADABLE):
            if value := old.get(key):
                new.set(key, value)
    if saved:
        new.set("dimension", str(width))
    for key in ("generation", "passages"):
        number = 0
        with suppress(*_UNREADABLE):
            number = int(old.get(key, "0"))
        new.set(key, str(number + 1))


def _know_model(new: Database, making: Making | None) -> None:
    """Vectors of a model that is not known must not meet others."""
    if not new.counts()[1] or new.get("embedder_fingerprint"):
        return
    with new.writing():
        if making and _is_model_of(new, making):
            making.record(new)
        else:
            new.set("embedder_fingerprint", "unknown")
            new.set("embedder", t("unknown"))


def _is_model_of(new: Database, making: Making) -> bool:
    """Whether the model gives the passages the vectors that they have."""
    size = making.embedder.dimension
    if dimension(new) != size:
        return False
    numbers, theirs = next(new.vector_batches(0, size, size=_COMPARED))
    chunks = new.chunks(numbers.tolist())
    ours = making.embedder.encode([chunks[number].chunk.text for number in numbers.tolist()])
    cosines = (ours * theirs.astype(np.float32)).sum(axis=1)
    return bool((cosines > _SAME).all())


# -- files -----------------------------------------------------------------------------------


def _replace(path: Path, fresh: Path) -> None:
    _let_go(path)
    put_aside(path)
    if _holds_something(log_of(path)):
        put_aside(log_of(path))
    reach("repair.kept")
    # The log of the damaged database must not be taken for one of the new.
    for remains in (log_of(path), path.with_name(f"{path.name}-shm")):
        remains.unlink(missing_ok=True)
    reach("repair.renaming")
    fresh.replace(path)
    sync_folder(path.parent)
    reach("repair.renamed")


def _holds_something(path: Path) -> bool:
    return path.is_file() and bool(path.stat().st_size)


def _let_go(path: Path) -> None:
    """See to it that no other process goes on in the old file, and that its log is in it."""
    if not path.is_file() or not has_sound_beginning(path):
        return
    try:
        database = Database(path)
    except _UNREADABLE:
        return
    try:
        database.connection.set_busy_timeout(2000)
        database.connection.execute("PRAGMA journal_mode = DELETE")
    except apsw.BusyError as error:
        raise LockedError(
            t(
                "Another process has the damaged database {path} open. Stop it and try again.",
                path=path,
            )
        ) from error
    except apsw.Error:
        return
    finally:
        with suppress(apsw.Error):
            database.close()
