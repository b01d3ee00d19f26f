"""How much of a GPU a model takes, before it is loaded.

Per GPU: its share of the weights, the keys and values of the tokens in work, adapters, and a
reserve for what the computation needs besides. vLLM measures all this once it has loaded the model
and ends where the cache has no room for one whole context; this estimate is meant to be on the safe
side of it.
"""

import sys
from dataclasses import dataclass

from rag.serving.hardware import GIB
from rag.serving.models import AWQ_GROUP, ServedModel, Shape, kv_bytes_per_token

UTILISATION = 0.92
"""The share of a GPU that vLLM takes by default (``CacheConfig.gpu_memory_utilization``)."""

# Programs see 1 to 2 % less of a GPU than nvidia-smi tells of.
_SEEN = 0.985

CONTEXT_STEP = 1024
SMALLEST_CONTEXT = 4096
"""Five passages, the instructions and an answer; a server with less is of no use here."""

# CUDA's context, its graphs, and the work space of the matrix products.
_FIXED_RESERVE = GIB
# Tokens in one step (vLLM's default on large GPUs; 2048 on smaller ones), each with the hidden
# states, the gated feed-forward's inner values and their copies.
_STEP_TOKENS = 8192
_ACTIVATIONS = 16
# Sequences in one step, each with its scores over the vocabulary in float32, twice.
_STEP_SEQUENCES = 256

LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks that vLLM can be told (``LoRAConfig.max_lora_rank``)."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one GPU gives to one model, in bytes; ``kv_per_token`` is what a token's keys and values
    take of it."""

    usable: int
    weights: int
    reserve: int
    adapters: int
    kv_per_token: int

    @property
    def kv_tokens(self) -> int:
        """How many tokens the cache holds; an encoder, which needs none, takes any number."""
        rest = self.usable - self.weights - self.reserve - self.adapters
        if rest <= 0:
            return 0
        return rest // self.kv_per_token if self.kv_per_token else sys.maxsize

    def needed(self, context: int) -> int:
        """What ``context`` tokens take in all."""
        return self.weights + self.reserve + self.adapters + context * self.kv_per_token


def utilisation(memory: int, free: int) -> float:
    """The share of a GPU that vLLM may be told to take: its default, or what other programs have
    left, in hundredths. vLLM refuses to start where less is free than it is told."""
    return min(UTILISATION, max(free - GIB // 4, 0) * 100 // memory / 100)


def usable(memory: int, share: float) -> int:
    """What ``share`` of a GPU is in bytes, for programs."""
    return int(memory * _SEEN * share)


def budget(
    model: ServedModel,
    granted: int,
    *,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    lora_rank: int = 0,
    loras: int = 0,
    width: int = 2,
) -> Budget:
    """How the ``granted`` bytes of each GPU are spent when the model, computed in numbers of
    ``width`` bytes, is split over ``tensor_parallel`` times ``pipeline_parallel`` of them. A
    pipeline's stages share out the layers, at worst one more for some than for others; the ends
    also hold the embeddings."""
    shape = model.shape
    stage = -(-shape.layers // pipeline_parallel) / shape.layers
    whole = weights_in_memory(model, width)
    weights = whole / tensor_parallel
    if pipeline_parallel > 1:
        ends = min(2 * width * shape.vocabulary * shape.hidden, whole) / tensor_parallel
        weights = (weights - ends) * stage + ends
    return Budget(
        usable=granted,
        weights=round(weights),
        reserve=reserve(shape, width),
        adapters=round(lora_bytes(shape, lora_rank, width) * loras * stage),
        kv_per_token=round(kv_bytes_per_token(shape, tensor_parallel, width) * stage),
    )


def weights_in_memory(model: ServedModel, width: int = 2) -> int:
    """What the weights take, in bytes, as numbers of ``width`` bytes. Quantised ones are computed
    in two bytes only (`rag.serving.plan.check_dtype`)."""
    return model.weight_bytes * width // 2


def reserve(shape: Shape, width: int = 2) -> int:
    """What the computation takes besides weights and cache, in bytes."""
    activations = _STEP_TOKENS * shape.hidden * _ACTIVATIONS * width
    scores = _STEP_SEQUENCES * shape.vocabulary * 4 * 2 if shape.kv_heads else 0
    return _FIXED_RESERVE + activations + scores


def lora_bytes(shape: Shape, rank: int, width: int = 2) -> int:
    """One adapter's slot: two thin matrices of ``width`` bytes a weight beside each matrix of each
    layer. Tensor parallel splits only half of it, which is not counted on."""
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    sides = 2 * (shape.hidden + queries) + 2 * (shape.hidden + keys)
    sides += 3 * (shape.hidden + shape.intermediate)
    return shape.layers * rank * sides * width


def lora_rank(rank: int) -> int | None:
    """The smallest rank that vLLM knows and that has room for ``rank``; ``None`` if none has."""
    return next((known for known in LORA_RANKS if known >= rank), None)


def tensor_sizes(model: ServedModel, at_most: int) -> tuple[int, ...]:
    """The numbers of GPUs, up to ``at_most``, over which the model's matrices can be split: they
    divide the attention heads (vLLM, ``verify_with_parallel_config``), share out or repeat the
    key heads evenly, and divide the feed-forward's width, by whole groups where it is quantised."""
    shape = model.shape
    group = AWQ_GROUP if model.quantization in ("awq", "gptq", "gptq_marlin", "awq_marlin") else 1
    return tuple(
        size
        for size in range(1, at_most + 1)
        if shape.heads % size == 0
        and (not shape.kv_heads or shape.kv_heads % size == 0 or size % shape.kv_heads == 0)
        and shape.intermediate % (size * group) == 0
    ) or (1,)


def context_that_fits(model: ServedModel, kv_tokens: int) -> int:
    """The longest context for which ``kv_tokens`` are enough: the model's own, or a multiple of
    1024; 0 if there is none of use."""
    if kv_tokens >= model.context:
        return model.context
    context = kv_tokens // CONTEXT_STEP * CONTEXT_STEP
    return context if context >= min(SMALLEST_CONTEXT, model.context) else 0
