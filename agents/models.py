"""What can answer and embed here, in the shapes that the doors show."""

from collections.abc import Callable
from pathlib import Path

from agents.shapes import ModelShape, ModelStatusShape, PulledShape
from indexes.errors import EndpointError, ModelError
from indexes.i18n import t
from rag.models.catalogue import CATALOGUE, DEFAULT_CHAT_MODEL, find
from rag.models.chat import context_window, list_models
from rag.models.download import import_file, local_path, pull
from rag.models.resolve import engine_dir, models_dir
from rag.settings import ChatSettings


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
    return _endpoint(chat, chat.url) if chat.url else _engine(home, chat)


def _endpoint(chat: ChatSettings, url: str) -> ModelStatusShape:
    key = chat.api_key.get_secret_value() if chat.api_key else None
    try:
        models = list_models(url, key)
        context = context_window(url, key, chat.model)
    except EndpointError as error:
        return _status("endpoint", str(error), ok=False, url=url)
    if chat.model and chat.model not in models:
        detail = t("{url} does not serve {model}. It serves: {models}.",
                   url=url, model=chat.model, models=", ".join(models))  # fmt: skip
        return _status("endpoint", detail, ok=False, url=url, models=models)
    detail = t("{url} serves {models}.", url=url, models=", ".join(models))
    return _status("endpoint", detail, ok=True, url=url, models=models, context=context)


def _engine(home: Path, chat: ChatSettings) -> ModelStatusShape:
    from rag.models.engine import engine_status

    try:
        spec = find(chat.model or DEFAULT_CHAT_MODEL)
    except ModelError as error:
        return _status("none", str(error), ok=False)
    if local_path(spec, models_dir(home)) is None:
        detail = t("There is no chat model here. Get one with: waggle models pull")
        return _status("none", detail, ok=False)
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
    url: str | None = None,
    models: list[str] | None = None,
    context: int | None = None,
) -> ModelStatusShape:
    return ModelStatusShape.model_validate(
        {
            "kind": kind, "ok": ok, "url": url, "models": tuple(models or ()),
            "context": context, "detail": detail,
        }
    )  # fmt: skip
