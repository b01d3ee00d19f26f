"""Server-sent events from an async generator."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from agents.http.failures import body_of
from indexes.errors import WaggleError

KEEP_ALIVE_SECONDS = 15.0
SEND_SECONDS = 60.0
_ALIVE = b": alive\n\n"


STREAM: Final[dict[str, Any]] = {
    "text/event-stream": {
        "schema": {
            "type": "object",
            "description": "One event; what «data» holds is JSON.",
            "required": ["data"],
            "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
        }
    }
}
"""What the description of a route says of its stream."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: ``data`` is text, usually JSON, ``event`` its name, if it has one."""

    data: str
    event: str = ""

    @classmethod
    def of(cls, value: Any, event: str = "") -> "ServerEvent":
        """An event whose data is the JSON of ``value``."""
        return cls(json.dumps(value, ensure_ascii=False, separators=(",", ":")), event)

    def encode(self) -> bytes:
        """As it goes over the wire."""
        lines = [f"event: {self.event}"] if self.event else []
        lines += [f"data: {line}" for line in self.data.split("\n")]
        return ("\n".join(lines) + "\n\n").encode(errors="replace")


def events(
    source: AsyncGenerator[ServerEvent],
    *,
    keep_alive: float = KEEP_ALIVE_SECONDS,
    patience: float = SEND_SECONDS,
    headers: dict[str, str] | None = None,
) -> Response:
    """A stream of what ``source`` yields. The generator is closed when the client leaves, or takes
    nothing for ``patience`` seconds. Where nothing comes for ``keep_alive`` seconds, a comment is
    sent.

    An error before the first event has the status that it stands for; one after it becomes an event
    «error», whose data is the body that it would have had, and ends the stream.
    """
    return _EventStream(source, keep_alive, patience, headers)


class _EventStream(Response):
    media_type = "text/event-stream"

    def __init__(
        self,
        source: AsyncGenerator[ServerEvent],
        keep_alive: float,
        patience: float,
        headers: dict[str, str] | None,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no",
                                  **(headers or {})})  # fmt: skip
        del self.headers["content-length"]
        self._source, self._keep_alive, self._patience = source, keep_alive, patience

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        pump = asyncio.create_task(self._pump(send))
        gone = asyncio.create_task(until_gone(receive))
        try:
            await asyncio.wait({pump, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            pump.cancel()
            with suppress(asyncio.CancelledError, ClientDisconnect):
                await pump

    async def _pump(self, sending: Send) -> None:
        send, started = patient(sending, self._patience), False
        try:
            while True:
                step = asyncio.ensure_future(anext(self._source, None))
                try:
                    while not (await asyncio.wait({step}, timeout=self._keep_alive))[0]:
                        started = await self._send(send, _ALIVE, started)
                    event = step.result()
                finally:
                    await _cancelled(step)
                if event is None:
                    break
                started = await self._send(send, event.encode(), started)
        except WaggleError as error:
            if not started:
                raise
            failed = ServerEvent.of(body_of(error), "error")
            started = await self._send(send, failed.encode(), started)
        finally:
            await self._source.aclose()
        await self._send(send, b"", started, more=False)

    async def _send(self, send: Send, data: bytes, started: bool, more: bool = True) -> bool:
        if not started:
            await send(self._start())
        await send({"type": "http.response.body", "body": data, "more_body": more})
        return True

    def _start(self) -> Message:
        return {"type": "http.response.start", "status": 200, "headers": self.raw_headers}


def patient(send: Send, seconds: float = SEND_SECONDS) -> Send:
    """``send``, which raises `ClientDisconnect` where the client takes nothing for so long."""

    async def out(message: Message) -> None:
        try:
            async with asyncio.timeout(seconds):
                await send(message)
        except TimeoutError:
            raise ClientDisconnect from None

    return out


async def until_gone(receive: Receive) -> None:
    """Wait until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancelled(step: "asyncio.Future[Any]") -> None:
    """What the generator was doing has stopped, so that it can be closed."""
    if not step.done():
        step.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration):
            await step
