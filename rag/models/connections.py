"""Connections that are kept open for the next request, found without looking at all of them.

httpcore's pool goes over each of its connections at the beginning and at the end of each request,
and asks the system about those that are idle. With two hundred answers under way that is most of
what a small request costs. Here each connection is a transport of its own, and those that are idle
stand in a row, of which the latest is taken. How many there are at a time is for the gate to say
that lets requests in.
"""

import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

import httpx

MOST_IDLE: Final = 256
"""Of one server."""

Origin = tuple[str, str, int | None]


class Connections(httpx.AsyncBaseTransport):
    """Transports that ``make`` makes, each for a request at a time; one that has been idle for
    ``seconds`` is closed when another request begins or ends."""

    def __init__(self, make: Callable[[], httpx.AsyncBaseTransport], seconds: float) -> None:
        self._make, self._seconds = make, seconds
        self._idle: dict[Origin, deque[tuple[float, httpx.AsyncBaseTransport]]]
        self._idle = defaultdict(deque)
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        origin = (request.url.scheme, request.url.host, request.url.port)
        await self._reap()
        idle = self._idle[origin]
        transport = idle.pop()[1] if idle else self._make()
        try:
            response = await transport.handle_async_request(request)
        except BaseException:
            await transport.aclose()
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)

        async def done(whole: bool) -> None:
            if not whole or self._closed:
                await transport.aclose()
                return
            self._idle[origin].append((time.monotonic(), transport))
            await self._reap()

        response.stream = _Lent(response.stream, done)
        return response

    async def _reap(self) -> None:
        """Close what was idle for too long, or is too much. That it fails is nobody's concern."""
        oldest = time.monotonic() - self._seconds
        for idle in list(self._idle.values()):
            while idle and (idle[0][0] < oldest or len(idle) > MOST_IDLE):
                with suppress(httpx.HTTPError, OSError):
                    await idle.popleft()[1].aclose()

    async def aclose(self) -> None:
        self._closed = True
        for idle in list(self._idle.values()):
            while idle:
                await idle.popleft()[1].aclose()


class _Lent(httpx.AsyncByteStream):
    """The body of a response; when it is closed, ``done`` is told whether that went well."""

    def __init__(
        self, stream: httpx.AsyncByteStream, done: Callable[[bool], Coroutine[Any, Any, None]]
    ) -> None:
        self._stream, self._done = stream, done
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._stream:
            yield data

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            whole = False
            try:
                await self._stream.aclose()
                whole = True
            finally:
                await self._done(whole)
