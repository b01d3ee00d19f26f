"""What goes wrong below the database, in the words of the exception tree."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from indexes.errors import CollectionError, DamagedError, LockedError
from indexes.i18n import t


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Translate SQLite's errors about the database ``path``: `DamagedError` for what cannot be
    read back, `LockedError` for one that another process keeps busy, `CollectionError` for a disk
    that is full or may not be written."""
    try:
        yield
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise _damaged(path, error) from error
    except apsw.FullError as error:
        raise CollectionError(
            t(
                "There is no space left on the disk of {path}. What was stored before is intact. "
                "Make room and run the command again.",
                path=path,
            )
        ) from error
    except apsw.BusyError as error:
        raise LockedError(
            t("Another process keeps the database {path} busy. Try again.", path=path)
        ) from error
    except apsw.IOError as error:
        if getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA:
            raise _damaged(path, error) from error
        raise CollectionError(
            t(
                "The database {path} cannot be read or written: {reason}. Check the disk and the "
                "room left on it, and run the command again.",
                path=path,
                reason=error,
            )
        ) from error
    except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError) as error:
        raise CollectionError(
            t("The database {path} cannot be opened: {reason}.", path=path, reason=error)
        ) from error


def _damaged(path: Path, error: apsw.Error) -> DamagedError:
    return DamagedError(
        t(
            "The database {path} is damaged: {reason}. Mend it with: waggle verify --repair",
            path=path,
            reason=error,
        )
    )
