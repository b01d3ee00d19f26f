"""Tools that others bring: LangChain's, and Python functions, as tools that declare their effect.

Asynchronous ones can be called from synchronous code: they run on one loop in the background.
"""

import functools
import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Any, Self

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import PrivateAttr

from agents.toolbox.background import perform
from agents.toolbox.effects import (
    Effect,
    declared,
    does_as_named,
    effect_of,
    is_general,
    is_private,
    is_tainted,
)
from indexes.errors import UsageError
from indexes.i18n import t

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def as_tool(
    given: BaseTool | Callable[..., Any],
    effect: Effect | None = None,
    tainted: bool | None = None,
) -> BaseTool:
    """``given`` as a tool with an effect: a LangChain tool, or a function, whose docstring is what
    the model reads of it. What is not said stays as the tool declares it; a function that nothing
    is said of writes, and what it brings is text from outside (see `agents.toolbox.effects`).

    Raises `UsageError` for what is neither, and for a name that models cannot call.
    """
    tool = _callable(given) if isinstance(given, BaseTool) else _of_function(given)
    if not _NAME.fullmatch(tool.name):
        raise UsageError(
            t(
                "«{name}» cannot be the name of a tool: use at most 64 letters, digits, "
                "«_» and «-».",
                name=tool.name,
            )
        )
    return declared(
        tool,
        effect or effect_of(tool),
        tainted=is_tainted(tool) if tainted is None else tainted,
        named=does_as_named(tool),
        general=is_general(tool),
        private=is_private(tool),
    )


def _of_function(given: Any) -> BaseTool:
    name = getattr(given, "__name__", "")
    if not inspect.isroutine(given) or name == "<lambda>":
        raise UsageError(
            t("«{given}» is no tool: give a LangChain tool, or a function that has a name.",
              given=given)
        )  # fmt: skip
    written = inspect.getdoc(given) or name.replace("_", " ")
    if inspect.iscoroutinefunction(given):
        made = StructuredTool.from_function(coroutine=given, name=name, description=written)
        return _callable(made)
    return StructuredTool.from_function(given, name=name, description=written)


def _callable(tool: BaseTool) -> BaseTool:
    """The tool, so that synchronous code can call it."""
    if not isinstance(tool, StructuredTool):
        return tool if type(tool)._arun is BaseTool._arun else _Either.of(tool)
    if tool.func is not None or tool.coroutine is None:
        return tool
    coroutine = tool.coroutine

    @functools.wraps(coroutine)
    def waited(*arguments: Any, **named: Any) -> Any:
        return perform(_awaited(coroutine(*arguments, **named)))

    return tool.model_copy(update={"func": waited})


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


class _Either(BaseTool):
    """A tool of a class that may know no other way than the asynchronous one."""

    _given: BaseTool = PrivateAttr()

    @classmethod
    def of(cls, given: BaseTool) -> Self:
        shared = {name: getattr(given, name) for name in BaseTool.model_fields}
        made = cls.model_construct(**{**shared, "args_schema": given.get_input_schema()})
        made._given = given
        return made

    def _run(self, /, **arguments: Any) -> Any:
        try:
            return self._given._run(**arguments)
        except NotImplementedError:
            return perform(_awaited(self._given._arun(**arguments)))

    async def _arun(self, /, **arguments: Any) -> Any:
        return await self._given._arun(**arguments)
