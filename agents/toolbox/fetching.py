"""One document of the web, fetched so that nobody can turn the fetching against this machine.

A name is looked up once for each hop, all its addresses are checked, and the connection goes to
the address that was checked: a name that answers otherwise the next time gains nothing. Time, size,
type and the number of hops are limited, and no proxy of the environment is used, for it would look
the name up itself.
"""

import asyncio
import ipaddress
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from langchain_core.tools import ToolException

from indexes.addresses import host_name
from indexes.i18n import t

if TYPE_CHECKING:
    import httpx

AddressCheck = Callable[[str, int], bool]
"""Whether a connection may be made to the IP address at that port."""

_WEB_PORTS: Final = (80, 443)
_LAST_PORT: Final = 65_535
_FIRST_FREE_PORT: Final = 1024  # below it sit mail, shells and other services that speak no HTTP
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_LONGEST_URL: Final = 2000
_PIECE: Final = 65_536
_HEADERS: Final = {
    "User-Agent": "Waggle",
    "Accept": "text/html, application/xhtml+xml, text/*;q=0.9, */*;q=0.5",
    "Accept-Encoding": "gzip, identity",
}


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """``seconds`` for everything, ``size`` in bytes of the document, unpacked, and ``hops`` that
    one may be sent on. ``hosts`` (see `host_name`) may be in the own network, as long as no other
    one has sent us there."""

    seconds: float = 20.0
    size: int = 8 * 1024 * 1024
    hops: int = 5
    hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came from ``url``, the last of the hops; ``kind`` is its type without parameters, in
    lower case, and ``charset`` what the server says of it."""

    url: str
    kind: str
    charset: str
    data: bytes


def is_public(address: str, port: int) -> bool:
    """Whether ``address`` belongs to a machine on the open internet, and ``port`` can be one of the
    web."""
    if not _is_of_the_web(address, port):
        return False
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.sixtofour or found.teredo or found.is_site_local:
            return False
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found in _NAT64:
            found = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return found.is_global and not found.is_multicast and not found.is_reserved


def _is_of_the_web(_address: str, port: int) -> bool:
    """The check of hosts that may be in the own network."""
    return port in _WEB_PORTS or port >= _FIRST_FREE_PORT


class NotPublicError(ToolException):
    """An address that is not on the open internet, nor on a host that is allowed."""


async def fetched(
    url: str,
    accepted: Callable[[str], bool],
    check: AddressCheck = is_public,
    limits: FetchLimits | None = None,
) -> Fetched:
    """The document at ``url``, whose type is ``accepted``. Raises `ToolException` with a sentence
    for the model."""
    limits = limits or FetchLimits()
    try:
        async with asyncio.timeout(limits.seconds):
            return await _followed(url, accepted, check, limits)
    except TimeoutError as error:
        raise ToolException(
            t("«{url}» took more than {seconds} s.", url=url, seconds=limits.seconds)
        ) from error


async def _followed(
    url: str, accepted: Callable[[str], bool], check: AddressCheck, limits: FetchLimits
) -> Fetched:
    import httpx

    named = True
    for _ in range(limits.hops + 1):
        target = _parsed(url)
        # Foreign pages must not reach into the own network by sending us there.
        named = named and _is_one_of(limits.hosts, target)
        try:
            found = await _visited(target, accepted, _is_of_the_web if named else check, limits)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise ToolException(
                t(
                    "«{url}» cannot be fetched: {reason}.",
                    url=url,
                    reason=str(error).rstrip(".") or type(error).__name__,
                )
            ) from error
        if isinstance(found, Fetched):
            return found
        url = str(target.join(found))
    raise ToolException(t("«{url}» is sent on more than {hops} times.", url=url, hops=limits.hops))


def _parsed(url: str) -> "httpx.URL":
    import httpx

    try:
        target = httpx.URL(url.strip()).copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise ToolException(_no_address(url)) from error
    known = target.scheme in ("http", "https") and target.host and len(url) <= _LONGEST_URL
    if not known or not 0 < (target.port or 80) <= _LAST_PORT:
        raise ToolException(_no_address(url))
    if target.userinfo:
        raise ToolException(t("«{url}» holds a name or password. Leave it out.", url=url))
    return target


def _is_one_of(hosts: frozenset[str], target: "httpx.URL") -> bool:
    try:
        return host_name(target.host) in hosts
    except ValueError:
        return False


def _no_address(url: str) -> str:
    return t(
        "«{url}» is no address of a page: it must begin with http:// or https://.",
        url=url[:_LONGEST_URL],
    )


async def _visited(
    target: "httpx.URL", accepted: Callable[[str], bool], check: AddressCheck, limits: FetchLimits
) -> Fetched | str:
    """The document, or the address that it is sent on to. Each hop has a client of its own: two
    hosts at one address must not share a connection, whose certificate is that of one of them."""
    import httpx

    address = await _checked(target, check)
    limit = httpx.Timeout(limits.seconds)
    async with httpx.AsyncClient(trust_env=False, verify=_certificates(), timeout=limit) as client:
        request = client.build_request(
            "GET",
            target.copy_with(host=address),
            headers={**_HEADERS, "Host": target.netloc.decode("ascii")},
            extensions={"sni_hostname": target.raw_host.decode("ascii")},
        )
        response = await client.send(request, stream=True)
        try:
            if response.has_redirect_location:
                return str(response.headers["location"])
            return await _document(response, str(target), accepted, limits.size)
        finally:
            await response.aclose()


async def _document(
    response: "httpx.Response", url: str, accepted: Callable[[str], bool], most: int
) -> Fetched:
    import httpx

    if response.status_code != httpx.codes.OK:
        raise ToolException(t("«{url}» answers {status}.", url=url, status=response.status_code))
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not accepted(kind):
        raise ToolException(
            t("«{url}» is no text that can be read, but {kind}.", url=url, kind=kind or "?")
        )
    data = await _body(response, url, most)
    return Fetched(url, kind, response.charset_encoding or "", data)


async def _checked(target: "httpx.URL", check: AddressCheck) -> str:
    """An address of the target's host. All that it has must be allowed: one that answers with an
    inner one beside an outer one means no good."""
    port = target.port or (443 if target.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(
            target.raw_host.decode("ascii"), port, type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError) as error:
        raise ToolException(t("There is no host «{host}».", host=target.host)) from error
    addresses = [str(place[0]) for *_, place in found]
    if not addresses or not all(check(address, port) for address in addresses):
        raise NotPublicError(
            t(
                "«{url}» is not on the open internet. Only public pages can be fetched.",
                url=target,
            )
        )
    return addresses[0]


async def _body(response: "httpx.Response", url: str, most: int) -> bytes:
    """The body, unpacked; never more than ``most`` bytes of it are in memory."""
    parts: list[bytes] = []
    size = 0
    async for piece in _unpacked(response, url):
        size += len(piece)
        if size > most:
            raise ToolException(
                t(
                    "«{url}» has more than {megabytes} MB.",
                    url=url,
                    megabytes=most // (1024 * 1024),
                )
            )
        parts.append(piece)
    return b"".join(parts)


async def _unpacked(response: "httpx.Response", url: str) -> AsyncIterator[bytes]:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        async for piece in response.aiter_raw(_PIECE):
            yield piece
        return
    if encoding not in ("gzip", "x-gzip"):
        raise ToolException(
            t("«{url}» is packed in a way that cannot be read: {encoding}.",
              url=url, encoding=encoding)
        )  # fmt: skip
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
    async for piece in response.aiter_raw(_PIECE):
        rest = piece
        while rest:
            try:
                yield unpacking.decompress(rest, _PIECE)
            except zlib.error as error:
                raise ToolException(t("«{url}» is damaged on its way.", url=url)) from error
            rest = unpacking.unconsumed_tail
    if not unpacking.eof:
        raise ToolException(t("«{url}» is damaged on its way.", url=url))


@cache
def _certificates() -> ssl.SSLContext:
    """Reading the authorities takes some tenths of a second."""
    return ssl.create_default_context()
