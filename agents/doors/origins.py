"""Origins of web pages, as browsers send them: scheme, host and port."""

from urllib.parse import urlsplit

from indexes.errors import UsageError
from indexes.i18n import t

_PORTS = {"http": 80, "https": 443}


def origin_of(text: str) -> str:
    """``https://example.org`` for any way to write it. Raises `UsageError` for what is no origin,
    such as one with a path or a «*»."""
    try:
        parts = urlsplit(text.strip())
        port, host = parts.port, (parts.hostname or "").encode("idna").decode()
    except ValueError:  # what is no port, and what is no name
        parts, port, host = urlsplit(""), None, ""
    rest = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme not in _PORTS or not host or "*" in host or rest:
        raise UsageError(
            t("«{origin}» is no origin of a web page. Write it like https://example.org.",
              origin=text)
        )  # fmt: skip
    bracketed = f"[{host}]" if ":" in host else host
    named = "" if port in (None, _PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{bracketed}{named}"
