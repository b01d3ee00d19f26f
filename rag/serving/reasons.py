"""Why a model server did not come up, read from its log, in one sentence with what to do."""

import errno
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

from indexes.i18n import t
from rag.serving.plan import ServePlan

_PREFIX = re.compile(r"^(\([^)]*\) )?((INFO|WARNING|ERROR|CRITICAL) [\d-]+ [\d:.]+ \[[^\]]*\] ?)?")
_ERROR = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt)\b.*")
# The last line of most failed starts, which only says that another process knows more.
_EMPTY = re.compile(r"Engine core initialization failed|Frontend process failed|See root cause")
# Under the line "1 validation error for VllmConfig".
_INVALID = re.compile(r"^Value error, (?P<text>.+?) \[type=\w+, input_value=")
_KILLED = re.compile(r"Failed core proc\(s\): \{[^}]*: -9\b")
_LOGGED_ERROR = re.compile(r"\b(ERROR|CRITICAL) [\d-]+ [\d:.]+ \[")

_Say = Callable[[re.Match[str], ServePlan], str]


def failure(log: str, code: int | None, plan: ServePlan, path: Path) -> str:
    """The sentence. ``log`` is the end of what the server wrote, ``code`` its exit status (negative
    for a signal), ``path`` where the whole log is."""
    for pattern, say in _KNOWN:
        found = pattern.search(log)
        if found:
            return say(found, plan)
    if code == -signal.SIGKILL or _KILLED.search(log):
        return t(
            "The system ended the model server, most likely because main memory ran out. Choose a "
            "smaller model or context; the server's log is {log}.",
            log=path,
        )
    return t(
        "The model server ended: {reason}. Its log is {log}.",
        reason=last_error(log) or t("exit status {code}", code=code),
        log=path,
    )


