"""How the tools of this house are made: from a function and the form of its arguments. All of them
are for any request."""

from collections.abc import Callable
from typing import Annotated, Any

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, BeforeValidator, ConfigDict

from agents.toolbox.effects import Effect, declared


def _given(value: object) -> object:
    return "" if value is None else value


Words = Annotated[str, BeforeValidator(_given)]
"""A text that may be left out: a model that writes ``null`` means the empty text."""


class Arguments(BaseModel):
    """What a tool is called with."""

    model_config = ConfigDict(extra="forbid")


def tool_of(
    do: Callable[..., Any],
    arguments: type[Arguments],
    effect: Effect = "read",
    *,
    tainted: bool,
    named: bool = False,
    private: bool = False,
    artifact: bool = False,
) -> BaseTool:
    """The tool with the name of the function ``do``, described to the model by its docstring. With
    an ``artifact``, ``do`` returns the observation and the artifact of its message. See `declared`
    for the rest."""
    tool = StructuredTool.from_function(
        do,
        description=" ".join((do.__doc__ or "").split()),
        args_schema=arguments,
        response_format="content_and_artifact" if artifact else "content",
    )
    return declared(tool, effect, tainted=tainted, named=named, general=True, private=private)
