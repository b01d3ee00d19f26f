"""Addresses of servers and pages."""

import ipaddress
from urllib.parse import urlsplit


def is_web(name: str) -> bool:
    """Whether ``name`` is an address of the web rather than a path."""
    return name.strip().lower().startswith(("http://", "https://"))


def host_name(name: str) -> str:
    """The host ``name`` in its one spelling: lower case, without a last dot, an IP address in its
    short form and without brackets. Raises `ValueError` for what holds more than a host."""
    host = name.strip().lower().removeprefix("[").removesuffix("]").rstrip(".")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        if not host or set(host) & set("/:*@[]? "):
            raise ValueError(f"{name!r} is no name of a host") from None
        return host


def is_loopback(url: str) -> bool:
    """Whether ``url`` is on this machine, which a proxy set in the environment cannot reach."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def port_of(url: str) -> int | None:
    """The port that ``url`` names; ``None`` where it names none, or is no address."""
    try:
        return urlsplit(url).port
    except ValueError:
        return None
