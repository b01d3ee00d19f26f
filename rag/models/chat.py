"""Chat models behind an address: the client, what the server offers, and what went wrong.

``url`` is always the root of OpenAI's protocol and ends in ``/v1`` on most servers.
"""

import ipaddress
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeGuard
from urllib.parse import urlsplit, urlunsplit

from indexes.errors import ContextOverflowError, EndpointError
from indexes.i18n import t

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_MAX_LIST_BYTES = 4 << 20
_OVERFLOW = re.compile(
    r"exceed_context_size|context_length_exceeded|maximum context length|available context size"
    r"|context window|ContextWindowExceeded|maximum model length|prompt is too long"
    r"|exceed the configured limit",
    re.IGNORECASE,
)


def chat_model(
    url: str,
    model: str | None = None,
    api_key: str | None = None,
    *,
    temperature: float = 0.0,
    max_tokens: int = 512,
    idle_seconds: float = 60.0,
    whole_answer_seconds: float = 600.0,
    max_retries: int = 1,
) -> "BaseChatModel":
    """A LangChain chat model for the server at ``url``; ``model`` defaults to the first it offers.

    ``idle_seconds`` is how long a streamed answer may pause (the first token included),
    ``whole_answer_seconds`` how long one that is not streamed may take. Whatever goes wrong at the
    server is an ``EndpointError``, now (when ``model`` is not given and the server does not say
    what it offers) and whenever the model is used.
    """
    import openai

    from rag.models.endpoint_chat import CONNECT_SECONDS, EndpointChat

    timeout = openai.Timeout(idle_seconds, connect=CONNECT_SECONDS)
    own_clients: dict[str, Any] = {}
    if _is_loopback(url):  # a proxy set in the environment cannot reach this machine's loopback
        own_clients = {
            "http_client": openai.DefaultHttpxClient(trust_env=False, timeout=timeout),
            "http_async_client": openai.DefaultAsyncHttpxClient(trust_env=False, timeout=timeout),
            "http_socket_options": (),
        }
    return EndpointChat(
        base_url=url,
        model=model or list_models(url, api_key)[0],
        # Never None: the client would send the key of OPENAI_API_KEY to a server it is not for.
        api_key=api_key or "none",  # type: ignore[arg-type]
        temperature=temperature,
        max_tokens=max_tokens,  # type: ignore[call-arg]
        timeout=timeout,
        stream_chunk_timeout=idle_seconds,
        whole_answer_seconds=whole_answer_seconds,
        max_retries=max_retries,
        stream_usage=True,
        use_responses_api=False,
        **own_clients,
    )


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
        if _is_count(tokens):
            return tokens
    if not meta:
        return None
    props = _props(url, api_key, timeout)
    tokens = props if props is not None else meta.get("n_ctx_train")
    return tokens if _is_count(tokens) else None


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _models(url: str, api_key: str | None, timeout: float) -> list[dict[str, Any]]:
    status, body = _fetch(f"{url.rstrip('/')}/models", url, api_key, timeout)
    if status != 200:
        raise _status_error(status, url, "")
    try:
        data = json.loads(body)["data"]
        entries = [entry for entry in data if isinstance(entry["id"], str)]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _not_protocol(url) from error
    if not entries:
        raise EndpointError(
            t(
                "The model server at {url} offers no model. Load one there or name another server.",
                url=_shown(url),
            )
        )
    return entries


def _props(url: str, api_key: str | None, timeout: float) -> int | None:
    try:
        root = url.rstrip("/").removesuffix("/v1")
        status, body = _fetch(f"{root}/props", url, api_key, timeout)
        tokens = json.loads(body)["default_generation_settings"]["n_ctx"] if status == 200 else None
    except (EndpointError, ValueError, KeyError, TypeError, RecursionError):
        return None  # another server than llama.cpp: the question has no answer there
    return tokens if isinstance(tokens, int) else None


def _fetch(address: str, url: str, api_key: str | None, timeout: float) -> tuple[int, bytes]:
    """Status and body, all within ``timeout`` seconds and a few megabytes."""
    import httpx

    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    deadline = time.monotonic() + timeout
    try:
        with (
            httpx.Client(trust_env=not _is_loopback(url), timeout=timeout) as client,
            client.stream("GET", address, headers=headers) as response,
        ):
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("slow")
                if len(body) > _MAX_LIST_BYTES:
                    raise _not_protocol(url)
            return response.status_code, bytes(body)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise as_endpoint_error(error, url) from error


