"""Which chat model answers here: the endpoint of the settings, else the embedded engine."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from indexes.i18n import t
from rag.models.catalogue import DEFAULT_CHAT_MODEL, find
from rag.models.download import local_path
from rag.settings import ChatSettings, load_chat_settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

Waiting = Callable[[float], None]
Notice = Callable[[str], None]


def models_dir(home: Path) -> Path:
    """Where pulled models lie."""
    return home / "models"


def engine_dir(home: Path) -> Path:
    """Where the embedded engine keeps its address, locks and log."""
    return home / "engine"


def resolve_chat(
    home: Path,
    settings: ChatSettings | None = None,
    waiting: Waiting | None = None,
    notice: Notice | None = None,
) -> "BaseChatModel | None":
    """The chat model that the settings stand for, or ``None`` where no endpoint is set and the
    model of the embedded engine has not been pulled. ``waiting`` is called with the seconds so far
    while the engine loads its model, ``notice`` with a sentence when a server is away and will be
    asked again.

    Raises `EndpointError` and `ModelError`.
    """
    settings = settings or load_chat_settings()
    if settings.url:
        key = settings.api_key.get_secret_value() if settings.api_key else None
        return _client(settings, settings.url, settings.model, key, notice)
    spec = find(settings.model or DEFAULT_CHAT_MODEL)
    path = local_path(spec, models_dir(home))
    if path is None:
        return None
    from rag.models.engine import ensure_engine

    endpoint = ensure_engine(
        path,
        engine_dir(home),
        name=spec.name,
        slots=1,
        threads=settings.threads,
        idle_seconds=settings.idle_seconds,
        progress=waiting,
    )
    return _client(settings, endpoint.url, endpoint.model, endpoint.api_key, notice)


def _client(
    settings: ChatSettings, url: str, model: str | None, key: str | None, notice: Notice | None
) -> "BaseChatModel":
    from rag.models.chat import chat_model

    return chat_model(
        url,
        model,
        key,
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        idle_seconds=settings.timeout,
        retry_seconds=settings.retry_seconds,
        waiting=_telling(notice, settings.retry_seconds) if notice else None,
    )


def _telling(notice: Notice, seconds: float) -> Callable[[float, str], None]:
    """Say what a request waits for, each thing once."""
    told: set[str] = set()

    def waiting(_: float, why: str) -> None:
        if why not in told:
            told.add(why)
            notice(t("{why} Waggle tries again for {seconds:g} s.", why=why, seconds=seconds))

    return waiting
