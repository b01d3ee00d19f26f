"""Chat models behind an address: the client, and what the server offers.

``url`` is always the root of OpenAI's protocol and ends in ``/v1`` on most servers.
"""

import json
import time
from typing import TYPE_CHECKING, Any, TypeGuard

from indexes.addresses import is_loopback
from indexes.errors import EndpointError
from indexes.i18n import t
from rag.models.failures import (
    as_endpoint_error,
    endpoint_errors,
    model_name,
    not_protocol,
    shown,
    status_error,
)

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from rag.models.patience import Waiting

__all__ = [
    "as_endpoint_error",
    "chat_model",
    "context_window",
    "endpoint_errors",
    "key_of",
    "list_models",
    "model_name",
    "server_of",
    "within",
]

_MAX_LIST_BYTES = 4 << 20
_LEAST_SECONDS = 0.01


def chat_model(
    url: str,
    model: str | None = None,
    api_key: str | None = None,
    *,
    temperature: float = 0.0,
    max_tokens: int = 512,
    idle_seconds: float = 60.0,
    whole_answer_seconds: float = 600.0,
    retry_seconds: float = 60.0,
    max_retries: int | None = None,
    waiting: "Waiting | None" = None,
) -> "BaseChatModel":
    """A LangChain chat model for the server at ``url``; ``model`` defaults to the first it offers.

    ``idle_seconds`` is how long a streamed answer may pause (the first token included),
    ``whole_answer_seconds`` how long one that is not streamed may take. A server that is away,
    breaks the connection before the first token, or says that it is overloaded or not ready, is
    asked again for up to ``retry_seconds`` seconds and, if given, ``max_retries`` times; before
    each pause ``waiting`` is called with the seconds since the first attempt and a sentence that
    says why. Whatever goes wrong at last is an ``EndpointError``, now (when ``model`` is not given
    and the server does not say what it offers) and whenever the model is used; its ``partial`` is
    what a stream had brought.
    """
    import openai

    from rag.models.endpoint_chat import EndpointChat
    from rag.models.wire import CONNECT_SECONDS, async_client, client

    timeout = openai.Timeout(idle_seconds, connect=CONNECT_SECONDS)
    return EndpointChat(
        base_url=url,
        model=model or list_models(url, api_key)[0],
        # Never None: the client would send the key of OPENAI_API_KEY to a server it is not for.
        api_key=api_key or "none",  # type: ignore[arg-type]
        temperature=temperature,
        max_tokens=max_tokens,  # type: ignore[call-arg]
        timeout=timeout,
        stream_chunk_timeout=None,  # on Python 3.11 it can swallow a cancellation; see wire.py
        whole_answer_seconds=whole_answer_seconds,
        retry_seconds=retry_seconds,
        retries=max_retries,
        waiting=waiting,
        max_retries=0,  # the client's own have no deadline
        stream_usage=True,
        use_responses_api=False,
        http_client=client(trust_env=not is_loopback(url)),
        http_async_client=async_client(trust_env=not is_loopback(url)),
        http_socket_options=(),
    )


def server_of(chat: "BaseChatModel") -> tuple[str, str] | None:
    """The address and the model's name of a chat model behind a server; ``None`` for one of another
    make, which may know other words than OpenAI's protocol has."""
    from rag.models.endpoint_chat import EndpointChat

    if isinstance(chat, EndpointChat):
        return chat.openai_api_base or "", chat.model_name
    return None


def within(chat: "BaseChatModel", deadline: float | None) -> dict[str, Any]:
    """The options with which a whole reply of the chat model must be there at the ``deadline``, a
    time of `time.monotonic`; none for a model of another make, which may not know them."""
    if deadline is None or server_of(chat) is None:
        return {}
    return {"timeout": max(deadline - time.monotonic(), _LEAST_SECONDS)}


def key_of(chat: "BaseChatModel") -> str | None:
    """The key that a chat model shows its server; ``None`` where it has none."""
    from pydantic import SecretStr

    key = getattr(chat, "openai_api_key", None)
    return key.get_secret_value() if isinstance(key, SecretStr) else None


def list_models(url: str, api_key: str | None = None, timeout: float = 5.0) -> list[str]:
    """The names of the models that the server offers, at least one.

    Raises ``EndpointError`` when it cannot be reached within ``timeout`` seconds, refuses the key,
    or answers something else than OpenAI's list of models.
    """
    return [entry["id"] for entry in _models(url, api_key, timeout)]


def context_window(
    url: str, api_key: str | None = None, model: str | None = None, timeout: float = 5.0
) -> int | None:
    """How many tokens prompt and answer may have together, or ``None`` if the server does not say.

    vLLM tells ``max_model_len``; llama.cpp tells what one request may use (``n_ctx``, in older
    versions under ``/props``). Raises ``EndpointError`` as `list_models` does.
    """
    entries = _models(url, api_key, timeout)
    entry = next((entry for entry in entries if entry["id"] == model), entries[0])
    meta = entry.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    for tokens in (entry.get("max_model_len"), meta.get("n_ctx")):
        if is_count(tokens):
            return tokens
    if not meta:
        return None
    props = _props(url, api_key, timeout)
    tokens = props if props is not None else meta.get("n_ctx_train")
    return tokens if is_count(tokens) else None


def serves_adapters(url: str, api_key: str | None = None, timeout: float = 5.0) -> bool:
    """Whether the server offers adapters beside its model: vLLM names their ``parent``. Raises
    ``EndpointError`` as `list_models` does."""
    return any(entry.get("parent") for entry in _models(url, api_key, timeout))


def is_count(value: Any) -> TypeGuard[int]:
    """Whether a server answered with a number of things that there can be."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _models(url: str, api_key: str | None, timeout: float) -> list[dict[str, Any]]:
    status, body = fetch(f"{url.rstrip('/')}/models", url, api_key, timeout)
    if status != 200:
        raise status_error(status, url, "")
    try:
        data = json.loads(body)["data"]
        entries = [entry for entry in data if isinstance(entry["id"], str)]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise not_protocol(url) from error
    if not entries:
        raise EndpointError(
            t(
                "The model server at {url} offers no model. Load one there or name another server.",
                url=shown(url),
            )
        )
    return entries


def _props(url: str, api_key: str | None, timeout: float) -> int | None:
    try:
        root = url.rstrip("/").removesuffix("/v1")
        status, body = fetch(f"{root}/props", url, api_key, timeout)
        tokens = json.loads(body)["default_generation_settings"]["n_ctx"] if status == 200 else None
    except (EndpointError, ValueError, KeyError, TypeError, RecursionError):
        return None  # another server than llama.cpp: the question has no answer there
    return tokens if isinstance(tokens, int) else None


def fetch(address: str, url: str, api_key: str | None, timeout: float) -> tuple[int, bytes]:
    """Status and body, all within ``timeout`` seconds and a few megabytes."""
    import httpx

    from rag.models.wire import tls

    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    trust, deadline = not is_loopback(url), time.monotonic() + timeout
    try:
        with (
            httpx.Client(verify=tls(trust), trust_env=trust, timeout=timeout) as client,
            client.stream("GET", address, headers=headers) as response,
        ):
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("slow")
                if len(body) > _MAX_LIST_BYTES:
                    raise not_protocol(url)
            return response.status_code, bytes(body)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise as_endpoint_error(error, url) from error
