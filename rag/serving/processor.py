"""How a model is computed without a GPU: in which type of number, and with what context.

vLLM leaves matrix products to oneDNN, which has them in 16 bits for AVX-512 and for Arm with bf16;
without those a plain loop stands in. On a processor with AVX2 (vLLM 0.32, a model of 135 million
weights, one core) float32 read prompts 6.5 times as fast as bfloat16 and 5.7 times as fast as
float16, and wrote 8 answers at a time 3 times as fast; one answer alone, which waits for memory, it
wrote at 0.8 of the speed.
"""

from dataclasses import dataclass, replace

from indexes.errors import ModelError, UsageError
from indexes.i18n import t
from rag.serving.hardware import GIB, Hardware, gigabytes
from rag.serving.layout import Wish
from rag.serving.memory import (
    CONTEXT_STEP,
    SMALLEST_CONTEXT,
    lora_bytes,
    reserve,
    weights_in_memory,
)
from rag.serving.models import ServedModel, bytes_per_number, kv_bytes_per_token

_SLOW_IN_16_BITS = ("x86", "arm")
_HALF, _WHOLE = "bfloat16", "float32"

# vLLM's kernel for weights of 4 bits (cpu_gemm_wna16) is in its libraries for AVX-512 and not in
# the one for AVX2.
_NEED_AVX512 = ("awq", "awq_marlin", "gptq", "gptq_marlin")

_CONTEXTS = 4
_LARGEST_CACHE = 32


@dataclass(frozen=True, slots=True)
class CpuLayout:
    """``dtype`` is what vLLM is told, ``context`` is in tokens, ``cache`` in GiB; ``notes`` are
    sentences for the user."""

    dtype: str
    context: int
    cache: int
    notes: tuple[str, ...]


def lay_out_on_cpu(
    model: ServedModel, hardware: Hardware, wish: Wish, dtype: str | None
) -> CpuLayout:
    """The model in ``dtype``, or by default in the type of number in which the processor is quick,
    with a cache of whole GiB for a few contexts. Where main memory has no room for float32 it is
    bfloat16 all the same.

    Raises `ModelError` when it does not fit, and `UsageError` for a context that cannot be.
    """
    if hardware.instructions == "x86" and model.quantization in _NEED_AVX512:
        raise ModelError(
            t(
                "{name} is quantised, and vLLM computes that on processors with AVX-512 only, not "
                "on this one. Take a model that is not quantised.",
                name=model.name,
            )
        )
    if dtype is not None:
        return _layout(model, hardware, wish, dtype)
    if hardware.instructions in _SLOW_IN_16_BITS and not model.quantization:
        return _quick(model, hardware, wish)
    layout = _layout(model, hardware, wish, _HALF)
    return layout if hardware.instructions else _with(layout, _unknown())


def _quick(model: ServedModel, hardware: Hardware, wish: Wish) -> CpuLayout:
    try:
        layout = _layout(model, hardware, wish, _WHOLE)
    except ModelError:
        layout = _layout(model, hardware, wish, _HALF)
        return _with(
            layout,
            t(
                "This processor is slow in bfloat16, and main memory has no room for float32. A "
                "smaller model answers several times as fast."
            ),
        )
    return _with(
        layout,
        t(
            "This processor is slow in bfloat16, so float32 is used: it takes twice the memory and "
            "reads a prompt several times as fast."
        ),
    )


def _unknown() -> str:
    return t(
        "It is not known whether this processor is quick in bfloat16, which is used: --dtype "
        "float32 may be faster."
    )


def _with(layout: CpuLayout, note: str) -> CpuLayout:
    return replace(layout, notes=(note, *layout.notes))


def _layout(model: ServedModel, hardware: Hardware, wish: Wish, dtype: str) -> CpuLayout:
    """What main memory allows in ``dtype``."""
    if wish.context is not None and wish.context > model.context:
        raise UsageError(
            t("{name} takes in at most {limit} tokens, not {wanted}.",
              name=model.name, limit=f"{model.context:,}", wanted=f"{wish.context:,}")
        )  # fmt: skip
    shape, width = model.shape, bytes_per_number(dtype)
    fixed = weights_in_memory(model, width) + reserve(shape, width)
    fixed += lora_bytes(shape, wish.lora_rank, width) * wish.loras
    per_token = kv_bytes_per_token(shape, width=width)
    room = min((hardware.memory - fixed) // GIB, _LARGEST_CACHE)
    least = wish.context or min(SMALLEST_CONTEXT, model.context)
    if room < 1 or room * GIB < least * per_token:
        needed = fixed + max(least * per_token, GIB)
        raise _too_large(model, hardware, least, needed)
    fitting = room * GIB // per_token if per_token else model.context
    context = wish.context or min(model.context, max(fitting // CONTEXT_STEP * CONTEXT_STEP, least))
    cache = -(-context * per_token * _CONTEXTS // GIB)
    return CpuLayout(dtype, context, max(1, min(room, cache)), _cut(model, context, wish))


def _cut(model: ServedModel, context: int, wish: Wish) -> tuple[str, ...]:
    if wish.context is not None or context == model.context:
        return ()
    return (
        t("The context is {context} tokens, of the model's {whole}.",
          context=f"{context:,}", whole=f"{model.context:,}"),
    )  # fmt: skip


def _too_large(model: ServedModel, hardware: Hardware, context: int, needed: int) -> ModelError:
    return ModelError(
        t(
            "{name} with {context} tokens of context needs {needed} of memory, and {free} are "
            "free. Take a smaller model, or a machine with a GPU.",
            name=model.name,
            context=f"{context:,}",
            needed=gigabytes(needed),
            free=gigabytes(max(hardware.memory, 0)),
        )
    )
