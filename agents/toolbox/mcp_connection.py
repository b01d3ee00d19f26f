"""One session with an MCP server, kept open on the background loop for as long as it is used.

Whoever calls learns what is known: a call that did not reach the server is made again over a new
session; one that may have been done is not.
"""

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

from langchain_core.tools import ToolException

from agents.toolbox.mcp_pins import Changes, changes, digest_of
from agents.toolbox.mcp_settings import McpServer, filled
from indexes.cleaning import one_line
from indexes.errors import WaggleError
from indexes.i18n import t

if TYPE_CHECKING:
    from mcp import ClientSession
    from mcp.client.session import MessageHandlerFnT
    from mcp.types import CallToolResult, Tool

_START: Final = 30.0  # seconds for a server to start and to say what it can
_IDLE: Final = 600.0  # seconds without a call after which the session ends
_ENDING: Final = 5.0  # seconds for a server to end
_PAGES: Final = 50
_UNKNOWN_SESSION: Final = "Session terminated"  # what mcp makes of HTTP 404

# What it has to say is in the errors; on the terminal it would stand between the steps.
logging.getLogger("mcp").addHandler(logging.NullHandler())
_WORDS: Final = 300  # characters of what a server says of its failure


class _Gone(Exception):
    """The session ended before the call was sent."""


class McpConnection:
    """The session with one server. Its coroutines run on the background loop only."""

    def __init__(self, name: str, server: McpServer) -> None:
        self.name, self.server = name, server
        self._approved: Mapping[str, str] | None = None
        self._lock = asyncio.Lock()
        self._session: ClientSession | None = None
        self._life: asyncio.Task[None] | None = None
        self._end = asyncio.Event()
        self._broken = asyncio.Event()
        self._stderr = _Tail()
        self._used = 0.0
        self._calls = 0
        self._stale = False

    def approve(self, digests: Mapping[str, str]) -> None:
        """From now on a session serves only where the server offers these tools."""
        self._approved = dict(digests)

    async def tools(self) -> "Sequence[Tool]":
        """What the server offers now. Raises `WaggleError` where it cannot be reached."""
        async with self._lock:
            session, *_ = await self._opened()
            return await self._offered(session)

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> "CallToolResult":
        """What the tool answers. Raises `WaggleError`, with what is known of the call."""
        try:
            return await self._called(tool, arguments)
        except _Gone:
            return await self._called(tool, arguments)

    async def close(self) -> None:
        """End the session, and with it the server's process."""
        async with self._lock:
            await self._close()

    async def _called(self, tool: str, arguments: Mapping[str, Any]) -> "CallToolResult":
        async with self._lock:
            session, life = await self._approved_session()
        self._calls += 1
        asked = asyncio.ensure_future(session.call_tool(tool, dict(arguments)))
        broken = asyncio.ensure_future(self._broken.wait())
        first: set[asyncio.Future[Any]] = {asked, broken, life}
        try:
            await asyncio.wait(
                first, timeout=self.server.seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if asked.done():
                return self._answer(asked)
            gone = life.done() or broken.done()
            raise self._went_away(life) if gone else self._silent()
        except (_Gone, WaggleError):
            await self.close()
            raise
        finally:
            asked.cancel()
            broken.cancel()
            self._calls -= 1
            self._used = asyncio.get_running_loop().time()

    def _answer(self, asked: "asyncio.Future[CallToolResult]") -> "CallToolResult":
        import anyio
        from mcp import McpError
        from mcp.types import CONNECTION_CLOSED

        try:
            return asked.result()
        except (anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            raise _Gone from error
        except McpError as error:
            if error.error.message == _UNKNOWN_SESSION:
                raise _Gone from error
            if error.error.code == CONNECTION_CLOSED:
                raise self._unknown() from error
            raise ToolException(one_line(str(error), _WORDS)) from error
        except (RuntimeError, ValueError) as error:  # an answer that is not what it announced
            raise ToolException(one_line(str(error), _WORDS)) from error

    def _went_away(self, life: asyncio.Task[None]) -> Exception:
        import httpx

        cause = _cause(life) if life.done() else None
        unreached = isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout)
        return _Gone() if unreached else self._unknown()

    def _unknown(self) -> WaggleError:
        return WaggleError(
            t(
                "The MCP server «{name}» went away during the call; whether it was done is not "
                "known.",
                name=self.name,
            )
        )

    def _silent(self) -> WaggleError:
        return WaggleError(
            t(
                "The MCP server «{name}» did not answer within {seconds} s; whether the call was "
                "done is not known.",
                name=self.name,
                seconds=self.server.seconds,
            )
        )

    async def _approved_session(self) -> "tuple[ClientSession, asyncio.Task[None]]":
        """The session, of which it is certain that it offers what was approved."""
        session, life, fresh = await self._opened()
        if (fresh or self._stale) and self._approved is not None:
            self._stale = False
            offered = {tool.name: digest_of(tool) for tool in await self._offered(session)}
            if (found := changes(self._approved, offered)) is not None:
                self._stale = True
                raise ToolException(changed(self.name, found))
        return session, life

    async def _opened(self) -> "tuple[ClientSession, asyncio.Task[None], bool]":
        """The session, and whether it was begun just now."""
        if self._session is not None and self._life is not None and not self._life.done():
            return self._session, self._life, False
        await self._close()
        ready: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._live(ready))
        either: set[asyncio.Future[Any]] = {ready, self._life}
        await asyncio.wait(either, timeout=_START, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            error = self._not_reached(self._life)
            await self._close()
            raise error
        self._session = ready.result()
        return self._session, self._life, True

    async def _live(self, ready: "asyncio.Future[ClientSession]") -> None:
        """Hold the session open until it is ended, or nobody has used it for long. One task opens
        and closes it, as its library wants it."""
        clock = asyncio.get_running_loop().time
        self._end, self._broken, self._stderr = asyncio.Event(), asyncio.Event(), _Tail()
        streams = (
            _by_address(self.server, self._broken)
            if self.server.command is None
            else _by_program(self.server, self._stderr)
        )
        async with _session(streams, self._noted) as session:
            await session.initialize()
            self._used = clock()
            ready.set_result(session)
            while not self._end.is_set() and (self._calls or clock() - self._used < _IDLE):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._end.wait(), _IDLE)

    async def _noted(self, message: object) -> None:
        """The server says something of itself."""
        from mcp.types import ServerNotification, ToolListChangedNotification

        if isinstance(message, ServerNotification) and isinstance(
            message.root, ToolListChangedNotification
        ):
            self._stale = True

    async def _offered(self, session: "ClientSession") -> "Sequence[Tool]":
        """The whole list of tools, page by page."""
        from mcp import McpError
        from mcp.types import PaginatedRequestParams

        found: list[Tool] = []
        cursor: str | None = None
        try:
            async with asyncio.timeout(_START):
                for _ in range(_PAGES):
                    page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor))
                    found += page.tools
                    cursor = page.nextCursor
                    if not cursor:
                        break
        except (TimeoutError, McpError, ValueError, OSError) as error:
            raise self._unusable(str(error) or type(error).__name__) from error
        return found

    def _not_reached(self, life: asyncio.Task[None]) -> WaggleError:
        cause = _cause(life) if life.done() else None
        if isinstance(cause, WaggleError):
            return cause
        if not life.done():
            return self._unusable(t("it does not answer within {seconds} s", seconds=_START))
        return self._unusable(str(cause) or type(cause).__name__)

    def _unusable(self, reason: str) -> WaggleError:
        said = "; ".join(filter(None, (one_line(reason, _WORDS), self._stderr.text())))
        return WaggleError(
            t(
                "The MCP server «{name}» cannot be used: {reason}. Its tools are missing.",
                name=self.name,
                reason=said.rstrip("."),
            )
        )

    async def _close(self) -> None:
        life, self._life, self._session = self._life, None, None
        if life is None:
            return
        self._end.set()
        await asyncio.wait({life}, timeout=_ENDING)
        if not life.done():
            life.cancel()
        await asyncio.wait({life}, timeout=_ENDING)
        if life.done():
            _cause(life)  # else it would be told on stderr that nobody has looked at it


