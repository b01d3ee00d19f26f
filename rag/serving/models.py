"""The models that vLLM serves here, with the facts that decide where they fit.

Shapes are those of each repository's config.json, numbers of parameters follow from them and agree
with the model cards. Tool and reasoning parsers are those that vLLM's page on tool calling
(docs.vllm.ai, features/tool_calling) and Qwen's page on vLLM (qwen.readthedocs.io) name. Only
repositories whose weights are safetensors are listed: BAAI/bge-m3, for one, comes as a pickle.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from indexes.errors import ModelError
from indexes.i18n import t

ServedKind = Literal["chat", "embedding", "rerank"]

FLOAT32 = ("float32", "float")
"""vLLM's names for numbers of four bytes."""

AWQ_GROUP = 128
"""How many weights share a scale in the AWQ models listed (their ``q_group_size``)."""

# A weight of 4 bits, and for each group a scale of 16 and a zero point of 4.
_AWQ_BYTES = (4 + (16 + 4) / AWQ_GROUP) / 8


@dataclass(frozen=True, slots=True)
class Shape:
    """The dimensions of a transformer as its config.json names them. ``kv_heads`` is 0 for an
    encoder, which keeps no keys and values between steps."""

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    intermediate: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model in the form that vLLM loads: safetensors on a hub, or in a folder.

    ``repository`` is its name on the hub, or a folder's path. ``parameters`` counts the weights;
    ``weight_bytes`` is what they take in memory in the given ``quantization`` ("" for none, at two
    bytes each). ``context`` is in tokens. ``tool_parser`` and ``reasoning_parser`` are vLLM's
    names, "" for none. ``chat_template`` is a file's path for a model that brings no template of
    its own.
    """

    name: str
    repository: str
    kind: ServedKind
    parameters: int
    weight_bytes: int
    quantization: str
    shape: Shape
    context: int
    licence: str
    languages: tuple[str, ...]
    description: str
    tool_parser: str = ""
    reasoning_parser: str = ""
    chat_template: str = ""


def bytes_per_number(dtype: str | None) -> int:
    """How many bytes a weight or a value in the cache takes where vLLM computes in ``dtype``. With
    any other than float32 it is two, also of a model that is stored in float32."""
    return 4 if dtype in FLOAT32 else 2


def kv_bytes_per_token(shape: Shape, tensor_parallel: int = 1, width: int = 2) -> int:
    """What one GPU keeps of each token: keys and values of its share of the heads in every layer,
    at ``width`` bytes. Heads fewer than the GPUs are kept by each (vLLM, ``get_num_kv_heads``)."""
    if not shape.kv_heads:
        return 0
    heads = max(1, shape.kv_heads // tensor_parallel)
    return 2 * shape.layers * heads * shape.head_dim * width


def linear_parameters(shape: Shape) -> int:
    """The weights of the attention and gated feed-forward matrices of a decoder."""
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    attention = shape.hidden * (2 * queries + 2 * keys)
    return shape.layers * (attention + 3 * shape.hidden * shape.intermediate)


# Qwen's models know a few dozen more; these are the ones that Waggle is made for.
_QWEN_LANGUAGES = ("en", "zh")
_QWEN_1_5B = Shape(28, 12, 2, 128, 1536, 8960, 151_936)
_QWEN_7B = Shape(28, 28, 4, 128, 3584, 18_944, 152_064)
_QWEN_14B = Shape(48, 40, 8, 128, 5120, 13_824, 152_064)
_QWEN_32B = Shape(64, 40, 8, 128, 5120, 27_648, 152_064)
_QWEN_72B = Shape(80, 64, 8, 128, 8192, 29_568, 152_064)


def _qwen25(
    size: str, shape: Shape, parameters: int, description: str, *,
    awq: bool = False, licence: str = "Apache-2.0",
) -> ServedModel:  # fmt: skip
    repository = f"Qwen/Qwen2.5-{size}-Instruct" + ("-AWQ" if awq else "")
    weights = 2 * parameters
    if awq:
        linear = linear_parameters(shape)
        weights = round(linear * _AWQ_BYTES) + 2 * (parameters - linear)
    return ServedModel(
        name=repository.partition("/")[2].lower(), repository=repository, kind="chat",
        parameters=parameters, weight_bytes=weights, quantization="awq" if awq else "",
        shape=shape, context=32_768, licence=licence, languages=_QWEN_LANGUAGES,
        description=description, tool_parser="hermes",
    )  # fmt: skip


_MODELS = (
    _qwen25(
        "7B", _QWEN_7B, 7_615_616_512,
        "The usual private deployment: good answers in Chinese and English on one 24 GB GPU.",
    ),
    _qwen25(
        "7B", _QWEN_7B, 7_615_616_512, awq=True,
        description="The 7B model in 4 bits, for GPUs of 12 to 16 GB.",
    ),
    _qwen25(
        "14B", _QWEN_14B, 14_770_033_664,
        "Better answers than the 7B model; one 48 GB GPU, or two of 24 GB.",
    ),
    _qwen25(
        "14B", _QWEN_14B, 14_770_033_664, awq=True,
        description="The 14B model in 4 bits, for one 24 GB GPU.",
    ),
    _qwen25(
        "32B", _QWEN_32B, 32_763_876_352, awq=True,
        description="The 32B model in 4 bits; one 48 GB GPU, or two of 24 GB.",
    ),
    _qwen25(
        "72B", _QWEN_72B, 72_706_203_648,
        "The best answers listed here; four GPUs of 48 or 80 GB.",
        licence="Qwen",
    ),
    _qwen25(
        "1.5B", _QWEN_1_5B, 1_543_714_304,
        "Quick, for small GPUs and for trying vLLM out on a processor.",
    ),
    ServedModel(
        name="qwen3-8b", repository="Qwen/Qwen3-8B", kind="chat",
        parameters=8_190_735_360, weight_bytes=2 * 8_190_735_360, quantization="",
        shape=Shape(36, 32, 8, 128, 4096, 12_288, 151_936), context=40_960,
        licence="Apache-2.0", languages=_QWEN_LANGUAGES,
        description="Reasons before it answers; the reasoning is kept apart. One 24 GB GPU.",
        tool_parser="hermes", reasoning_parser="qwen3",
    ),
    ServedModel(
        name="mistral-7b-instruct-v0.3", repository="mistralai/Mistral-7B-Instruct-v0.3",
        kind="chat", parameters=7_248_023_552, weight_bytes=2 * 7_248_023_552, quantization="",
        shape=Shape(32, 32, 8, 128, 4096, 14_336, 32_768), context=32_768,
        licence="Apache-2.0", languages=("en", "fr", "de", "es", "it"),
        description="For English and other European languages; not for Chinese. One 24 GB GPU.",
        tool_parser="mistral",
    ),
    ServedModel(
        name="smollm2-135m-instruct", repository="HuggingFaceTB/SmolLM2-135M-Instruct",
        kind="chat", parameters=134_515_008, weight_bytes=2 * 134_515_008, quantization="",
        shape=Shape(30, 9, 3, 64, 576, 1536, 49_152), context=8_192,
        licence="Apache-2.0", languages=("en",),
        description="Small and quick, too weak for real answers: for trying out the machinery.",
        tool_parser="hermes",
    ),
    ServedModel(
        name="multilingual-e5-large", repository="intfloat/multilingual-e5-large",
        kind="embedding", parameters=559_890_432, weight_bytes=2 * 559_890_432, quantization="",
        shape=Shape(24, 16, 0, 64, 1024, 4096, 250_002), context=512,
        licence="MIT", languages=("en", "zh"),
        description="Embeddings of 1024 dimensions in a hundred languages, Chinese among them.",
    ),
    ServedModel(
        name="bge-reranker-v2-m3", repository="BAAI/bge-reranker-v2-m3",
        kind="rerank", parameters=567_755_777, weight_bytes=2 * 567_755_777, quantization="",
        shape=Shape(24, 16, 0, 64, 1024, 4096, 250_002), context=8_192,
        licence="Apache-2.0", languages=("en", "zh"),
        description="Puts found passages in a better order, in Chinese, English and others.",
    ),
)  # fmt: skip

SERVED: Mapping[str, ServedModel] = MappingProxyType({model.name: model for model in _MODELS})
DEFAULT_SERVED_MODEL = "qwen2.5-7b-instruct"


def find_served(name: str) -> ServedModel:
    """The model of that name, in any case, also by its repository; `ModelError` names the ones
    there are."""
    wanted = name.strip().casefold()
    for model in SERVED.values():
        if wanted in (model.name, model.repository.casefold()):
            return model
    names = ", ".join(SERVED)
    close = difflib.get_close_matches(wanted, SERVED, n=1, cutoff=0.4)
    if close:
        raise ModelError(
            t(
                "There is no model {name}; did you mean {suggestion}? To be served are: {names}, "
                "and any folder with config.json and safetensors.",
                name=name,
                suggestion=close[0],
                names=names,
            )
        )
    raise ModelError(
        t(
            "There is no model {name}. To be served are: {names}, and any folder with config.json "
            "and safetensors.",
            name=name,
            names=names,
        )
    )
