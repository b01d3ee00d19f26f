"""How a model server is doing, asked over HTTP: vLLM, llama.cpp's server, or another that speaks
OpenAI's protocol, of which then less is known."""

import json
from dataclasses import dataclass, field
from typing import Literal

from indexes.errors import EndpointError
from indexes.i18n import t
from rag.models.chat import context_window, fetch, list_models
from rag.models.failures import shown
from rag.serving.metrics import Metrics, read_metrics

State = Literal["ready", "loading", "unhealthy", "unreachable"]

_SECONDS = 5.0
_SIDE_SECONDS = 2.0
# With as many waiting as are being answered, a new question takes twice its time.
_LONG_QUEUE = 8
_FULL = 0.95
_LONGEST_VERSION = 40


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What is known of the server at ``url``. ``context`` is in tokens; ``error`` says why it is
    not ready, "" when it is. ``version`` is vLLM's, where the server is vLLM."""

    url: str
    state: State
    models: tuple[str, ...] = ()
    context: int | None = None
    version: str | None = None
    metrics: Metrics = field(default_factory=Metrics)
    error: str = ""

    def problem(self, *, model: str | None = None, needed: int | None = None) -> str:
        """One sentence that says what is wrong and what to do, or "" when nothing is. ``model`` is
        the one that questions are put to, ``needed`` the tokens that they take with their answer.
        """
        if self.state != "ready":
            return self.error
        return (
            self._wrong_model(model) or self._short_context(needed) or self._full() or self._queue()
        )

    def _wrong_model(self, model: str | None) -> str:
        if not model or model in self.models:
            return ""
        return t(
            "{url} does not serve {model}. It serves: {models}.",
            url=shown(self.url),
            model=model,
            models=", ".join(self.models),
        )

    def _short_context(self, needed: int | None) -> str:
        if needed is None or self.context is None or self.context >= needed:
            return ""
        return t(
            "The model at {url} takes {context} tokens, and questions with their passages and "
            "answers need about {needed}: passages will be left out. Serve it with a larger "
            "--context, or ask with fewer passages (-k).",
            url=shown(self.url),
            context=self.context,
            needed=needed,
        )

    def _full(self) -> str:
        metrics = self.metrics
        if not metrics.preemptions or metrics.cache is None or metrics.cache < _FULL:
            return ""
        return t(
            "The memory for contexts of the model at {url} is full ({percent:.0f} %), and it has "
            "put off {preemptions} requests that it had begun. Ask fewer questions at a time, or "
            "serve the model with a smaller --context or on more GPUs.",
            url=shown(self.url),
            percent=metrics.cache * 100,
            preemptions=metrics.preemptions,
        )

    def _queue(self) -> str:
        waiting, running = self.metrics.waiting, self.metrics.running
        if not waiting or waiting < max(_LONG_QUEUE, running or 0):
            return ""
        return t(
            "{waiting} requests wait at {url} while {running} are answered. Answers will be late; "
            "ask fewer at a time, or serve the model with --replicas.",
            url=shown(self.url),
            waiting=waiting,
            running=running or 0,
        )


def server_status(url: str, key: str | None = None, model: str | None = None) -> ServerStatus:
    """Ask the server at ``url``, the root of OpenAI's protocol; the context told is that of
    ``model``, by default the first. What is wrong is told in the answer; nothing is raised. Takes
    at most some ten seconds."""
    root = url.rstrip("/").removesuffix("/v1")
    health = _side(f"{root}/health", url, key)
    if health is not None and health[0] == 503:
        return _not_ready(url, health[1])
    try:
        models = tuple(list_models(url, key, _SECONDS))
        context = context_window(url, key, model, _SECONDS)
    except EndpointError as error:
        return ServerStatus(url, "unreachable", error=str(error))
    metrics = _side(f"{root}/metrics", url, key)
    return ServerStatus(
        url,
        "ready",
        models,
        context,
        _version(_side(f"{root}/version", url, key)),
        read_metrics(metrics[1].decode("utf-8", "replace")) if metrics else Metrics(),
    )


def _side(address: str, url: str, key: str | None) -> tuple[int, bytes] | None:
    """Status and body of a page that a server may well not have, or ``None``."""
    try:
        return fetch(address, url, key, _SIDE_SECONDS)
    except EndpointError:
        return None


def _not_ready(url: str, body: bytes) -> ServerStatus:
    # llama.cpp's server says so; vLLM does not listen while it loads, and answers 503 once its
    # engine has died.
    if b"oading" in body:
        return ServerStatus(
            url,
            "loading",
            error=t(
                "The server at {url} is still loading its model. Try again in a moment.",
                url=shown(url),
            ),
        )
    return ServerStatus(
        url,
        "unhealthy",
        error=t(
            "The server at {url} runs, but its engine does not answer any more. Look at its log, "
            "then restart it.",
            url=shown(url),
        ),
    )


def _version(answer: tuple[int, bytes] | None) -> str | None:
    try:
        version = json.loads(answer[1])["version"] if answer and answer[0] == 200 else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if isinstance(version, str) and version.isascii() and version.isprintable():
        return version[:_LONGEST_VERSION]
    return None
