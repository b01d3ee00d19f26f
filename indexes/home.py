"""Where collections live: ``HOME/collections/NAME``, one folder for each."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from indexes.errors import CollectionError, LockedError, UnknownCollectionError, UsageError
from indexes.i18n import t

DATABASE = "waggle.db"
POSTINGS = "postings"
VECTORS = "vectors"
WRITE_LOCK = "write.lock"
BUILD_LOCK = "build.lock"
HOLDER = "writer.txt"
_NAME = re.compile(r"[^\W_][\w.-]{0,63}")


def collections(home: Path) -> list[str]:
    """The names of the collections under ``home``."""
    folder = home / "collections"
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if is_collection(entry))


def collection_folder(home: Path, name: str, *, create: bool) -> Path:
    """The folder of a collection; made if ``create``, else `UnknownCollectionError` where there
    is none. Raises `UsageError` for a name that cannot be one."""
    folder = home / "collections" / check_name(name)
    if not is_collection(folder):
        if not create:
            raise _unknown(home, name)
        _make(folder)
    return folder


def check_name(name: str) -> str:
    """The name. Raises `UsageError` for one that no collection can have."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            t(
                "«{name}» cannot be the name of a collection: use letters, digits, "
                "«.», «-» and «_».",
                name=name,
            )
        )
    return name


def is_collection(folder: Path) -> bool:
    """Also one whose database was lost: it can be mended."""
    return (folder / DATABASE).is_file() or (folder / POSTINGS).is_dir()


def _unknown(home: Path, name: str) -> UnknownCollectionError:
    known = ", ".join(collections(home))
    if not known:
        return UnknownCollectionError(
            t("There is no collection «{name}» yet. Make one with: waggle index PATH", name=name)
        )
    return UnknownCollectionError(
        t("There is no collection «{name}». There is: {known}.", name=name, known=known)
    )


def _make(folder: Path) -> None:
    """Whoever is told that a document is stored must find the folder again after a power cut."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    # A process that was killed may have made them, and synced nothing.
    certain = dict.fromkeys(path.parent for path in (folder, folder.parent, *new))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for above in certain:
            sync_folder(above)
    except OSError as error:
        raise CollectionError(
            t(
                "The folder {folder} cannot be made: {reason}. Choose another with --home.",
                folder=folder,
                reason=error.strerror or error,
            )
        ) from error


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` survive a power cut (POSIX only; elsewhere there is no way)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def disk_usage(folder: Path) -> int:
    """Bytes of all files below ``folder``; those that go away meanwhile do not count."""
    total = 0
    for below, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += Path(below, name).stat().st_size
    return total


@contextmanager
def noted_holder(folder: Path) -> Iterator[None]:
    """Write down which process holds the write lock, for those who have to wait. It is a courtesy:
    a disk that is full must not keep anybody from removing documents."""
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    with suppress(OSError):
        (folder / HOLDER).write_text(f"{os.getpid()} {since}\n", encoding="utf-8")

    try:
        yield
    finally:
        with suppress(OSError):
            (folder / HOLDER).unlink(missing_ok=True)


def _holder(folder: Path) -> str:
    """Who holds the write lock, as far as it is known."""
    try:
        pid, since = (folder / HOLDER).read_text("utf-8").strip().split(" ", 1)
    except (OSError, ValueError):
        return t("it did not say which")
    return t("process {pid}, since {since}", pid=pid, since=since)


def held(folder: Path) -> LockedError:
    """The error that tells who holds the write lock of the collection in ``folder``."""
    return LockedError(
        t(
            "Another process is writing to the collection «{name}»: {holder}. Wait until "
            "it has finished, or stop it.",
            name=folder.name,
            holder=_holder(folder),
        )
    )