def last_error(log: str) -> str:
    """The last line of ``log`` that says what went wrong, without its prefix, or ""."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    bare = [_PREFIX.sub("", line).strip() for line in lines]
    raised = [line for line in bare if _ERROR.match(line) and not _EMPTY.search(line)]
    logged = [
        text for line, text in zip(lines, bare, strict=True)
        if _LOGGED_ERROR.search(line) and text and not _EMPTY.search(text)
    ]  # fmt: skip
    invalid = [found["text"] for line in bare if (found := _INVALID.match(line))]
    chosen = (invalid or raised or logged or bare or [""])[-1]
    return " ".join(chosen.split())[:300].rstrip(".")


def _gpu_memory(_: re.Match[str], plan: ServePlan) -> str:
    return t(
        "The GPU has not enough memory for {model} with {context} tokens of context. Close what "
        "else uses the GPU, or choose a smaller --context or model.",
        model=plan.model.name,
        context=plan.context,
    )


def _gpu_in_use(found: re.Match[str], plan: ServePlan) -> str:
    return t(
        "Only {free} of the GPU's {total} GiB are free, which is less than {model} is given. Close "
        "what else uses the GPU, then try again.",
        free=found["free"],
        total=found["total"],
        model=plan.model.name,
    )


def _cache_memory(found: re.Match[str], plan: ServePlan) -> str:
    fits = found["fits"]
    if fits:
        return t(
            "The memory left beside {model} holds no {context} tokens of context. Try again with "
            "--context {fits}.",
            model=plan.model.name,
            context=plan.context,
            fits=fits,
        )
    return t(
        "{model} leaves no memory for the context. Choose a smaller model, or close what else "
        "uses the memory.",
        model=plan.model.name,
    )


def _gated(_: re.Match[str], plan: ServePlan) -> str:
    return t(
        "{repository} is given only to those who accepted its licence. Accept it on "
        "https://huggingface.co/{repository}, then set HF_TOKEN to a token of that account.",
        repository=plan.model.repository,
    )


def _missing(_: re.Match[str], plan: ServePlan) -> str:
    return t(
        "There is no model {repository} on the hub, nor a folder of that name. Correct the name.",
        repository=plan.model.repository,
    )


def _unreachable(_: re.Match[str], plan: ServePlan) -> str:
    return t(
        "The weights of {repository} are not on this machine and the hub was not reached. Connect "
        "to the network, name a mirror in HF_ENDPOINT, or give the folder that holds the model.",
        repository=plan.model.repository,
    )


def _architecture(_: re.Match[str], plan: ServePlan) -> str:
    return t(
        "This version of vLLM cannot run the kind of model that {repository} is. Choose another "
        "model.",
        repository=plan.model.repository,
    )


def _own_code(_: re.Match[str], plan: ServePlan) -> str:
    return t(
        "{repository} wants to run code of its own, which Waggle does not allow. Choose another "
        "model.",
        repository=plan.model.repository,
    )


def _context(found: re.Match[str], plan: ServePlan) -> str:
    return t(
        "{model} cannot take {context} tokens of context. Try again with --context {limit}.",
        model=plan.model.name,
        context=plan.context,
        limit=found["limit"],
    )


def _flags(found: re.Match[str], _: ServePlan) -> str:
    return t(
        "This version of vLLM does not know {flags}. Let Waggle make its own environment for vLLM, "
        "which has the version that fits.",
        flags=found["flags"].strip(),
    )


def _driver(found: re.Match[str], _: ServePlan) -> str:
    return t(
        "vLLM cannot use this machine's GPU: {reason}. Install a newer driver, then try again.",
        reason=" ".join(found[0].split())[:200].rstrip("."),
    )


def _half(_: re.Match[str], plan: ServePlan) -> str:
    return t(
        "This GPU is too old for bfloat16, in which {model} is stored. Try again with "
        "--dtype float16.",
        model=plan.model.name,
    )


def _disk(_: re.Match[str], plan: ServePlan) -> str:
    return t(
        "The disk is full, so that {repository} cannot be stored. Make room, or let HF_HOME name a "
        "folder on another disk.",
        repository=plan.model.repository,
    )


def _port(_: re.Match[str], plan: ServePlan) -> str:
    return port_taken(plan, OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)))


def port_taken(plan: ServePlan, error: OSError) -> str:
    """Why the server could not listen there."""
    if error.errno == errno.EADDRINUSE:
        return t(
            "Port {port} on {host} is taken by another program. Choose another with --port.",
            port=plan.port,
            host=plan.host,
        )
    return t(
        "No server can listen on port {port} of {host}: {reason}. Choose another --port or --host.",
        port=plan.port,
        host=plan.host,
        reason=error.strerror or error,
    )


def _not_installed(_: re.Match[str], __: ServePlan) -> str:
    return t(
        "vLLM's environment is damaged: vLLM is not in it. Delete its folder; it is made anew on "
        "the next start."
    )


# The first that is found counts, so the cause stands before what follows from it.
_KNOWN: tuple[tuple[re.Pattern[str], _Say], ...] = tuple(
    (re.compile(pattern), say)
    for pattern, say in (
        (r"No module named '?vllm\b", _not_installed),
        (r"error: unrecognized arguments: (?P<flags>.+)", _flags),
        (r"[Aa]ddress already in use", _port),
        (r"No space left on device|Disk quota exceeded", _disk),
        (r"GatedRepoError|Cannot access gated repo|Access to model \S+ is restricted", _gated),
        (r"LocalEntryNotFoundError|OfflineModeIsEnabled|couldn't connect to '?https?://"
         r"|NameResolutionError|Max retries exceeded with url", _unreachable),
        (r"RepositoryNotFoundError|Repository Not Found|is not a valid model identifier"
         r"|Invalid repository ID or local directory", _missing),
        (r"Model architectures .+ (?:are not supported|failed to be inspected)"
         r"|does not recognize this architecture", _architecture),
        (r"requires you to execute|contains custom code|`trust_remote_code=True`", _own_code),
        (r"greater than the derived max_model_len.*?=\s*(?P<limit>\d+)", _context),
        (r"Bfloat16 is only supported on GPUs", _half),
        (r"Free memory on device .*?\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\)", _gpu_in_use),
        (r"(?:No available memory for the cache blocks|larger than the available KV cache memory)"
         r"(?:[^\n]*estimated maximum model length is (?P<fits>\d+))?", _cache_memory),
        (r"CUDA out of memory|torch\.(?:cuda\.)?OutOfMemoryError|HIP out of memory", _gpu_memory),
        (r"(?:The NVIDIA driver on your system is too old|CUDA driver version is insufficient"
         r"|no kernel image is available|Failed to infer device type|No CUDA GPUs are available)"
         r"[^\n]*", _driver),
    )
)  # fmt: skip
