"""All tools that an agent has of itself."""

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.tools import BaseTool

from agents.toolbox.calculator import calculator_tool
from agents.toolbox.dates import date_tools
from agents.toolbox.documents import document_tools
from agents.toolbox.mcp_client import load_mcp_servers, mcp_tools, prefix_of
from agents.toolbox.notes import note_tools
from agents.toolbox.tables import table_tools
from agents.toolbox.web import web_tool
from indexes.errors import UsageError
from indexes.i18n import t

if TYPE_CHECKING:
    from agents.loop.evidence import Evidence
    from rag.answering import RAG


def toolkit(
    rag: "RAG",
    evidence: "Evidence",
    folder: Path,
    own: Sequence[BaseTool] = (),
    *,
    names: Collection[str] | None = None,
    web: bool = False,
    tables: bool = True,
    notice: Callable[[str], None] | None = None,
) -> tuple[BaseTool, ...]:
    """The tools over the documents of ``rag``, whose passages ``evidence`` numbers, with notes in
    ``folder``, and those of one's ``own``. ``web`` lets pages be fetched; without ``tables`` those
    over tables are left out. With ``names`` there are those only, whichever they are, and no
    other MCP server is started than theirs. ``notice`` is told which MCP servers cannot be used,
    and why. Raises `UsageError` for a name that no tool has."""
    wanted = names is not None
    built_in = _built_in(rag, evidence, folder, web=web, tables=tables or wanted)
    servers = load_mcp_servers()
    theirs = {name: server for name, server in servers.items() if _is_wanted(name, names)}
    return chosen([*built_in, *mcp_tools(theirs, rag.collection.home, notice), *own], names)


def chosen(tools: Iterable[BaseTool], names: Collection[str] | None) -> tuple[BaseTool, ...]:
    """The tools of these names, in their own order; all of them where ``names`` is ``None``. Raises
    `UsageError` for a name that no tool has."""
    offered = {tool.name: tool for tool in tools}
    for name in names or ():
        if name not in offered:
            raise _unknown(name, offered)
    return tuple(tool for name, tool in offered.items() if names is None or name in names)


def _built_in(
    rag: "RAG", evidence: "Evidence", folder: Path, *, web: bool, tables: bool
) -> Iterator[BaseTool]:
    yield from document_tools(rag, evidence)
    if tables:
        yield from table_tools(rag.collection)
    yield calculator_tool()
    yield from date_tools()
    yield from note_tools(folder)
    if web:
        yield web_tool()


def _is_wanted(server: str, names: Collection[str] | None) -> bool:
    """Whether a tool of that MCP server may be among the ``names``."""
    return names is None or any(name.startswith(prefix_of(server)) for name in names)


def _unknown(name: str, offered: Iterable[str]) -> UsageError:
    known = list(offered)
    near = difflib.get_close_matches(name, known, n=1)
    first = [*near, *(other for other in known if other not in near)]
    return UsageError(
        t("There is no tool «{name}». There are: {known}.", name=name, known=", ".join(first))
    )
