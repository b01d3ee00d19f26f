"""What went wrong at a model server, as a sentence for the user."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from indexes.errors import ContextOverflowError, EndpointError
from indexes.i18n import t
from rag.models.faults import PASSING_STATUS, connection_fault, retry_after, tls_reason

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_NOT_TAKEN = (400, 422, 501)

_OVERFLOW = re.compile(
    r"exceed_context_size|context_length_exceeded|maximum context length|available context size"
    r"|context window|ContextWindowExceeded|maximum model length|prompt is too long"
    r"|exceed the configured limit",
    re.IGNORECASE,
)


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


def as_endpoint_error(error: BaseException, url: str, partial: str | None = None) -> EndpointError:
    """What went wrong at the server, for the user; a prompt too long is a `ContextOverflowError`.

    ``error`` is any exception that `chat_model`'s model raised. ``partial`` is what had come of a
    streamed answer, ``None`` if nothing had; the error keeps it.
    """
    if isinstance(error, EndpointError):
        return error
    made = _sentence(error, url, middle=partial is not None)
    made.partial = partial or ""
    return made


def _sentence(error: BaseException, url: str, *, middle: bool) -> EndpointError:
    import httpx
    import openai

    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError)):
        return _no_address(url)
    codes = f"{error.code} {error.type}" if isinstance(error, openai.APIError) else ""
    if _OVERFLOW.search(f"{error} {codes}"):
        return _too_long(url)
    if isinstance(error, openai.LengthFinishReasonError):
        return _cut_short(url)
    if isinstance(error, openai.APIStatusError):
        return status_error(error.status_code, url, _told(error.body), retry_after(error))
    fault = connection_fault(error)
    if fault == "absent":
        return _nobody(url)
    if fault == "unsafe":
        return _unsafe(url, tls_reason(error))
    if fault == "silent":
        return _silent_in_the_middle(url) if middle else _silent(url)
    if fault == "broken" or (fault is None and isinstance(error, openai.APIConnectionError)):
        return _broken_in_the_middle(url) if middle else _broken(url)
    if fault is None and isinstance(error, openai.APIError):
        return _refused(url, error.message)
    return _garbage_in_the_middle(url) if middle else not_protocol(url)


def status_error(
    status: int, url: str, message: str, seconds: float | None = None
) -> EndpointError:
    """What an HTTP status other than 200 means; ``seconds`` is what its Retry-After says."""
    if status in (401, 403):
        return _bad_key(url)
    if status == 404:
        return _unknown_model(url)
    if status == 429:
        return _overloaded(url, seconds)
    reason = message or f"HTTP {status}"
    return _not_ready(url, reason) if status in PASSING_STATUS else _refused(url, reason)


def _told(body: object) -> str:
    """The sentence in the body of an error; a gateway's page for people has none."""
    if not isinstance(body, dict):
        return ""
    told = body.get("message") or body.get("detail") or body.get("error")
    return told if isinstance(told, str) else ""


def tried_again(error: EndpointError, seconds: float) -> EndpointError:
    """The same error, which says that the request was repeated for so long."""
    more = t("It was tried again for {seconds} s.", seconds=round(seconds))
    made = type(error)(f"{error} {more}")
    made.partial = error.partial
    return made


def _no_address(url: str) -> EndpointError:
    return EndpointError(
        t(
            "{url} is not the address of a model server. It should look like "
            "http://127.0.0.1:8000/v1.",
            url=shown(url),
        )
    )


def _nobody(url: str) -> EndpointError:
    return EndpointError(
        t(
            "No model server answers at {url}. Start it, or correct the address ([chat] url in "
            "waggle.toml, or WAGGLE_CHAT_URL).",
            url=shown(url),
        )
    )


def _unsafe(url: str, reason: str) -> EndpointError:
    return EndpointError(
        t(
            "The connection to {url} cannot be encrypted: {reason}. Correct the address (http or "
            "https), or have the server's certificate trusted (SSL_CERT_FILE).",
            url=shown(url),
            reason=_one_line(reason),
        )
    )


