"""A call on its way to its tool, where the run has gone other ways before."""

from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import BaseTool
from langgraph.prebuilt.tool_node import ToolCallRequest

from agents.loop.guarding import Guarding
from agents.loop.observing import late
from agents.loop.policy import Policy
from agents.loop.wording import Wording
from agents.toolbox.adapting import as_tool


def at_once(at: str) -> str:
    """Looks somewhere."""
    return f"bees at {at}"


look = as_tool(at_once, "read")


def called(messages: list[BaseMessage]) -> str:
    """What comes of the last call of ``messages``."""
    tools: list[BaseTool] = [look]
    guarding = Guarding(tools, Policy("always", ["Look"]), None, Wording("Look"))
    last: Any = messages[-1]
    request = ToolCallRequest(last.tool_calls[0], look, {"messages": messages}, None)  # type: ignore[arg-type]

    def done(request: ToolCallRequest) -> ToolMessage:
        return ToolMessage(look.invoke(request.tool_call["args"]), tool_call_id="c", name="look")

    message = guarding.wrap_tool_call(request, done)
    return str(getattr(message, "text", ""))


CALL = AIMessage(
    "", tool_calls=[{"name": "at_once", "args": {"at": "a"}, "id": "c", "type": "tool_call"}]
)


def test_a_reply_that_came_too_late_is_no_call() -> None:
    """A run that goes on with more time makes its calls."""
    assert called([HumanMessage("Look"), CALL]) == "bees at a"
    assert called([HumanMessage("Look"), late(), CALL]) == "bees at a"
    assert (
        called([HumanMessage("Look"), AIMessage("It is."), HumanMessage("Sure?"), CALL])
        == "bees at a"
    )
