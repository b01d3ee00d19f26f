"""All tools that an agent has of itself."""

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from langchain_core.tools import BaseTool

from agents.toolbox.calculator import calculator_tool
from agents.toolbox.dates import date_tools
from agents.toolbox.documents import document_tools
from agents.toolbox.mcp_client import load_mcp_servers, mcp_tools
from agents.toolbox.notes import note_tools
from agents.toolbox.tables import table_tools
from agents.toolbox.web import web_tool
from indexes.errors import UsageError
from indexes.i18n import t

if TYPE_CHECKING:
    from agents.loop.evidence import Evidence
    from rag.answering import RAG


class Switches(Protocol):
    """What of the settings decides which tools there are."""

    @property
    def web(self) -> bool:
        """Whether pages may be fetched."""
        ...


def toolkit(
    rag: "RAG",
    evidence: "Evidence",
    folder: Path,
    settings: Switches | None = None,
    names: Collection[str] | None = None,
    notice: Callable[[str], None] | None = None,
) -> tuple[BaseTool, ...]:
    """The tools over the documents of ``rag``, whose passages ``evidence`` numbers, and with notes
    in ``folder``; where ``names`` are given, those only. ``notice`` is told which MCP servers
    cannot be used, and why. Raises `UsageError` for a name that no tool has."""
    return chosen(_built_in(rag, evidence, folder, settings, notice), names)


def chosen(tools: Iterable[BaseTool], names: Collection[str] | None) -> tuple[BaseTool, ...]:
    """The tools of these names, in their own order; all of them where ``names`` is ``None``. Raises
    `UsageError` for a name that no tool has."""
    offered = {tool.name: tool for tool in tools}
    for name in names or ():
        if name not in offered:
            raise _unknown(name, offered)
    return tuple(tool for name, tool in offered.items() if names is None or name in names)


def _built_in(
    rag: "RAG",
    evidence: "Evidence",
    folder: Path,
    settings: Switches | None,
    notice: Callable[[str], None] | None,
) -> Iterator[BaseTool]:
    yield from document_tools(rag, evidence)
    yield from table_tools(rag.collection)
    yield calculator_tool()
    yield from date_tools()
    yield from note_tools(folder)
    if settings is not None and settings.web:
        yield web_tool()
    yield from mcp_tools(load_mcp_servers(), rag.collection.home, notice)


def _unknown(name: str, offered: Iterable[str]) -> UsageError:
    known = list(offered)
    near = difflib.get_close_matches(name, known, n=1)
    first = [*near, *(other for other in known if other not in near)]
    return UsageError(
        t("There is no tool «{name}». There are: {known}.", name=name, known=", ".join(first))
    )
