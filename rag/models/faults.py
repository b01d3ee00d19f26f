"""What kind of fault a failed request met, and whether the request may be made again."""

import math
import re
import socket
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

Fault = Literal["absent", "unsafe", "broken", "silent", "garbage"]
"""Nobody listens; TLS fails; the connection was broken; nothing came in time; what came is not
HTTP."""

_BROKEN_OFF = re.compile(r"disconnected|closed connection", re.IGNORECASE)
"""How h11 words an end that came too early; its other protocol errors are about garbage."""

PASSING_STATUS = (429, 502, 503)
"""Overloaded; and what a server, or the gateway before it, says while the model is loaded."""


def is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later: nobody listens, the connection broke,
    or the server says that it is overloaded (429) or not ready (502, 503).

    A server that takes a request and then stays silent is not asked again: that doubles its load.
    """
    import openai

    if isinstance(error, openai.APIStatusError):
        return error.status_code in PASSING_STATUS
    if any(isinstance(link, socket.gaierror) for link in _chain(error)):
        return False
    return connection_fault(error) in ("absent", "broken")


def retry_after(error: BaseException) -> float | None:
    """The seconds that the server asks to wait, or ``None`` (RFC 9110, 10.2.3)."""
    import openai

    if not isinstance(error, openai.APIStatusError):
        return None
    value = error.response.headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        return _seconds_until(value)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _seconds_until(date: str) -> float | None:
    try:
        when = parsedate_to_datetime(date)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _chain(error: BaseException) -> list[BaseException]:
    links = [error]
    while (cause := links[-1].__cause__ or links[-1].__context__) and cause not in links:
        links.append(cause)
    return links


def connection_fault(error: BaseException) -> Fault | None:
    """What happened to the connection; ``None`` if nothing did, or it cannot be told.

    By name, because OpenAI's client may use either of two libraries with the same exceptions.
    """
    for link in _chain(error):
        name = type(link).__name__
        if name in ("ConnectError", "ConnectTimeout"):
            return "unsafe" if tls_reason(error) else "absent"
        if name in ("ReadTimeout", "WriteTimeout", "PoolTimeout", "StreamChunkTimeoutError"):
            return "silent"
        if name in ("RemoteProtocolError", "ProtocolError"):
            return "broken" if _BROKEN_OFF.search(str(link)) else "garbage"
        if name in ("ReadError", "WriteError", "CloseError"):
            return "broken"
        if name == "DecodingError":
            return "garbage"
    if isinstance(error, TimeoutError):
        return "silent"
    return "broken" if isinstance(error, ConnectionError) else None


def tls_reason(error: BaseException) -> str:
    """Why the connection cannot be encrypted, in OpenSSL's words; empty if that is not the cause.

    An end of file in the middle is a server that goes away.
    """
    for link in _chain(error):
        if isinstance(link, ssl.SSLCertVerificationError):
            return link.verify_message
        if isinstance(link, ssl.SSLError) and not isinstance(link, ssl.SSLEOFError):
            return (link.reason or "TLS").replace("_", " ").lower()
    return ""