def model_name(chat: "BaseChatModel") -> str:
    """The name under which the server knows the model, or else the kind of the client."""
    for attribute in ("model_name", "model"):
        name = getattr(chat, attribute, None)
        if isinstance(name, str) and name:
            return name
    return chat._llm_type


@contextmanager
def endpoint_errors(chat: "BaseChatModel") -> Iterator[None]:
    """Turn what a chat model of any make raises when its server fails into ``EndpointError``."""
    try:
        yield
    except Exception as error:
        if not _is_servers_fault(error):
            raise
        address = getattr(chat, "openai_api_base", None) or model_name(chat)
        raise as_endpoint_error(error, str(address)) from error


def _is_servers_fault(error: Exception) -> bool:
    import httpx
    import openai

    return isinstance(
        error, (openai.OpenAIError, httpx.HTTPError, TimeoutError, ConnectionError)
    ) and not isinstance(error, EndpointError)


def as_endpoint_error(error: BaseException, url: str) -> EndpointError:
    """What went wrong at the server, for the user; a prompt too long is a `ContextOverflowError`.

    ``error`` is any exception that `chat_model`'s model raised, also in the middle of a stream.
    """
    import httpx

    if isinstance(error, EndpointError):
        return error
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError)):
        return EndpointError(
            t(
                "{url} is not the address of a model server. It should look like "
                "http://127.0.0.1:8000/v1.",
                url=_shown(url),
            )
        )
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return _timeout_error(url)
    if isinstance(error, httpx.TransportError):
        return _connection_error(error, url)
    return _client_error(error, url)


def _client_error(error: BaseException, url: str) -> EndpointError:
    """The same for the exceptions of OpenAI's client and of LangChain."""
    import openai

    codes = f"{error.code} {error.type}" if isinstance(error, openai.APIError) else ""
    if _OVERFLOW.search(f"{error} {codes}"):
        return _too_long(url)
    if isinstance(error, openai.APIStatusError):
        return _status_error(error.status_code, url, error.message)
    if isinstance(error, openai.APITimeoutError):
        return _timeout_error(url)
    if isinstance(error, openai.APIConnectionError):
        return _connection_error(error, url)
    if isinstance(error, openai.APIError):
        return _refused(url, error.message)
    return _not_protocol(url)


def _timeout_error(url: str) -> EndpointError:
    return EndpointError(
        t(
            "The model server at {url} did not answer in time. See whether it is overloaded or "
            "still loading, then try again.",
            url=_shown(url),
        )
    )


def _connection_error(error: BaseException, url: str) -> EndpointError:
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
        chain.append(cause)
    if any(type(link).__name__ in ("ConnectError", "ConnectTimeout") for link in chain):
        return EndpointError(
            t(
                "No model server answers at {url}. Start it, or correct the address ([chat] url in "
                "waggle.toml, or WAGGLE_CHAT_URL).",
                url=_shown(url),
            )
        )
    return EndpointError(
        t(
            "The model server at {url} broke off the connection. Look at its log, then try again.",
            url=_shown(url),
        )
    )


def _status_error(status: int, url: str, message: str) -> EndpointError:
    if status in (401, 403):
        return EndpointError(
            t(
                "The model server at {url} refuses the key. Set the right WAGGLE_CHAT_API_KEY.",
                url=_shown(url),
            )
        )
    if status == 404:
        return EndpointError(
            t(
                "The server at {url} does not know that model, or is not at that address: most end "
                "in /v1. `waggle models status` shows what it offers.",
                url=_shown(url),
            )
        )
    if status == 429:
        return EndpointError(
            t("The model server at {url} is overloaded. Try again in a moment.", url=_shown(url))
        )
    return _refused(url, message or f"HTTP {status}")


def _refused(url: str, reason: str) -> EndpointError:
    return EndpointError(
        t(
            "The model server at {url} could not do it: {reason}. Its log may tell more.",
            url=_shown(url),
            reason=" ".join(reason.split())[:300].rstrip("."),
        )
    )


def _not_protocol(url: str) -> EndpointError:
    return EndpointError(
        t(
            "What answers at {url} does not speak OpenAI's protocol. Correct the address: most end "
            "in /v1.",
            url=_shown(url),
        )
    )


def _too_long(url: str) -> ContextOverflowError:
    return ContextOverflowError(
        t(
            "The question and its passages are too long for the model at {url}. Ask with fewer "
            "passages (-k), or serve the model with a larger context.",
            url=_shown(url),
        )
    )


def _is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _shown(url: str) -> str:
    """The address without a user name and password that may stand in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))