def changed(name: str, found: Changes) -> str:
    """The sentence for a server that offers other tools than those that were approved."""
    return t(
        "The MCP server «{name}» offers other tools than those that were approved ({changes}). "
        "Look at them, and approve them with: waggle agent tools --approve {name}",
        name=name,
        changes=one_line(str(found), _WORDS),
    )


@asynccontextmanager
async def _session(
    streams: AbstractAsyncContextManager[tuple[Any, Any]], handler: "MessageHandlerFnT"
) -> "AsyncIterator[ClientSession]":
    from mcp import ClientSession

    async with (
        streams as (read, write),
        ClientSession(read, write, message_handler=handler) as session,
    ):
        yield session


@asynccontextmanager
async def _by_program(server: McpServer, stderr: "_Tail") -> AsyncIterator[tuple[Any, Any]]:
    from mcp import StdioServerParameters, stdio_client

    assert server.command is not None
    program = StdioServerParameters(
        command=server.command, args=list(server.args), env=filled(server.env)
    )
    with stderr.written() as errlog:
        async with stdio_client(program, errlog) as (read, write):
            yield read, write


@asynccontextmanager
async def _by_address(server: McpServer, broken: asyncio.Event) -> AsyncIterator[tuple[Any, Any]]:
    from mcp.client.streamable_http import streamable_http_client

    from agents.toolbox.mcp_http import client_for

    assert server.url is not None
    client = client_for(server, _START, broken.set)
    async with (
        client,
        streamable_http_client(server.url, http_client=client) as (read, write, _),
    ):
        yield read, write


def _cause(life: asyncio.Task[None]) -> BaseException | None:
    """What a session ended with, from among what it is wrapped in."""
    if life.cancelled():
        return None
    error = life.exception()
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class _Tail:
    """The last words of a program on its standard error, which is not the terminal's."""

    def __init__(self) -> None:
        self._words = b""

    def text(self) -> str:
        """One line of them."""
        return one_line(self._words.decode("utf-8", "replace"), 10_000)[-_WORDS:]

    @contextlib.contextmanager
    def written(self) -> Iterator[TextIO]:
        """What the program gets for its standard error."""
        reading, writing = os.pipe()
        threading.Thread(target=self._keep, args=(reading,), daemon=True).start()
        with os.fdopen(writing, "w", encoding="utf-8") as file:
            yield file

    def _keep(self, reading: int) -> None:
        with os.fdopen(reading, "rb", buffering=0) as file:
            while piece := file.read(4096):
                self._words = (self._words + piece)[-4096:]
