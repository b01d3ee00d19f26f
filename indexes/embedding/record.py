"""What is written beside an exported model."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from indexes.embedding.files import file_sha256, read_json

RECORD_NAME = "export.json"
MODEL_FILES = {"int8": ("model.onnx",), "f32": ("model.xml", "model.bin")}


class ExportRecord(BaseModel):
    """``export.json``: what the exported model is, and the SHA-256 of its files.

    ``precision`` is ``"int8"`` for a ``model.onnx`` that ONNX Runtime runs, ``"f32"`` for a
    ``model.xml`` with ``model.bin`` that OpenVINO runs. ``unknown_token_id`` stands for whatever
    the tokenizer does not know; ``None`` where there is no such token, or it means more.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[3]
    precision: Literal["int8", "f32"]
    fingerprint: str
    dimension: int
    max_tokens: int
    pad_token_id: int
    unknown_token_id: int | None
    inputs: tuple[str, ...]
    document_prompt: str
    query_prompt: str
    files: dict[str, str]


def read_record(folder: Path) -> ExportRecord | None:
    """The record of an export; ``None`` where there is none, or a damaged or foreign one."""
    record = read_json(folder / RECORD_NAME, ExportRecord)
    return record if record is not None and record.fingerprint == folder.name else None


def is_intact(folder: Path, record: ExportRecord, name: str) -> bool:
    """Whether file ``name`` of the export holds what was written."""
    try:
        return file_sha256(folder / name) == record.files[name]
    except (OSError, KeyError):
        return False
