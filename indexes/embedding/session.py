"""Running an 8-bit export with ONNX Runtime."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from indexes.embedding.base import Matrix
from indexes.embedding.int8 import INPUTS
from indexes.embedding.record import ExportRecord
from indexes.errors import DamagedError
from indexes.i18n import t


def read_model(folder: Path, record: ExportRecord) -> bytes:
    """The content of ``model.onnx``. Raises DamagedError when it does not have its checksum."""
    path = folder / "model.onnx"
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    if hashlib.sha256(content).hexdigest() != record.files[path.name]:
        raise DamagedError(t("{file} is damaged.", file=path))
    return content


def open_session(model: bytes, threads: int) -> Any:
    """An ``onnxruntime.InferenceSession``; one call uses ``threads`` cores and any number of calls
    may run at once."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # The extended level would put SkipLayerNormalization back (see `int8`).
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    # Waiting threads would burn the cores that parsing needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def vectors(session: Any, tensors: Sequence[Any]) -> Matrix:
    """The output of ``session`` for the tensors of `INPUTS`."""
    output: Matrix = session.run(None, dict(zip(INPUTS, tensors, strict=True)))[0]
    return output
