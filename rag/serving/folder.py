"""A model that lies in a folder: its shape from config.json, its size from the weights' files."""

import json
from pathlib import Path
from typing import Any

from indexes.errors import ModelFileError
from indexes.i18n import t
from rag.serving.models import ServedKind, ServedModel, Shape

_MAX_JSON_BYTES = 16 << 20
_MAX_DIMENSION = 1 << 24

# What a chat template writes around a tool call, and the parser of vLLM that reads it.
_TOOL_PARSERS = (("<tool_call>", "hermes"), ("[TOOL_CALLS]", "mistral"))
_REASONING_PARSERS = {"qwen3": "qwen3"}


def read_folder(folder: Path) -> ServedModel:
    """The model whose config.json and safetensors lie in ``folder``. Raises `ModelFileError` where
    something is missing or cannot be what it is called."""
    if not folder.is_dir():
        raise ModelFileError(t("There is no folder {folder}.", folder=folder))
    config = _json(folder / "config.json", required=True)
    weights = _weights(folder)
    if not weights:
        raise ModelFileError(
            t(
                "There are no safetensors in {folder}. Other formats are not served: convert the "
                "weights first, with save_pretrained of transformers.",
                folder=folder,
            )
        )
    try:
        return _model(folder.resolve(), config, weights)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            t("{file} does not describe a text model: {reason}.",
              file=folder / "config.json", reason=error)
        ) from error  # fmt: skip


def adapter_rank(folder: Path) -> int | None:
    """The rank of the LoRA adapter in ``folder``; ``None`` where the folder is not on this machine.
    Raises `ModelFileError` where it holds something else."""
    if not folder.exists():
        return None
    rank = _json(folder / "adapter_config.json", required=True).get("r")
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise ModelFileError(
            t("{file} states no rank (r) of an adapter.", file=folder / "adapter_config.json")
        )
    if not (folder / "adapter_model.safetensors").is_file():
        raise ModelFileError(
            t("There is no adapter_model.safetensors in {folder}; other formats are not served.",
              folder=folder)
        )  # fmt: skip
    return rank


def _model(folder: Path, config: dict[str, Any], weights: int) -> ServedModel:
    architectures = config.get("architectures") or [""]
    kind = _kind(str(architectures[0]))
    causal = kind == "chat" or "CausalLM" in str(architectures[0])
    heads = _count(config["num_attention_heads"])
    hidden = _count(config["hidden_size"])
    shape = Shape(
        layers=_count(config["num_hidden_layers"]),
        heads=heads,
        kv_heads=_count(config.get("num_key_value_heads") or heads) if causal else 0,
        head_dim=_count(config.get("head_dim") or hidden // heads),
        hidden=hidden,
        intermediate=_count(config.get("intermediate_size") or 4 * hidden),
        vocabulary=_count(config["vocab_size"]),
    )
    quantization = str((config.get("quantization_config") or {}).get("quant_method", ""))
    template = _template(folder) if kind == "chat" else ""
    model_type = str(config.get("model_type", ""))
    # Counted at two bytes each: vLLM makes 16 bits of float32 unless told not to.
    if not quantization and (config.get("dtype") or config.get("torch_dtype")) == "float32":
        weights //= 2
    return ServedModel(
        name=folder.name, repository=str(folder), kind=kind,
        parameters=weights // 2, weight_bytes=weights, quantization=quantization, shape=shape,
        context=_context(folder, config), licence="", languages=(), description="",
        tool_parser=next((name for mark, name in _TOOL_PARSERS if mark in template), ""),
        reasoning_parser=_REASONING_PARSERS.get(model_type, "") if "<think>" in template else "",
    )  # fmt: skip


def _kind(architecture: str) -> ServedKind:
    if architecture.endswith("ForSequenceClassification"):
        return "rerank"
    return "chat" if architecture.endswith("ForCausalLM") else "embedding"


def _context(folder: Path, config: dict[str, Any]) -> int:
    positions = _count(config["max_position_embeddings"])
    # RoBERTa's numbers begin after the padding token's, so that two fewer remain for text.
    positions -= 2 if "roberta" in str(config.get("model_type", "")) else 0
    # vLLM refuses more than what sentence-transformers reads of a text.
    limit = _json(folder / "sentence_bert_config.json", required=False).get("max_seq_length")
    return min(positions, _count(limit)) if limit else positions


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _MAX_DIMENSION:
        reason = t("{value} is no dimension", value=repr(value)[:40])
        raise ValueError(reason)
    return value


def _template(folder: Path) -> str:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text("utf-8", errors="replace")
    template = _json(folder / "tokenizer_config.json", required=False).get("chat_template", "")
    return template if isinstance(template, str) else json.dumps(template)


def _json(file: Path, *, required: bool) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes()) if file.stat().st_size <= _MAX_JSON_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        if not required and isinstance(error, FileNotFoundError):
            return {}
        reason = error.strerror if isinstance(error, OSError) else error
        raise ModelFileError(
            t("{file} cannot be read: {reason}.", file=file, reason=reason)
        ) from error
    if not isinstance(value, dict):
        raise ModelFileError(t("{file} does not hold one JSON object.", file=file))
    return value


def _weights(folder: Path) -> int:
    """The bytes of the weights. Mistral's repositories hold them twice: whole, and in parts."""
    files = [file for file in folder.glob("*.safetensors") if file.is_file()]
    parts = [file for file in files if not file.name.startswith("consolidated")]
    return sum(file.stat().st_size for file in parts or files)
