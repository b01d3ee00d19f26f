"""How vLLM is started for a model on given hardware: every flag, and why it fits.

The flags are those of vLLM 0.32 (``vllm/engine/arg_utils.py``, ``entrypoints/launchers/
cli_args.py``).
"""

import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexes.errors import ModelError, UsageError
from indexes.i18n import t
from rag.serving.folder import adapter_rank, read_folder
from rag.serving.hardware import Hardware
from rag.serving.layout import Layout, Wish, lay_out
from rag.serving.memory import CONTEXT_STEP, UTILISATION, lora_rank
from rag.serving.models import FLOAT32, ServedModel, bytes_per_number
from rag.serving.processor import lay_out_on_cpu

SERVER_MODULE = "vllm.entrypoints.openai.api_server"
"""What is started with ``python -m``: in the CPU build the ``vllm`` command fails on looking up its
own version, the module works in both builds."""

DTYPES = ("auto", "bfloat16", "float16", "half", *FLOAT32)
DEFAULT_PORT = 8000

_UNKNOWN_RANK = 64
_LOOPBACK_NAME = "localhost"
# CUDA numbers GPUs by speed unless told to number them as nvidia-smi does.
_BY_BUS = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
# vLLM reports hardware and model to its makers unless told not to.
_PRIVATE = {"VLLM_NO_USAGE_STATS": "1"}
_OPEN_LICENCES = ("", "Apache-2.0", "MIT")


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What the user chose; ``None`` leaves the choice to `plan`. ``loras`` are pairs of a name and
    an adapter's folder; ``gpus`` and ``replicas`` count per machine."""

    port: int = DEFAULT_PORT
    host: str = "127.0.0.1"
    context: int | None = None
    gpus: int | None = None
    replicas: int | None = None
    loras: tuple[tuple[str, str], ...] = ()
    dtype: str | None = None


@dataclass(frozen=True, slots=True)
class ServePlan:
    """One start of vLLM: ``python -m SERVER_MODULE`` with ``arguments``, in an environment with
    ``environment`` added. ``context`` is in tokens; ``notes`` are sentences for the user; ``gpu``
    tells which build of vLLM it takes."""

    model: ServedModel
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    host: str
    port: int
    context: int
    tensor_parallel: int
    notes: tuple[str, ...]
    replicas: int = 1
    gpu: bool = True
    loras: tuple[tuple[str, str], ...] = ()


def plan(model: ServedModel | str, hardware: Hardware, options: ServeOptions) -> ServePlan:
    """The start of vLLM that serves ``model`` on ``hardware``; a `str` is a model's folder.

    Raises `ModelError` when it does not fit, and `UsageError` for options that cannot be.
    """
    served = read_folder(Path(model)) if isinstance(model, str) else model
    check(options)
    check_dtype(served, options)
    ranks = lora_ranks(served, options)
    wish = Wish(
        context=options.context, gpus=options.gpus, replicas=options.replicas or 1,
        lora_rank=max(ranks, default=0), loras=len(ranks), width=bytes_per_number(options.dtype),
    )  # fmt: skip
    if not hardware.gpus or options.gpus == 0:
        return _on_cpu(served, hardware, options, wish, ranks)
    layout = lay_out(served, hardware.gpus, wish)
    arguments = [*identity(served, options), *sizes(layout, options)]
    if layout.replicas > 1:
        arguments += ["--data-parallel-size", str(layout.replicas)]
    arguments += features(served, options, ranks)
    return ServePlan(
        model=served, arguments=tuple(arguments),
        environment={**variables(served), **_devices(layout, hardware)},
        host=options.host, port=options.port, context=layout.context,
        tensor_parallel=layout.tensor_parallel, replicas=layout.replicas, loras=options.loras,
        notes=tuple(_notes(served, layout, hardware, options)),
    )  # fmt: skip


