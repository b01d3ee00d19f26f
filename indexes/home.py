"""Where collections live: ``HOME/collections/NAME``, one folder for each."""

import re
from pathlib import Path

from indexes.errors import CollectionError, UnknownCollectionError, UsageError
from indexes.i18n import t

DATABASE = "waggle.db"
_NAME = re.compile(r"[^\W_][\w.-]{0,63}")


def collections(home: Path) -> list[str]:
    """The names of the collections under ``home``."""
    folder = home / "collections"
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if (entry / DATABASE).is_file())


def collection_folder(home: Path, name: str, *, create: bool) -> Path:
    """The folder of a collection; made if ``create``, else `UnknownCollectionError` where there
    is none. Raises `UsageError` for a name that cannot be one."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            t(
                "«{name}» cannot be the name of a collection: use letters, digits, "
                "«.», «-» and «_».",
                name=name,
            )
        )
    folder = home / "collections" / name
    if not (folder / DATABASE).is_file():
        if not create:
            raise _unknown(home, name)
        _make(folder)
    return folder


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
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise CollectionError(
            t(
                "The folder {folder} cannot be made: {reason}. Choose another with --home.",
                folder=folder,
                reason=error.strerror or error,
            )
        ) from error


def disk_usage(folder: Path) -> int:
    """Bytes of all files below ``folder``."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
