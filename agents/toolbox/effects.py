"""What a tool does to the world, declared on the tool itself.

A tool that declares nothing counts as one that writes, and what it brings as text from outside.
"""

from typing import Final, Literal

from langchain_core.tools import BaseTool

Effect = Literal["read", "write", "network"]
"""``read`` changes nothing and tells nobody; ``write`` changes something; ``network`` tells another
machine something."""

_EFFECT: Final = "waggle_effect"
_TAINTED: Final = "waggle_tainted"


def declared(tool: BaseTool, effect: Effect, *, tainted: bool) -> BaseTool:
    """The tool with its effect. ``tainted``: what it brings was written by others (documents, web
    pages, other programs), and may try to give orders."""
    marks = {_EFFECT: effect, _TAINTED: tainted}
    return tool.model_copy(update={"metadata": {**(tool.metadata or {}), **marks}})


def effect_of(tool: BaseTool) -> Effect:
    """What a tool does; ``write`` where it does not say."""
    effect: Effect = (tool.metadata or {}).get(_EFFECT, "write")
    return effect


def is_tainted(tool: BaseTool) -> bool:
    """Whether what a tool brings is text from outside; so it is where it does not say."""
    return bool((tool.metadata or {}).get(_TAINTED, True))
