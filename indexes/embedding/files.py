"""Files that hold either what was written or nothing."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from indexes.errors import ModelError
from indexes.i18n import t

Stored = TypeVar("Stored", bound=BaseModel)


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write, flush to the disk, then rename: ``path`` holds the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_json(path: Path, schema: type[Stored]) -> Stored | None:
    """The record in ``path``; ``None`` where there is none, or a damaged or foreign one."""
    try:
        return schema.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a full disk or a read-only folder into a ModelError."""
    try:
        yield
    except OSError as error:
        raise ModelError(
            t(
                "The embedding model cannot be prepared in {folder}: {reason}. "
                "Free some space there, or choose a folder that can be written.",
                folder=folder,
                reason=error.strerror or str(error),
            )
        ) from error
