"""Which model a folder holds."""

import hashlib
import json
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from indexes.embedding.files import file_sha256, read_json, write_atomically, writing
from indexes.errors import ModelFileError
from indexes.i18n import t

WEIGHTS = "model.safetensors"
_NOT_PART_OF_THE_MODEL = {"data_config.json", "README.md"}


class _Source(BaseModel):
    """``sources/….json``: the state of a model folder (size and mtime_ns by file) when hashed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str
    files: dict[str, tuple[int, int]]
    fingerprint: str


def model_fingerprint(model_dir: Path, cache_dir: Path) -> str:
    """SHA-256 over weights, tokenizer and configuration of a sentence-transformers folder.

    Hashing 90 MB at each start is slow, so the answer is kept under ``cache_dir/sources`` together
    with size and time of each file, and found anew when one of these differs. Raises
    ModelFileError when the folder holds no usable model.
    """
    files = _model_files(model_dir)
    states = _file_states(model_dir, files)
    key = hashlib.sha256(os.fsencode(model_dir.resolve())).hexdigest()
    kept = cache_dir / "sources" / f"{key}.json"
    source = read_json(kept, _Source)
    if source is None or source.files != states:
        fingerprint = _hash_model(model_dir, files)
        source = _Source(folder=str(model_dir.resolve()), files=states, fingerprint=fingerprint)
        with writing(cache_dir):
            write_atomically(kept, source.model_dump_json().encode())
    return source.fingerprint


def _model_files(model_dir: Path) -> list[Path]:
    """The files that decide what the model computes, in a fixed order."""
    modules = _module_list(model_dir)
    folders = {model_dir, *(model_dir / module["path"] for module in modules)}
    suffixes = {".safetensors", ".json", ".txt", ".model"}
    files = sorted(
        path
        for folder in folders
        if folder.is_dir()
        for path in folder.iterdir()
        if path.suffix in suffixes and path.name not in _NOT_PART_OF_THE_MODEL
    )
    if not any(path.suffix == ".safetensors" for path in files):
        raise ModelFileError(
            t(
                "{folder} holds no weights in safetensors format. Download the model again, "
                "or convert its weights to {file}.",
                folder=model_dir,
                file=WEIGHTS,
            )
        )
    return files


def _module_list(model_dir: Path) -> list[dict[str, str]]:
    try:
        modules = json.loads((model_dir / "modules.json").read_text("utf-8"))
        return [{"path": str(module["path"]), "type": str(module["type"])} for module in modules]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelFileError(
            t(
                "{folder} is not a sentence-transformers model: its {file} is missing or damaged. "
                "Give the folder that holds this file.",
                folder=model_dir,
                file="modules.json",
            )
        ) from error


def _file_states(model_dir: Path, files: list[Path]) -> dict[str, tuple[int, int]]:
    states = ((path.relative_to(model_dir).as_posix(), path.stat()) for path in files)
    return {name: (state.st_size, state.st_mtime_ns) for name, state in states}


def _hash_model(model_dir: Path, files: list[Path]) -> str:
    total = hashlib.sha256()
    for path in files:
        total.update(f"{path.relative_to(model_dir).as_posix()}\0{file_sha256(path)}\n".encode())
    return total.hexdigest()
