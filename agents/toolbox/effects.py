"""What a tool does to the world, declared on the tool itself.

A tool that declares nothing counts as one that writes, and what it brings as text from outside.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

Effect = Literal["read", "write", "network"]
"""``read`` changes nothing and tells nobody; ``write`` changes something; ``network`` tells another
machine something."""

_MARKS: Final = "waggle"
_ADAPTERS: Final = "langchain_mcp_adapters"


@dataclass(frozen=True, slots=True)
class _Marks:
    """A type of ours and not plain values: a server may send what it likes as its tools' metadata,
    but no such object."""

    effect: Effect = "write"
    tainted: bool = True
    foreign: bool = False
    named: bool = False
    general: bool = False
    private: bool = False


def declared(
    tool: "BaseTool",
    effect: Effect,
    *,
    tainted: bool,
    foreign: bool | None = None,
    named: bool = False,
    general: bool = False,
    private: bool = False,
) -> "BaseTool":
    """The tool with its effect. ``tainted``: what it brings was written by others (documents, web
    pages, other programs), and may try to give orders. ``foreign``: so were its own name and
    description (an MCP server's); what is not said stays as it is. ``named``: it does and tells no
    more than its arguments say, so a call whose every value the user named is the user's own,
    whatever has been read since (the address of a page to fetch). ``general``: it may be of use for
    any request (documents, a calculator), so nobody asks whether it suits one. ``private``: what
    it changes is seen by this run alone, to which it is text from outside when it is read again."""
    foreign = is_foreign(tool) if foreign is None else foreign
    marks = _Marks(effect, tainted, foreign, named, general, private)
    return tool.model_copy(update={"metadata": {**(tool.metadata or {}), _MARKS: marks}})


def effect_of(tool: "BaseTool") -> Effect:
    """What a tool does; ``write`` where it does not say."""
    return _marks(tool).effect


def is_tainted(tool: "BaseTool") -> bool:
    """Whether what a tool brings is text from outside; so it is where it does not say."""
    return _marks(tool).tainted


def is_foreign(tool: "BaseTool") -> bool:
    """Whether a tool's name and description are text from outside, as those of MCP servers are."""
    return _marks(tool).foreign


def does_as_named(tool: "BaseTool") -> bool:
    """Whether a call whose every value the user named is the user's own."""
    return _marks(tool).named


def is_general(tool: "BaseTool") -> bool:
    """Whether a tool may be of use for any request."""
    return _marks(tool).general


def is_private(tool: "BaseTool") -> bool:
    """Whether nobody but the run itself sees what a tool changes."""
    return _marks(tool).private


def _marks(tool: "BaseTool") -> _Marks:
    found = (tool.metadata or {}).get(_MARKS)
    if isinstance(found, _Marks):
        return found
    made_by = getattr(getattr(tool, "coroutine", None), "__module__", "") or ""
    return _Marks(foreign=made_by.partition(".")[0] == _ADAPTERS)
