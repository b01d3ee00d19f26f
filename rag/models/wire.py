"""HTTP clients whose answers cannot last for ever, nor end early without anybody noticing.

A read timeout is about any bytes at all: a server that sends one byte a minute, or only the
comments that keep a connection open, never meets it. Here a stream of server-sent events must
bring an event in that time, and any other answer must be complete in it.
"""

import asyncio
import os
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from urllib.request import getproxies
from weakref import WeakKeyDictionary, WeakSet

import httpx

from rag.models.connections import Connections

CONNECT_SECONDS = 5.0

_MAX_EVENT = 8 << 20
_MAX_WHOLE = 64 << 20
_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=100)
_NOT_KEPT = httpx.Limits(max_connections=1000, max_keepalive_connections=0)
"""A connection kept open belongs to its event loop, and the next call may come from another."""
_KEPT_SECONDS = 2.0
"""For a shorter time than servers keep them, which may close one as a request is on its way."""
_ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEPT_SECONDS)
_LATE_SECONDS = 20.0
"""To connect, where many streams may let an event loop look late at what was done long ago."""
_staying: "WeakSet[asyncio.AbstractEventLoop]" = WeakSet()

_LAST = re.compile(rb'data:\s*\[DONE\]|"finish_reason"\s*:\s*"|"error"\s*:')
"""In an event that may be the last. Inside a text these quotes would stand behind backslashes."""


def client(*, trust_env: bool) -> httpx.Client:
    """A client whose timeouts are given with each request."""
    return httpx.Client(
        verify=tls(trust_env),
        trust_env=trust_env,
        limits=_LIMITS,
        follow_redirects=True,
        event_hooks={"response": [_watch]},
    )


def async_client(*, trust_env: bool) -> httpx.AsyncClient:
    """The same for asyncio. It keeps connections open in event loops that `stay`."""
    proxies = trust_env and bool(getproxies())
    return httpx.AsyncClient(
        verify=tls(trust_env),
        trust_env=trust_env,
        limits=_NOT_KEPT,
        transport=None if proxies else _ByLoop(trust_env),
        follow_redirects=True,
        event_hooks={"response": [_awatch]},
    )


def tls(trust_env: bool) -> ssl.SSLContext:
    """One for all: to read the certificates takes longer than many a request."""
    places = [os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")]
    return _tls_of(trust_env, *places)


@lru_cache(maxsize=4)
def _tls_of(trust_env: bool, *_places: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=trust_env)


def stay(loop: asyncio.AbstractEventLoop) -> None:
    """Say of an event loop that it lasts as long as the process: one that serves."""
    _staying.add(loop)


class _ByLoop(httpx.AsyncBaseTransport):
    """Connections of an event loop that stays are kept open for its next request."""

    def __init__(self, trust_env: bool) -> None:
        make = partial(httpx.AsyncHTTPTransport, verify=tls(trust_env))
        self._make, self._other = partial(make, limits=_ONE), make(limits=_NOT_KEPT)
        self._kept: WeakKeyDictionary[asyncio.AbstractEventLoop, Connections]
        self._kept = WeakKeyDictionary()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        loop = asyncio.get_running_loop()
        if loop not in _staying:
            return await self._other.handle_async_request(request)
        if loop not in self._kept:
            self._kept[loop] = Connections(self._make, _KEPT_SECONDS)
        times = {**request.extensions["timeout"]}
        times["connect"] = max(times.get("connect") or 0.0, _LATE_SECONDS)
        request.extensions = {**request.extensions, "timeout": times}
        return await self._kept[loop].handle_async_request(request)

    async def aclose(self) -> None:
        await self._other.aclose()
        if (kept := self._kept.pop(asyncio.get_running_loop(), None)) is not None:
            await kept.aclose()


class _Watch:
    """Reads along: how long the reader has waited for an event, and whether the last one came."""

    def __init__(self, response: httpx.Response) -> None:
        self._request = response.request
        self._seconds: float | None = response.request.extensions["timeout"]["read"]
        self._events = (
            response.headers.get("content-type", "").startswith("text/event-stream")
            and "content-encoding" not in response.headers
        )
        self._waited = 0.0
        self._asked = time.monotonic()
        self._complete = not self._events
        self._line = b""
        self._bytes = 0

    def resume(self) -> None:
        """The reader wants more; the time in which it did something else does not count."""
        self._asked = time.monotonic()

    def take(self, data: bytes) -> None:
        self._waited += time.monotonic() - self._asked
        if self._events:
            *lines, self._line = (self._line + data).split(b"\n")
            for line in lines:
                self._read(line)
        else:
            self._bytes += len(data)
        if len(self._line) > _MAX_EVENT or self._bytes > _MAX_WHOLE:
            raise httpx.DecodingError("without end", request=self._request)
        if self._seconds is not None and self._waited > self._seconds:
            raise httpx.ReadTimeout("nothing but single bytes", request=self._request)

    def end(self) -> None:
        self._read(self._line)
        if not self._complete:
            message = "peer closed connection before the answer was finished"
            raise httpx.RemoteProtocolError(message, request=self._request)

    def _read(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            self._waited = 0.0
            self._complete = self._complete or _LAST.search(line) is not None


class _Stream(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, watch: _Watch) -> None:
        self._stream, self._watch = stream, watch

    def __iter__(self) -> Iterator[bytes]:
        for data in self._stream:
            self._watch.take(data)
            yield data
            self._watch.resume()
        self._watch.end()

    def close(self) -> None:
        self._stream.close()


class WatchedStream(httpx.AsyncByteStream):
    def __init__(
        self, stream: httpx.AsyncByteStream, watch: _Watch, connection: socket.socket | None
    ) -> None:
        self._stream, self._watch = stream, watch
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._stream:
            self._watch.take(data)
            yield data
            self._watch.resume()
        self._watch.end()

    async def aclose(self) -> None:
        self._connection = None
        await self._stream.aclose()

    def drop(self) -> None:
        """Nobody reads it any more, and it was not closed, because the event loop is no more: the
        server must learn all the same that nobody listens."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    __del__ = drop


def _watch(response: httpx.Response) -> None:
    if isinstance(response.stream, httpx.SyncByteStream):
        response.stream = _Stream(response.stream, _Watch(response))


async def _awatch(response: httpx.Response) -> None:
    if isinstance(response.stream, httpx.AsyncByteStream):
        network = response.extensions.get("network_stream")
        connection = network.get_extra_info("socket") if network is not None else None
        response.stream = WatchedStream(response.stream, _Watch(response), connection)