def _silent(url: str) -> EndpointError:
    return EndpointError(
        t(
            "The model server at {url} did not answer in time. See whether it is overloaded or "
            "still loading, then try again.",
            url=shown(url),
        )
    )


def _silent_in_the_middle(url: str) -> EndpointError:
    return EndpointError(
        t(
            "The model server at {url} fell silent in the middle of the answer, which is "
            "incomplete. See whether it is overloaded, then ask again.",
            url=shown(url),
        )
    )


def _broken(url: str) -> EndpointError:
    return EndpointError(
        t(
            "The model server at {url} broke off the connection. Look at its log, then try again.",
            url=shown(url),
        )
    )


def _broken_in_the_middle(url: str) -> EndpointError:
    return EndpointError(
        t(
            "The model server at {url} broke off in the middle of the answer, which is incomplete. "
            "Look at its log, then ask again.",
            url=shown(url),
        )
    )


def _garbage_in_the_middle(url: str) -> EndpointError:
    return EndpointError(
        t(
            "The model server at {url} sent something unreadable in the middle of the answer, "
            "which is incomplete. Look at its log, then ask again.",
            url=shown(url),
        )
    )


def _bad_key(url: str) -> EndpointError:
    return EndpointError(
        t(
            "The model server at {url} refuses the key. Set the right WAGGLE_CHAT_API_KEY.",
            url=shown(url),
        )
    )


def _unknown_model(url: str) -> EndpointError:
    return EndpointError(
        t(
            "The server at {url} does not know that model, or is not at that address: most end "
            "in /v1. `waggle models status` shows what it offers.",
            url=shown(url),
        )
    )


def _overloaded(url: str, seconds: float | None) -> EndpointError:
    if seconds is not None and seconds >= 1:
        return EndpointError(
            t(
                "The model server at {url} is overloaded and asks to wait {seconds} s. "
                "Try again then.",
                url=shown(url),
                seconds=round(seconds),
            )
        )
    return EndpointError(
        t("The model server at {url} is overloaded. Try again in a moment.", url=shown(url))
    )


def _not_ready(url: str, reason: str) -> EndpointError:
    return EndpointError(
        t(
            "The model server at {url} is not ready: {reason}. It may be loading its model; "
            "try again in a moment.",
            url=shown(url),
            reason=_one_line(reason),
        )
    )


def _refused(url: str, reason: str) -> EndpointError:
    return EndpointError(
        t(
            "The model server at {url} could not do it: {reason}. Its log may tell more.",
            url=shown(url),
            reason=_one_line(reason),
        )
    )


def not_protocol(url: str) -> EndpointError:
    """What answers is another kind of server."""
    return EndpointError(
        t(
            "What answers at {url} does not speak OpenAI's protocol. Correct the address: most end "
            "in /v1.",
            url=shown(url),
        )
    )


def _too_long(url: str) -> ContextOverflowError:
    return ContextOverflowError(
        t(
            "The question and its passages are too long for the model at {url}. Ask with fewer "
            "passages (-k), or serve the model with a larger context.",
            url=shown(url),
        )
    )


def _cut_short(url: str) -> EndpointError:
    return EndpointError(
        t(
            "The answer of the model at {url} was cut off at its limit of tokens. Allow more "
            "([chat] max_tokens in waggle.toml, or WAGGLE_CHAT_MAX_TOKENS).",
            url=shown(url),
        )
    )


def _one_line(reason: str) -> str:
    return " ".join(reason.split())[:300].rstrip(".")


def shown(url: str) -> str:
    """The address without a user name and password that may stand in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))


def is_absent(error: EndpointError) -> bool:
    """Whether nobody listened at the address."""
    return connection_fault(error) == "absent"


def is_refused(error: EndpointError, *others: int) -> bool:
    """Whether a server did not take a request as it is, because it does not know something in it;
    a prompt that is too long is another matter. ``others`` are statuses that say so as well."""
    status = getattr(error.__cause__, "status_code", None)
    return status in (*_NOT_TAKEN, *others) and not isinstance(error, ContextOverflowError)
