"""How many connections are open at a time, and for how long one may be silent."""

import asyncio
import resource
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from agents.doors.service import Service
from agents.http.failures import response_of
from agents.http.hosts import UNCOUNTED
from indexes.errors import BusyError
from indexes.i18n import t

_HASTE: Final = 1.0
"""Seconds in which a connection above the limit must have sent its request."""
_FILES: Final = 65_536
"""Open files that are enough: an answer may have four connections to the model server."""


def protocol(service: Service) -> type[H11Protocol]:
    """uvicorn's protocol, with a limit to connections.

    One that waits for a request, the first or a further one that has begun, is closed after
    ``read_seconds``. On one that came when ``connections`` were open already, and as long as so
    many are, a request gets 429 with ``Retry-After`` before anything of it is looked at, but for
    the probes of health. Such a connection is closed after its first response.
    """
    settings = service.settings

    class Limited(H11Protocol):
        _seconds = settings.read_seconds
        _silence: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > settings.connections:
                self.app = _crowded(self.app, self.connections, service)
                self._seconds = min(self._seconds, _HASTE)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _watch(self) -> None:
            """More bytes of the same request give it no more time."""
            if self._answering():
                self._stop()
            elif self._silence is None:
                self._silence = self.loop.call_later(self._seconds, self._silent)

        def _answering(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _stop(self) -> None:
            if self._silence is not None:
                self._silence.cancel()
                self._silence = None

        def _silent(self) -> None:
            self._silence = None
            if not self._answering():
                self.transport.close()

    return Limited


def _crowded(app: ASGIApp, connections: set[Any], service: Service) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def last(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        if len(connections) <= service.settings.connections or scope["path"] in UNCOUNTED:
            await app(scope, receive, last)
            return
        service.metrics.requests.labels("unread", "429").inc()
        busy = BusyError(t("The service is at its limit. Ask again a little later."), 1.0)
        await response_of(busy)(scope, receive, last)

    return answer


def allow_files() -> None:
    """Let this process have as many open files as the system allows it; often a quarter of what
    many streams need is the usual."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
