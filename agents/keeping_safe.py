"""``waggle backup`` and ``waggle restore``: a home in one file, and a home from one.

What can be made again is left out: models, engines, and the indexes that a collection makes from
its database. What can be lost is copied: each database as it stands after its last commit, while
others read and write it. The file is a gzipped tar whose last member lists the SHA-256 of all the
others, so that one that is cut off or changed is never taken for a backup.
"""

import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import IO, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.doors.upload_records import forget_lost
from indexes.errors import UsageError, WaggleError
from indexes.failpoints import reach
from indexes.failures import storage_errors
from indexes.home import DATABASE, sync_folder
from indexes.i18n import t
from indexes.schema import open_with_checksums

KEPT: Final = (
    "prompts", "calibration.json", "evaluations/runs", "evaluations/agent", "agents", "callers",
    "responses", "feedback*.jsonl", "audit*.jsonl", "keys.json", "uploads", "collections",
)  # fmt: skip
"""What a backup holds of a home, in the order in which it comes back."""
_UPLOADS: Final = "uploads/uploads.db"
_MANIFEST: Final = "manifest.json"
_STAGING: Final = "restoring"
_VERIFIED: Final = "verified"
_SQLITE: Final = b"SQLite format 3\0"
_PASSING: Final = (".lock", "-wal", "-shm", "-journal", ".new", ".tmp")
_BLOCK: Final = 1 << 20


class Manifest(BaseModel):
    """The last member of a backup: the SHA-256 of each file, by its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    waggle: str
    made: datetime
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Copied:
    """What a backup holds, or what came back from one. ``bytes`` counts the files' contents."""

    file: str
    collections: tuple[str, ...]
    files: int
    bytes: int
    made: str


# -- backup --------------------------------------------------------------------------------------


def backup(home: Path, file: Path) -> Copied:
    """Write all that ``home`` holds into the new file ``file``, which only its owner may read.

    Raises `UsageError` for a file that is there already and for a home without anything, and
    `WaggleError` where it cannot be written; then there is no ``file``.
    """
    if file.exists():
        raise UsageError(t("{path} is there already, and stays as it is. Name another file.",
                           path=file))  # fmt: skip
    if next(_found(home, file.absolute()), None) is None:
        raise UsageError(t("There is nothing to back up in {home}.", home=home))
    fresh = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        with fresh.open("xb") as raw:
            fresh.chmod(0o600)
            with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1) as tar:
                done = _write(tar, home, _found(home, file.absolute()), fresh.parent)
            raw.flush()
            os.fsync(raw.fileno())
        reach("backup.written")
        fresh.rename(file)
        sync_folder(file.absolute().parent)
    except OSError as error:
        raise _unwritten(file, error) from error
    finally:
        fresh.unlink(missing_ok=True)
    return Copied(str(file), *done)


def _found(home: Path, but: Path) -> Iterator[Path]:
    """The files of ``home`` that are kept, links and what is in passing left out. Each folder is
    listed when its turn comes: the uploads' contents after the database that names them."""
    for top in _tops(home):
        if top.is_file():
            yield top
        for folder, folders, files in os.walk(top):
            folders.sort()
            if Path(folder).parent == home / "collections":
                folders.clear()
            for entry in sorted(files):
                path = Path(folder, entry)
                if not path.is_symlink() and path != but and not _in_passing(path, home):
                    yield path


def _tops(folder: Path) -> Iterator[Path]:
    """What of ``folder`` bears a name of `KEPT`, in its order."""
    for pattern in KEPT:
        yield from (path for path in sorted(folder.glob(pattern)) if not path.is_symlink())


def _in_passing(path: Path, home: Path) -> bool:
    """Whether a file is a lock or the like, or made again of others. Uploads and notes bear names
    that people chose."""
    parts = path.relative_to(home).parts
    if parts[0] == "collections":
        return path.name != DATABASE
    if parts[:2] == ("uploads", "content"):
        return path.name.startswith("tmp")
    chosen = "notes" in parts[:-1]
    return path.name.startswith(".") or (not chosen and path.name.endswith(_PASSING))


def _write(
    tar: tarfile.TarFile, home: Path, found: Iterator[Path], scratch: Path
) -> tuple[tuple[str, ...], int, int, str]:
    sums: dict[str, str] = {}
    size = 0
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".backup-") as folder:
        uploads = Path(folder, "uploads")
        for path in found:
            name = path.relative_to(home).as_posix()
            copy = uploads if name == _UPLOADS else Path(folder, "copy")
            # What was deleted meanwhile is not part of the home any more.
            with suppress(FileNotFoundError), _still(path, copy) as content:
                if not uploads.exists() or name != _UPLOADS:
                    sums[name], count = _add(tar, name, content)
                    size += count
        if uploads.exists():  # it names no content that was deleted since it was copied
            forget_lost(uploads, [PurePosixPath(name).name for name in sums])
            with uploads.open("rb") as content:
                sums[_UPLOADS], count = _add(tar, _UPLOADS, content)
            size += count
    made = datetime.now(UTC)
    manifest = Manifest(waggle=version("waggledance"), made=made, files=sums)
    data = manifest.model_dump_json().encode()
    _add(tar, _MANIFEST, io.BytesIO(data))
    return _collections(sums), len(sums), size, made.isoformat(timespec="seconds")


