"""Runs that nobody needs any more."""

import shutil
from pathlib import Path

from agents.loop.keeping import HEADER, LOCK, existing, locked
from indexes.errors import RunError
from indexes.home import sync_folder
from indexes.i18n import t


def remove_run(home: Path, run_id: str) -> None:
    """Delete a run with all that belongs to it. Raises `UsageError` for one that is not there,
    `LockedError` while a process works on it, `RunError` where it cannot be deleted."""
    folder = existing(home, run_id)
    lock = locked(folder)
    try:
        for entry in sorted(folder.iterdir(), key=lambda one: one.name != HEADER):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != LOCK:
                entry.unlink()
        sync_folder(folder)
    except OSError as error:
        raise RunError(
            t("The run «{name}» cannot be deleted: {reason}.",
              name=run_id, reason=error.strerror or error)
        ) from error  # fmt: skip
    finally:
        lock.release()
    shutil.rmtree(folder, ignore_errors=True)