def check(options: ServeOptions) -> None:
    """Raises `UsageError` for a host, port or type of number that cannot be."""
    if not _is_loopback(options.host):
        raise UsageError(
            t(
                "vLLM is served to this machine only, not at {host}: its key leaves administrative "
                "routes open to everyone. Let a service that checks keys stand in front of it.",
                host=options.host,
            )
        )
    if not 1 <= options.port <= 65_535:
        raise UsageError(t("{port} is no port: give one of 1 to 65535.", port=options.port))
    if options.dtype is not None and options.dtype not in DTYPES:
        raise UsageError(
            t("«{dtype}» is not among {known}.", dtype=options.dtype, known=", ".join(DTYPES))
        )
    if options.context is not None and options.context < CONTEXT_STEP // 4:
        raise UsageError(t("A context of {context} tokens is too short.", context=options.context))


def check_dtype(model: ServedModel, options: ServeOptions) -> None:
    """Raises `UsageError` for a model that is not computed in the type of number chosen."""
    # vLLM, ``get_supported_act_dtypes`` of its quantisations; those few with float32 gain nothing.
    if options.dtype in FLOAT32 and model.quantization:
        raise UsageError(
            t("{name} is quantised ({quantization}), and computed in 16 bits: leave out --dtype.",
              name=model.name, quantization=model.quantization)
        )  # fmt: skip


def _is_loopback(host: str) -> bool:
    try:
        return host == _LOOPBACK_NAME or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# -- flags -------------------------------------------------------------------------------------


def identity(model: ServedModel, options: ServeOptions) -> list[str]:
    """Which model, under which name, at which address."""
    arguments = ["--model", model.repository, "--served-model-name", model.name]
    arguments += ["--host", options.host, "--port", str(options.port)]
    if model.kind != "chat":
        arguments += ["--runner", "pooling"]
    # Never a pickle. Mistral's own files are safetensors that only its own loader finds.
    if model.tool_parser != "mistral":
        arguments += ["--load-format", "safetensors"]
    return arguments


def features(model: ServedModel, options: ServeOptions, ranks: Sequence[int]) -> list[str]:
    """What a chat model can do besides answering: cached prefixes, tools, reasoning, adapters."""
    if model.kind != "chat":
        return []
    arguments = ["--enable-prefix-caching"]
    if model.tool_parser:
        arguments += ["--enable-auto-tool-choice", "--tool-call-parser", model.tool_parser]
    if model.reasoning_parser:
        arguments += ["--reasoning-parser", model.reasoning_parser]
    if model.chat_template:
        arguments += ["--chat-template", model.chat_template]
    if options.loras:
        arguments += ["--enable-lora", "--max-loras", str(len(ranks))]
        arguments += ["--max-lora-rank", str(max(ranks)), "--lora-modules"]
        arguments += [lora_module(name, path) for name, path in options.loras]
    return arguments


def sizes(layout: Layout, options: ServeOptions) -> list[str]:
    """How much of the GPUs is taken, and how the model is split over them."""
    arguments = [
        *_dtype(layout, options),
        "--max-model-len", str(layout.context),
        "--gpu-memory-utilization", f"{layout.share:.2f}",
    ]  # fmt: skip
    if layout.tensor_parallel > 1:
        arguments += ["--tensor-parallel-size", str(layout.tensor_parallel)]
    if layout.pipeline_parallel > 1:
        arguments += ["--pipeline-parallel-size", str(layout.pipeline_parallel)]
    return arguments


def _dtype(layout: Layout, options: ServeOptions) -> list[str]:
    if options.dtype is not None:
        return ["--dtype", options.dtype]
    return ["--dtype", "float16"] if _is_old(layout) else []


def _is_old(layout: Layout) -> bool:
    """Whether a GPU among them cannot compute in bfloat16, which came with capability 8."""
    return any(gpu.capability is not None and gpu.capability < 8 for gpu in layout.gpus)


def lora_module(name: str, path: str) -> str:
    """An adapter as ``--lora-modules`` takes it."""
    # vLLM takes what has a comma in it for JSON.
    return json.dumps({"name": name, "path": path}) if "," in path else f"{name}={path}"


