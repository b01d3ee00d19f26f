"""Over which GPUs a model is spread, and what context that leaves room for."""

from collections.abc import Sequence
from dataclasses import dataclass

from indexes.errors import ModelError, UsageError
from indexes.i18n import t
from rag.serving.hardware import Gpu, gigabytes
from rag.serving.memory import (
    SMALLEST_CONTEXT,
    Budget,
    budget,
    context_that_fits,
    tensor_sizes,
    usable,
    utilisation,
)
from rag.serving.models import SERVED, ServedModel


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked of the layout; ``None`` leaves it open. ``gpus`` are those to use of each
    machine, ``replicas`` those on it; ``lora_rank`` is the largest of ``loras`` adapters, ``width``
    the bytes of a number."""

    context: int | None = None
    gpus: int | None = None
    replicas: int = 1
    lora_rank: int = 0
    loras: int = 0
    pipeline: int = 1
    width: int = 2


@dataclass(frozen=True, slots=True)
class Layout:
    """``replicas`` copies of the model on the GPUs ``gpus`` of a machine, each split over
    ``tensor_parallel`` of them and over ``pipeline_parallel`` machines. ``share`` is the part of
    each GPU that vLLM takes."""

    gpus: tuple[Gpu, ...]
    tensor_parallel: int
    pipeline_parallel: int
    replicas: int
    share: float
    context: int
    budget: Budget


def lay_out(model: ServedModel, gpus: Sequence[Gpu], wish: Wish) -> Layout:
    """The smallest number of ``gpus``, those with the most free memory, that hold the model with
    the context wished for (default: its whole one); if none does, the one with the most context.
    All of ``wish.gpus`` where that is given. Raises `ModelError` when it does not fit, and
    `UsageError` for a wish that cannot be.
    """
    _check(model, gpus, wish)
    best: Layout | None = None
    for size in _sizes(model, gpus, wish):
        layout = _layout(model, gpus, size, wish)
        if layout.context and (best is None or layout.context > best.context):
            best = layout
        if layout.context == (wish.context or model.context):
            return layout
    if best is None or wish.context is not None:
        raise _too_large(model, gpus, wish, best)
    return best


def _check(model: ServedModel, gpus: Sequence[Gpu], wish: Wish) -> None:
    if wish.gpus is not None and wish.gpus > len(gpus):
        raise UsageError(
            t("GPUs wanted: {wanted}; GPUs here: {present}. Give a smaller --gpus.",
              wanted=wish.gpus, present=len(gpus))
        )  # fmt: skip
    if wish.replicas > (wish.gpus or len(gpus)):
        raise UsageError(
            t(
                "{replicas} replicas take as many GPUs at least, and there are {present}.",
                replicas=wish.replicas,
                present=wish.gpus or len(gpus),
            )
        )
    if wish.context is not None and wish.context > model.context:
        raise UsageError(
            t(
                "{name} takes in at most {limit} tokens, not {wanted}.",
                name=model.name,
                limit=f"{model.context:,}",
                wanted=f"{wish.context:,}",
            )
        )


def _sizes(model: ServedModel, gpus: Sequence[Gpu], wish: Wish) -> tuple[int, ...]:
    """The tensor parallel sizes to try, the preferred one first."""
    if wish.gpus is None:
        return tensor_sizes(model, len(gpus) // wish.replicas)
    return tensor_sizes(model, wish.gpus // wish.replicas)[-1:]


def _layout(model: ServedModel, gpus: Sequence[Gpu], size: int, wish: Wish) -> Layout:
    """The layout over ``size`` GPUs; its context is 0 where the model does not fit."""
    chosen = sorted(gpus, key=lambda gpu: (-gpu.free, gpu.index))[: size * wish.replicas]
    share = min(utilisation(gpu.memory, gpu.free) for gpu in chosen)
    spent = budget(
        model, min(usable(gpu.memory, share) for gpu in chosen),
        tensor_parallel=size, pipeline_parallel=wish.pipeline,
        lora_rank=wish.lora_rank, loras=wish.loras, width=wish.width,
    )  # fmt: skip
    context = context_that_fits(model, spent.kv_tokens)
    if wish.context is not None:
        context = wish.context if spent.kv_tokens >= wish.context else context
    return Layout(
        gpus=tuple(sorted(chosen, key=lambda gpu: gpu.index)), tensor_parallel=size,
        pipeline_parallel=wish.pipeline, replicas=wish.replicas, share=share,
        context=context if share > 0 else 0, budget=spent,
    )  # fmt: skip


def _too_large(
    model: ServedModel, gpus: Sequence[Gpu], wish: Wish, best: Layout | None
) -> ModelError:
    if best is not None:
        return ModelError(
            t(
                "{name} does not fit with a context of {wanted} tokens; {fitting} fit. Give a "
                "smaller --context, or more GPUs.",
                name=model.name,
                wanted=f"{wish.context or model.context:,}",
                fitting=f"{best.context:,}",
            )
        )
    context = wish.context or min(SMALLEST_CONTEXT, model.context)
    size = _sizes(model, gpus, wish)[-1]
    layout = _layout(model, gpus, size, wish)
    values = {
        "name": model.name,
        "needed": gigabytes(layout.budget.needed(context)),
        "context": f"{context:,}",
        "size": size * wish.pipeline,
        "usable": gigabytes(layout.budget.usable),
    }
    smaller = _smaller(model, layout, wish)
    if smaller is not None:
        return ModelError(
            t(
                "{name} with {context} tokens of context needs {needed} per GPU (number of GPUs: "
                "{size}), of which {usable} can be used. {smaller} fits; more GPUs or larger ones "
                "would do as well.",
                smaller=smaller.name, **values,
            )
        )  # fmt: skip
    return ModelError(
        t(
            "{name} with {context} tokens of context needs {needed} per GPU (number of GPUs: "
            "{size}), of which {usable} can be used. It takes more GPUs or larger ones, or a "
            "smaller model.",
            **values,
        )
    )


def _smaller(model: ServedModel, layout: Layout, wish: Wish) -> ServedModel | None:
    """The largest model of the same kind that would fit where this one does not, preferring the
    same one in fewer bits, where it may be computed in 16."""
    fitting = [
        other
        for other in SERVED.values()
        if other.kind == model.kind and other.weight_bytes < model.weight_bytes
        if layout.tensor_parallel in tensor_sizes(other, layout.tensor_parallel)
        if not (other.quantization and wish.width > 2)
        if context_that_fits(other, _spent(other, layout, wish).kv_tokens)
    ]
    return max(
        fitting, key=lambda other: (other.parameters == model.parameters, other.parameters),
        default=None,
    )  # fmt: skip


def _spent(model: ServedModel, layout: Layout, wish: Wish) -> Budget:
    return budget(
        model, layout.budget.usable, width=wish.width,
        tensor_parallel=layout.tensor_parallel, pipeline_parallel=layout.pipeline_parallel,
    )  # fmt: skip
