"""One-time export of a sentence-transformers model for ONNX Runtime or OpenVINO.

torch and transformers take seconds to import, the runtimes a fraction of one, so they are needed
once per model and never again. Under the cache folder::

    exports/<fingerprint>/model.onnx (or model.xml, model.bin), tokenizer.json, export.json
    sources/<hash of the model folder's path>.json    sizes and times of the files last hashed

A folder appears under ``exports`` complete or not at all, ``export.json`` holds the checksum of
each file, and a file is used only after its checksum was compared.
"""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from indexes.embedding.convert import convert
from indexes.embedding.files import file_sha256, write_atomically, writing
from indexes.embedding.fingerprint import WEIGHTS, model_fingerprint
from indexes.embedding.record import RECORD_NAME, ExportRecord, read_record
from indexes.errors import ModelFileError
from indexes.i18n import t

_ABANDONED_SECONDS = 3600


def ensure_export(
    model_dir: Path,
    cache_dir: Path,
    *,
    weights_sha256: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[Path, ExportRecord]:
    """Folder and record of the export of ``model_dir``, which is made now if there is none.

    Raises ModelFileError when the folder holds no usable model or, at an export, when its weights
    differ from ``weights_sha256``; ModelError when the export cannot be made or saved.
    """
    fingerprint = model_fingerprint(model_dir, cache_dir)
    target = cache_dir / "exports" / fingerprint
    record = read_record(target)
    if record is None:
        if weights_sha256 is not None:
            _check_weights(model_dir, weights_sha256)
        if progress is not None:
            progress(t("Preparing the embedding model; this happens once."))
        record = _export(model_dir, target, fingerprint)
    return target, record


def discard(folder: Path) -> None:
    """Take a damaged export away, at once for every reader."""
    with contextlib.suppress(FileNotFoundError):  # another process was quicker
        aside = tempfile.mkdtemp(prefix=".damaged-", dir=folder.parent)
        folder.rename(Path(aside) / folder.name)
        shutil.rmtree(aside, ignore_errors=True)


def _export(model_dir: Path, target: Path, fingerprint: str) -> ExportRecord:
    with writing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target.parent)
        temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=target.parent))
    try:
        record = convert(model_dir, temporary, fingerprint)
        with writing(target.parent):
            write_atomically(temporary / RECORD_NAME, record.model_dump_json(indent=1).encode())
            return _publish(temporary, target) or record
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    """Remove what a killed export left; a young folder may belong to a living process."""
    for pattern in (".tmp-*", ".damaged-*"):
        for path in folder.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)


def _publish(temporary: Path, target: Path) -> ExportRecord | None:
    """Move the export to its place; the record of the one that another process put there first."""
    for path in temporary.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    if target.exists() and read_record(target) is None:
        discard(target)
    try:
        temporary.rename(target)
    except OSError:
        first = read_record(target)
        if first is None:
            raise
        return first
    return None


def _check_weights(model_dir: Path, expected: str) -> None:
    if file_sha256(model_dir / WEIGHTS) != expected:
        raise ModelFileError(
            t(
                "{file} is not the published file of this model. Install the model again.",
                file=model_dir / WEIGHTS,
            )
        )
