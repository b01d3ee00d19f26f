"""What can answer and embed here, in the shapes that the doors show."""

from collections.abc import Callable, Sequence
from pathlib import Path

from agents.advisories import warning
from agents.shapes import ModelShape, ModelStatusShape, PulledShape
from indexes.addresses import is_loopback, port_of
from indexes.errors import ModelError
from indexes.i18n import t
from rag.models.catalogue import CATALOGUE, DEFAULT_CHAT_MODEL, find
from rag.models.download import import_file, local_path, pull
from rag.models.resolve import engine_dir, models_dir
from rag.settings import ChatSettings

# Of a chat model's tokenizer: what the prompt says beside the passages, and a passage.
_INSTRUCTION_TOKENS = 400
_PASSAGE_TOKENS = 300


def list_catalogue(home: Path) -> tuple[ModelShape, ...]:
    """The models of the catalogue, and whether each is here."""
    shapes = []
    for spec in CATALOGUE.values():
        path = local_path(spec, models_dir(home))
        shapes.append(
            ModelShape(
                name=spec.name, kind=spec.kind, description=t(spec.description), size=spec.size,
                licence=spec.licence, languages=spec.languages, context=spec.context,
                present=path is not None, path=str(path) if path else None,
            )
        )  # fmt: skip
    return tuple(shapes)


def fetch(
    home: Path, name: str | None, file: Path | None, progress: Callable[[int, int], None]
) -> PulledShape:
    """Put a model's weights, by default those of the chat model, where the engine finds them:
    fetched, or copied from ``file``. Raises `ModelError`."""
    spec, folder = find(name or DEFAULT_CHAT_MODEL), models_dir(home)
    path = import_file(spec, file, folder, progress) if file else pull(spec, folder, progress)
    return PulledShape(name=spec.name, path=str(path), sha256=spec.sha256)


def chat_status(home: Path, chat: ChatSettings) -> ModelStatusShape:
    """What would answer a question now."""
    return _endpoint(home, chat, chat.url) if chat.url else _engine(home, chat)


def sentences(status: ModelStatusShape) -> tuple[str, ...]:
    """The status for people, a line each: what would answer, the figures that a server told of
    itself, and what is wrong though it answers."""
    lines = [status.detail]
    if status.version:
        lines.append(t("vLLM {version}", version=status.version))
    if status.context and status.kind == "endpoint":
        lines.append(t("{context} tokens of context", context=status.context))
    if status.running is not None and status.waiting is not None:
        lines.append(
            t("{running} requests running, {waiting} waiting",
              running=status.running, waiting=status.waiting)
        )  # fmt: skip
    if status.cache_usage is not None:
        lines.append(
            t("{percent:.0f} % of the memory for contexts in use", percent=status.cache_usage * 100)
        )
    if status.prefix_cache_hits is not None:
        lines.append(
            t("{percent:.0f} % of the prompts' tokens found in the prefix cache",
              percent=status.prefix_cache_hits * 100)
        )  # fmt: skip
    if status.ok and status.problem:
        lines.append(f"! {status.problem}")
    return tuple(lines)


def _endpoint(home: Path, chat: ChatSettings, url: str) -> ModelStatusShape:
    from rag.serving.status import server_status

    key = chat.api_key.get_secret_value() if chat.api_key else None
    status = server_status(url, key, chat.model)
    problem = status.problem(model=chat.model, needed=_needed(chat))
    usable = status.state == "ready" and (not chat.model or chat.model in status.models)
    if not usable:
        starting = _starting(home, url) if status.state == "unreachable" else ""
        detail = starting or problem
        return _status("endpoint", detail, ok=False, url=url, models=status.models, problem=detail)
    metrics = status.metrics
    return _status(
        "endpoint",
        t("{url} serves {models}.", url=url, models=", ".join(status.models)),
        ok=True,
        url=url,
        models=status.models,
        context=status.context,
        problem=" ".join(filter(None, (warning(status.version or ""), problem))),
        version=status.version,
        running=metrics.running,
        waiting=metrics.waiting,
        cache_usage=metrics.cache,
        prefix_cache_hits=metrics.hits,
        preemptions=metrics.preemptions,
    )


def _needed(chat: ChatSettings) -> int:
    """The tokens of an ordinary question: instructions, passages, answer."""
    from rag.answering import DEFAULT_PASSAGES

    return _INSTRUCTION_TOKENS + DEFAULT_PASSAGES * _PASSAGE_TOKENS + chat.max_tokens


def _starting(home: Path, url: str) -> str:
    """The sentence for a server that `waggle models serve` is starting at ``url``, or ""."""
    from rag.serving.running import running

    for known in running(home):
        if is_loopback(url) and port_of(known.url) == port_of(url) and not known.ready:
            return t(
                "Waggle is starting {model} at {url} (process {pid}); it will answer when it is "
                "loaded. Its log is {log}.",
                model=known.model, url=known.url, pid=known.pid, log=known.log,
            )  # fmt: skip
    return ""


def _served(home: Path) -> str:
    """The sentence for a server of Waggle's own that nobody has been told to ask, or ""."""
    from rag.serving.running import running

    for known in running(home):
        return t(
            "{model} is served at {url}, but nothing asks it: set WAGGLE_CHAT_URL={url}, or url in "
            "the table [chat] of waggle.toml.",
            model=known.model, url=known.url,
        )  # fmt: skip
    return ""


def _engine(home: Path, chat: ChatSettings) -> ModelStatusShape:
    from rag.models.engine import engine_status

    try:
        spec = find(chat.model or DEFAULT_CHAT_MODEL)
    except ModelError as error:
        return _status("none", str(error), ok=False)
    if local_path(spec, models_dir(home)) is None:
        return _status(
            "none",
            _served(home) or t("There is no chat model here. Get one with: waggle models pull"),
            ok=False,
        )
    running = engine_status(engine_dir(home))
    if running is None:
        detail = t("{model} is here; the embedded engine starts with the next question.",
                   model=spec.name)  # fmt: skip
        return _status("engine", detail, ok=True, models=[spec.name])
    detail = t("The embedded engine runs {model} (process {pid}).",
               model=running.model, pid=running.pid)  # fmt: skip
    return _status(
        "engine", detail, ok=True, url=running.url, models=[running.model], context=running.context
    )


def _status(
    kind: str,
    detail: str,
    *,
    ok: bool,
    models: Sequence[str] = (),
    **known: object,
) -> ModelStatusShape:
    return ModelStatusShape.model_validate(
        {"kind": kind, "ok": ok, "detail": detail, "models": tuple(models),
         "url": None, "context": None, **known}
    )  # fmt: skip