def lora_ranks(model: ServedModel, options: ServeOptions) -> list[int]:
    """What vLLM must be told of the adapters, one number each. Raises `ModelError` for one that it
    cannot take, `UsageError` where there are none to take."""
    if options.loras and model.kind != "chat":
        raise UsageError(t("{name} takes no adapters.", name=model.name))
    ranks = []
    for name, path in options.loras:
        rank = lora_rank(adapter_rank(Path(path)) or _UNKNOWN_RANK)
        if rank is None:
            raise ModelError(t("vLLM takes no adapter of so high a rank as {name}.", name=name))
        ranks.append(rank)
    return ranks


# -- environment and notes ---------------------------------------------------------------------


def variables(model: ServedModel) -> dict[str, str]:
    """What is set for vLLM."""
    # A model in a folder is whole: nothing is to be asked of a hub.
    offline = {"HF_HUB_OFFLINE": "1"} if Path(model.repository).is_absolute() else {}
    return {**_PRIVATE, **offline}


def _devices(layout: Layout, hardware: Hardware) -> dict[str, str]:
    if len(layout.gpus) == len(hardware.gpus):
        return {}
    indexes = ",".join(str(gpu.index) for gpu in layout.gpus)
    return {**_BY_BUS, "CUDA_VISIBLE_DEVICES": indexes}


def _notes(
    model: ServedModel, layout: Layout, hardware: Hardware, options: ServeOptions
) -> list[str]:
    smallest = min(layout.gpus, key=lambda gpu: gpu.memory)
    notes = []
    if options.context is None and layout.context < model.context:
        notes.append(
            t("The context was cut from {whole} to {context} tokens to fit {gpu}.",
              whole=f"{model.context:,}", context=f"{layout.context:,}", gpu=smallest.name)
        )  # fmt: skip
    if layout.share < UTILISATION:
        notes.append(
            t("Other programs hold a part of the GPU: vLLM gets {percent} % of it.",
              percent=round(layout.share * 100))
        )  # fmt: skip
    if _is_old(layout) and options.dtype is None:
        notes.append(t("This GPU does not compute in bfloat16, so float16 is used."))
    idle = len(hardware.gpus) - len(layout.gpus)
    if idle:
        notes.append(
            t("GPUs left free: {count}. --gpus and --replicas use more of them.", count=idle)
        )
    return notes + common_notes(model, options)


def common_notes(model: ServedModel, options: ServeOptions) -> list[str]:
    """What is to be said of the model on whatever it runs."""
    notes = [
        t("The adapter {path} is not on this machine; its rank is taken to be {rank} at most.",
          path=path, rank=_UNKNOWN_RANK)
        for _, path in options.loras if not Path(path).exists()
    ]  # fmt: skip
    if model.licence not in _OPEN_LICENCES:
        notes.append(
            t("{name} is under a licence of its own ({licence}): read it before you use it.",
              name=model.name, licence=model.licence)
        )  # fmt: skip
    if model.kind == "chat" and not model.tool_parser:
        notes.append(t("No tool-call parser is known for this model: it answers without tools."))
    return notes


# -- without a GPU -----------------------------------------------------------------------------


def _on_cpu(
    model: ServedModel, hardware: Hardware, options: ServeOptions, wish: Wish, ranks: Sequence[int]
) -> ServePlan:
    """On processors, in the type of number in which these are quick."""
    if options.gpus or (options.replicas or 1) > 1:
        raise ModelError(t("There is no GPU here. Leave out --gpus and --replicas."))
    layout = lay_out_on_cpu(model, hardware, wish, options.dtype)
    arguments = [
        *identity(model, options),
        "--dtype", layout.dtype,
        "--max-model-len", str(layout.context),
        # Without it PyTorch compiles the model, for which it needs a C++ compiler and minutes.
        "--enforce-eager",
        *features(model, options, ranks),
    ]  # fmt: skip
    note = t(
        "There is no GPU here: vLLM computes on the processor, which is slow. For one user the "
        "embedded engine does better: waggle models pull"
    )
    return ServePlan(
        model=model, arguments=tuple(arguments),
        environment={**variables(model), "VLLM_CPU_KVCACHE_SPACE": str(layout.cache)},
        host=options.host, port=options.port, context=layout.context, tensor_parallel=1,
        notes=(note, *layout.notes, *common_notes(model, options)), gpu=False, loras=options.loras,
    )  # fmt: skip
