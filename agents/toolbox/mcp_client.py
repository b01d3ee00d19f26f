"""Tools of MCP servers (https://modelcontextprotocol.io) that the settings name."""

import asyncio
import atexit
import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from langchain_core.tools import BaseTool, ToolException
from pydantic import PrivateAttr

from agents.toolbox.background import perform
from agents.toolbox.effects import declared
from agents.toolbox.mcp_connection import McpConnection, changed
from agents.toolbox.mcp_pins import Pins, digest_of
from agents.toolbox.mcp_settings import McpServer, load_mcp_servers
from indexes.cleaning import clean, one_line
from indexes.errors import UsageError, WaggleError
from indexes.i18n import t

if TYPE_CHECKING:
    from mcp.types import CallToolResult, ContentBlock, Tool

__all__ = ["McpServer", "approve", "load_mcp_servers", "mcp_tools", "prefix_of"]

Notice = Callable[[str], None]

_NAME_LENGTH: Final = 64
_DESCRIPTION: Final = 500  # characters that the model reads of a tool
_HINT: Final = 200  # and of an argument
_SCHEMA: Final = 8000
_DEPTH: Final = 12
_ANSWER: Final = 20_000
_PROSE: Final = ("description", "title")
_LEFT_OUT: Final = frozenset({"$comment", "examples", "example", "$schema", "$id"})

_connections: list[McpConnection] = []


def mcp_tools(
    servers: Mapping[str, McpServer], home: Path, notice: Notice | None = None
) -> tuple[BaseTool, ...]:
    """The tools of ``servers``, named ``SERVER_TOOL``; the servers are started, and run until the
    process ends or nobody has used them for ten minutes. A server that cannot be reached, or that
    offers other tools than those that were approved, gives none; ``notice`` is told why.

    Raises `WaggleError` where the list of what was approved is damaged.
    """
    tell = notice or (lambda _: None)
    pins = Pins(home)
    tools: list[BaseTool] = []
    for connection, offered in _offers(servers):
        if isinstance(offered, WaggleError):
            tell(str(offered))
            continue
        digests = {tool.name: digest_of(tool) for tool in offered}
        if (found := pins.changes(connection.name, digests)) is not None:
            tell(changed(connection.name, found))
            continue
        connection.approve(digests)
        tools += _made(connection, offered, tell, [tool.name for tool in tools])
    return tuple(tools)


def prefix_of(server: str) -> str:
    """What the names of a server's tools begin with."""
    return f"{server}_"


def approve(name: str, servers: Mapping[str, McpServer], home: Path) -> tuple[BaseTool, ...]:
    """Take the tools that the server ``name`` offers now for the right ones, and return them.

    Raises `UsageError` where the settings name no such server, `WaggleError` where it cannot be
    reached.
    """
    if name not in servers:
        known = ", ".join(servers) or t("none")
        raise UsageError(
            t(
                "The settings name no MCP server «{name}». They name: {known}.",
                name=name,
                known=known,
            )
        )
    ((connection, offered),) = _offers({name: servers[name]})
    if isinstance(offered, WaggleError):
        raise offered
    digests = {tool.name: digest_of(tool) for tool in offered}
    Pins(home).approve(name, digests)
    connection.approve(digests)
    return tuple(_made(connection, offered, lambda _: None, ()))


def _offers(
    servers: Mapping[str, McpServer],
) -> "list[tuple[McpConnection, Sequence[Tool] | WaggleError]]":
    """What each server offers, or why it cannot be used; they are asked side by side."""
    if not servers:
        return []

    async def asked() -> "list[tuple[McpConnection, Sequence[Tool] | WaggleError]]":
        found = [_connection(name, server) for name, server in servers.items()]
        return list(zip(found, await asyncio.gather(*map(_tools, found)), strict=True))

    return perform(asked())


async def _tools(connection: McpConnection) -> "Sequence[Tool] | WaggleError":
    try:
        return await connection.tools()
    except WaggleError as error:
        return error


