"""How many connections are open at a time, and for how long one may be silent."""

import asyncio
import resource
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from agents.doors.settings import ServeSettings
from agents.http.failures import response_of
from agents.http.hosts import UNCOUNTED
from indexes.errors import BusyError
from indexes.i18n import t

_HASTE: Final = 1.0
"""Seconds in which a connection above the limit must have sent its request."""
_FILES: Final = 65_536
"""Open files that are enough: an answer may have four connections to the model server."""


def protocol(settings: ServeSettings) -> type[H11Protocol]:
    """uvicorn's protocol, with a limit to connections.

    One whose first request has not arrived after ``read_seconds`` is closed. On one that came when
    ``connections`` were open already, and as long as so many are, a request gets 429 with
    ``Retry-After`` before anything of it is looked at, but for the probes of health; then it is
    closed.
    """

    class Limited(H11Protocol):
        _silence: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            seconds = settings.read_seconds
            if len(self.connections) > settings.connections:
                self.app = _crowded(self.app, self.connections, settings.connections)
                seconds = min(seconds, _HASTE)
            self._silence = self.loop.call_later(seconds, self._silent)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._silence is not None:
                self._silence.cancel()
            super().connection_lost(exc)

        def _silent(self) -> None:
            if self.cycle is None:
                self.transport.close()

    return Limited


def _crowded(app: ASGIApp, connections: set[Any], most: int) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if len(connections) <= most or scope["path"] in UNCOUNTED:
            await app(scope, receive, send)
            return
        busy = BusyError(t("The service is at its limit. Ask again a little later."), 1.0)
        await response_of(busy, {"Connection": "close"})(scope, receive, send)

    return answer


def allow_files() -> None:
    """Let this process have as many open files as the system allows it; often a quarter of what
    many streams need is the usual."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
