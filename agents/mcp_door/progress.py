"""What is told of a call that takes a while, to a client that wants to know."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import anyio
from mcp.server.session import ServerSession
from mcp.shared.context import RequestContext

EVERY: Final = 0.5
"""Seconds between two notifications, at least."""
SILENT: Final = 5.0
"""Seconds after which the same is said again, so that no client takes the call for dead."""
_TAIL: Final = 200


class Progress:
    """Says how far a call is, in notifications that count up from 1. `say` may be called often, and
    from any thread: what is said between two notifications is left out, but for the last of it."""

    def __init__(self, context: "RequestContext[ServerSession, Any, Any]") -> None:
        meta = context.meta
        self._context = context
        self._token = meta.progressToken if meta is not None else None
        self._said = self._told = ""
        self._count = 0

    def say(self, message: str) -> None:
        """What is being done now; of a long text its end."""
        self._said = message[-_TAIL:]

    @asynccontextmanager
    async def told(self) -> AsyncIterator["Progress"]:
        """Within it the client is told, where it asked for that."""
        if self._token is None:
            yield self
            return
        telling = asyncio.create_task(self._tell())
        try:
            yield self
            if self._said != self._told:
                await self._notify()
        finally:
            telling.cancel()
            await asyncio.wait({telling})

    async def _tell(self) -> None:
        waited = 0.0
        while True:
            if self._said != self._told or waited >= SILENT:
                waited = 0.0
                await self._notify()
            await asyncio.sleep(EVERY)
            waited += EVERY

    async def _notify(self) -> None:
        assert self._token is not None
        self._told, self._count = self._said, self._count + 1
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):  # the client left
            await self._context.session.send_progress_notification(
                self._token, self._count, None, self._told, str(self._context.request_id)
            )