def _connection(name: str, server: McpServer) -> McpConnection:
    """The one connection of this process with the server, as the settings have it."""
    for known in _connections:
        if (known.name, known.server) == (name, server):
            return known
    if not _connections:
        atexit.register(close_connections)
    _connections.append(McpConnection(name, server))
    return _connections[-1]


def close_connections() -> None:
    """End all servers that run for this process."""

    async def closed() -> None:
        await asyncio.gather(*(one.close() for one in _connections))

    with contextlib.suppress(RuntimeError):  # the interpreter is on its way out
        perform(closed())


def _made(
    connection: McpConnection, offered: "Sequence[Tool]", tell: Notice, taken: Sequence[str]
) -> Iterator[BaseTool]:
    names = list(taken)
    for tool in offered:
        try:
            made = _tool(connection, tool, names)
        except _Unfit as error:
            tell(
                t(
                    "The tool «{tool}» of the MCP server «{name}» is left out. {reason}",
                    tool=one_line(tool.name, _NAME_LENGTH),
                    name=connection.name,
                    reason=error,
                )
            )
        else:
            names.append(made.name)
            yield made


class _Unfit(Exception):
    """A tool that no model should be shown."""


class McpTool(BaseTool):
    """A tool of a server."""

    _connection: McpConnection = PrivateAttr()
    _own_name: str = PrivateAttr()

    def _run(self, /, **arguments: Any) -> str:
        return _answer(perform(self._connection.call(self._own_name, arguments)))


def _tool(connection: McpConnection, offered: "Tool", taken: Sequence[str]) -> BaseTool:
    schema = _cleaned(offered.inputSchema)
    if len(json.dumps(schema, ensure_ascii=False)) > _SCHEMA:
        raise _Unfit(t("The description of its arguments is too long."))
    name = re.sub(r"[^A-Za-z0-9_-]", "_", prefix_of(connection.name) + offered.name)
    if len(name) > _NAME_LENGTH or name in taken:
        raise _Unfit(t("Its name is too long, or another tool has it."))
    description = one_line(offered.description or offered.title or "", _DESCRIPTION)
    tool = McpTool(name=name, description=description, args_schema=schema)
    tool._connection, tool._own_name = connection, offered.name
    effect = connection.server.effect_of(offered.name)
    return declared(tool, effect, tainted=True, foreign=True)


def _cleaned(value: Any, depth: int = 0) -> Any:
    """A JSON schema, of which a person sees everything that the model sees. Raises `_Unfit` for
    hidden characters where a change would change the call."""
    if depth > _DEPTH:
        raise _Unfit(t("Its arguments are nested too deeply."))
    if isinstance(value, Mapping):
        return {
            _seen(key): one_line(part, _HINT)
            if key in _PROSE and isinstance(part, str)
            else _cleaned(part, depth + 1)
            for key, part in value.items()
            if key not in _LEFT_OUT or isinstance(part, Mapping)
        }
    if isinstance(value, list):
        return [_cleaned(part, depth + 1) for part in value]
    return _seen(value) if isinstance(value, str) else value


def _seen(text: str) -> str:
    if clean(text) != text:
        raise _Unfit(t("Its arguments hold characters that nobody sees."))
    return text


def _answer(result: "CallToolResult") -> str:
    """The text of an answer. Raises `ToolException` where the server says that it failed."""
    text = "\n".join(filter(None, map(_text, result.content)))
    if not text and result.structuredContent is not None:
        text = json.dumps(result.structuredContent, ensure_ascii=False)
    if len(text) > _ANSWER:
        text = text[:_ANSWER] + "\n" + t("The rest is cut off here. Ask for less.")
    if result.isError:
        raise ToolException(text or t("The tool failed, and did not say why."))
    return text or t("The tool is done; it said nothing.")


def _text(block: "ContentBlock") -> str:
    from mcp.types import EmbeddedResource, ResourceLink, TextContent, TextResourceContents

    if isinstance(block, TextContent):
        return block.text
    if isinstance(block, EmbeddedResource) and isinstance(block.resource, TextResourceContents):
        return block.resource.text
    if isinstance(block, ResourceLink):
        return str(block.uri)
    return f"[{getattr(block, 'mimeType', None) or block.type}]"