def _still(path: Path, copy: Path) -> IO[bytes]:
    """The content of ``path`` as of one moment; that of a database is in ``copy``."""
    file = path.open("rb")
    if file.read(len(_SQLITE)) != _SQLITE:
        file.seek(0)
        return file
    file.close()
    copy.unlink(missing_ok=True)
    with storage_errors(path):
        source, target = open_with_checksums(path), open_with_checksums(copy)
        try:
            with target.backup("main", source, "main") as copying:
                while not copying.done:
                    copying.step(-1)
            target.pragma("journal_mode", "delete")
        finally:
            target.close()
            source.close()
    return copy.open("rb")


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes]) -> tuple[str, int]:
    """Add a member; its SHA-256 and size. A file that grows meanwhile is taken up to where it
    ended when it was begun."""
    info = tarfile.TarInfo(name)
    info.size = content.seek(0, os.SEEK_END)
    content.seek(0)
    info.mode = 0o600
    summing = _Summing(content)
    tar.addfile(info, summing)
    return summing.sum.hexdigest(), info.size


class _Summing(io.RawIOBase):
    """Reads, and sums up what it read."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self.sum = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._content.read(size)
        self.sum.update(data)
        return data


# -- restore -------------------------------------------------------------------------------------


def restore(file: Path, home: Path) -> Copied:
    """Bring back what the backup ``file`` holds, into a home that holds none of it yet.

    Nothing of the home changes before the whole file has been read and found to be as it was
    written. One that was interrupted is finished by the next call, with whatever file. Raises
    `UsageError` for a home that is in use, `WaggleError` for a file that is not a whole backup.
    """
    staging = home / _STAGING
    manifest = staging / _VERIFIED
    if not manifest.is_file():
        taken = [top.relative_to(home).as_posix() for top in _tops(home) if _holds(top)]
        if taken:
            raise UsageError(
                t("The folder {home} holds {names} already, and stays as it is. Restore into "
                  "another with --home.", home=home, names=", ".join(taken))
            )  # fmt: skip
        shutil.rmtree(staging, ignore_errors=True)
        try:
            _unpack(file, staging)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    try:
        return _move(file, home, staging)
    except OSError as error:
        raise _unwritten(home, error) from error


def _holds(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def _unpack(file: Path, staging: Path) -> None:
    """Write the members below ``staging``, and the manifest as `_VERIFIED` when all are right."""
    sums: dict[str, str] = {}
    try:
        staging.mkdir(parents=True, mode=0o700)
        with tarfile.open(file, "r|gz") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is None or _MANIFEST in sums or not _expected(member.name):
                    raise _not_one(file)
                sums[member.name] = _store(content, staging / member.name)
    except FileNotFoundError as error:
        raise UsageError(t("There is no file {path}.", path=file)) from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise _not_one(file) from error
    except OSError as error:
        if error.errno is None:  # gzip's own, about what it reads
            raise _not_one(file) from error
        raise _unwritten(staging, error) from error
    _check(file, staging, sums)


def _expected(name: str) -> bool:
    parts = PurePosixPath(name).parts
    if name == _MANIFEST:
        return True
    upwards = [PurePosixPath(*parts[:depth]) for depth in (1, 2)]
    known = any(fnmatchcase(str(top), kept) for top in upwards for kept in KEPT)
    return known and ".." not in parts and str(PurePosixPath(name)) == name


def _store(content: IO[bytes], path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    total = hashlib.sha256()
    with path.open("xb") as target:
        path.chmod(0o600)
        while block := content.read(_BLOCK):
            total.update(block)
            target.write(block)
        target.flush()
        os.fsync(target.fileno())
    return total.hexdigest()


def _check(file: Path, staging: Path, sums: dict[str, str]) -> None:
    if sums.pop(_MANIFEST, None) is None:
        raise _not_one(file)
    try:
        manifest = Manifest.model_validate_json((staging / _MANIFEST).read_bytes())
    except ValidationError as error:
        raise _not_one(file) from error
    if manifest.format != 1:
        raise WaggleError(
            t("The backup {path} was written by Waggle {version}. Install that version.",
              path=file, version=manifest.waggle)
        )  # fmt: skip
    if manifest.files != sums:
        raise _not_one(file)
    for folder, _, _ in os.walk(staging):
        sync_folder(Path(folder))
    reach("restore.checked")
    (staging / _MANIFEST).rename(staging / _VERIFIED)
    sync_folder(staging)
    sync_folder(staging.parent)


def _move(file: Path, home: Path, staging: Path) -> Copied:
    """Put what was unpacked in its place; the collections, which people look for, at last."""
    manifest = Manifest.model_validate_json((staging / _VERIFIED).read_bytes())
    for source in list(_tops(staging)):
        target = home / source.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        reach("restore.moving")
        if target.is_dir():
            target.rmdir()
        source.rename(target)
        sync_folder(target.parent)
    sizes = [(home / name).stat().st_size for name in manifest.files]
    reach("restore.moved")
    shutil.rmtree(staging)
    return Copied(
        str(file), _collections(manifest.files), len(sizes), sum(sizes),
        manifest.made.isoformat(timespec="seconds"),
    )  # fmt: skip


def _collections(names: dict[str, str]) -> tuple[str, ...]:
    parts = [PurePosixPath(name).parts for name in names]
    return tuple(sorted(p[1] for p in parts if p[0] == "collections" and p[-1] == DATABASE))


def _not_one(file: Path) -> WaggleError:
    return WaggleError(
        t("{path} is not a whole backup: it is cut off, damaged or something else. Nothing was "
          "changed. Use another backup.", path=file)
    )  # fmt: skip


def _unwritten(path: Path, error: OSError) -> WaggleError:
    return WaggleError(
        t("{path} cannot be written: {reason}. Make room or name another place, and run the "
          "command again.", path=path, reason=error.strerror or error)
    )  # fmt: skip
