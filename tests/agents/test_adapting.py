"""Functions and LangChain's tools as tools that declare their effect."""

import asyncio
import functools
import subprocess
import sys
import threading
from typing import Any

import pytest
from langchain_core.tools import BaseTool, StructuredTool, tool
from pydantic import BaseModel

from agents.toolbox.adapting import as_tool
from agents.toolbox.effects import declared, does_as_named, effect_of, is_foreign, is_tainted
from indexes.errors import UsageError


def area(width: float, height: float = 1.0) -> float:
    """The area of a room.

    Args:
        width: In metres.
        height: In metres.
    """
    return width * height


async def waited(text: str) -> str:
    """Waits a little."""
    await asyncio.sleep(0.01)
    return f"{text} in {threading.current_thread().name}"


def test_a_function_writes_and_is_not_trusted_unless_it_is_said() -> None:
    made = as_tool(area)
    assert (made.name, effect_of(made), is_tainted(made)) == ("area", "write", True)
    assert made.invoke({"width": 2, "height": 3}) == 6
    assert made.description.startswith("The area of a room.")
    assert made.args["height"]["default"] == 1.0
    said = as_tool(area, "read", tainted=False)
    assert (effect_of(said), is_tainted(said)) == ("read", False)


def test_a_function_without_a_docstring_is_called_what_it_is_called() -> None:
    def send_letter(to: str) -> str:
        return to

    assert as_tool(send_letter).description == "send letter"


def test_an_asynchronous_function_can_be_called_from_synchronous_code() -> None:
    made = as_tool(waited)
    assert made.invoke({"text": "done"}) == "done in tools"
    assert asyncio.run(made.ainvoke({"text": "done"})).startswith("done in MainThread")


def test_an_asynchronous_tool_of_langchain_too() -> None:
    @tool
    async def later(x: int) -> int:
        """Later."""
        await asyncio.sleep(0)
        return x + 1

    assert as_tool(later).invoke({"x": 1}) == 2
    assert later.func is None  # type: ignore[attr-defined]


def test_a_class_that_can_only_be_awaited() -> None:
    class Given(BaseModel):
        x: int

    class Only(BaseTool):
        name: str = "only"
        description: str = "Only."
        args_schema: Any = Given

        def _run(self, *_: Any, **__: Any) -> str:
            raise NotImplementedError("use it asynchronously")

        async def _arun(self, x: int) -> str:
            await asyncio.sleep(0)
            return f"got {x}"

    assert as_tool(Only()).invoke({"x": 1}) == "got 1"


def test_what_a_tool_declares_stays() -> None:
    given = StructuredTool.from_function(area)
    marked = declared(given, "network", tainted=False, foreign=True, named=True)
    made = as_tool(marked)
    assert (effect_of(made), is_tainted(made)) == ("network", False)
    assert is_foreign(made)
    assert does_as_named(made)
    assert effect_of(as_tool(marked, "read")) == "read"
    assert is_tainted(as_tool(marked, tainted=True))
    assert effect_of(given) == "write"


def test_a_method() -> None:
    class Shelf:
        def put(self, book: str) -> str:
            """Puts a book."""
            return f"put {book}"

    assert as_tool(Shelf().put).invoke({"book": "b"}) == "put b"


@pytest.mark.parametrize("given", [3, "area", None, lambda x: x, type("Thing", (), {}), object(),
                                   functools.partial(area, height=0.5)])  # fmt: skip
def test_what_is_no_tool(given: Any) -> None:
    with pytest.raises(UsageError):
        as_tool(given)


@pytest.mark.parametrize("name", ["has space", "x" * 65, "名字", "a.b"])
def test_a_name_that_models_cannot_call(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a tool"):
        as_tool(StructuredTool.from_function(area, name=name))


def test_the_failure_of_a_tool_reaches_who_called_it() -> None:
    async def fails() -> str:
        """Fails."""
        raise ValueError("no such room")

    with pytest.raises(ValueError, match="no such room"):
        as_tool(fails).invoke({})


INTERRUPTED = """
import asyncio, os, signal, threading
from agents.toolbox.background import perform

begun, ended = threading.Event(), threading.Event()

async def long():
    begun.set()
    try:
        await asyncio.sleep(60)
    finally:
        ended.set()

def interrupt():
    begun.wait()
    os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Thread(target=interrupt).start()
try:
    perform(long())
except KeyboardInterrupt:
    print("interrupted", ended.wait(30))
"""


def test_who_stops_waiting_stops_the_work() -> None:
    """In a process of its own: an interrupt that comes late must not end the tests."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["interrupted", "True"]
