"""What ends a run that does not end by itself."""

from typing import TYPE_CHECKING, Any, NotRequired

from langchain.agents.middleware import AgentMiddleware, AgentState, hook_config
from langchain_core.messages import ToolMessage

from agents.loop.observing import (
    calls_of,
    idle_of,
    is_late,
    mark,
    seconds_of,
    steps_of,
    usage_of,
)
from agents.loop.types import Limits
from agents.loop.wording import Wording
from indexes.embedding.adapter import estimate_tokens
from indexes.errors import UsageError
from indexes.i18n import t
from rag.types import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain.agents.middleware.types import ModelRequest, ModelResponse
    from langchain_core.messages import BaseMessage
    from langgraph.prebuilt.tool_node import ToolCallRequest
    from langgraph.runtime import Runtime
    from langgraph.types import Command


class LimitState(AgentState[Any]):
    """``stopped`` says in a sentence why the run was ended; empty where it was not."""

    stopped: NotRequired[str]


class Limiting(AgentMiddleware[LimitState, Any, Any]):
    """Ends the run before the model is asked again when one of its limits is reached."""

    state_schema = LimitState

    def __init__(self, limits: Limits, wording: Wording) -> None:
        super().__init__()
        self._limits, self._wording = checked(limits), wording

    @hook_config(can_jump_to=["end"])
    def before_model(
        self,
        state: LimitState,
        runtime: "Runtime[Any]",  # noqa: ARG002
    ) -> dict[str, Any]:
        """Stop, where there is a reason."""
        reason = reached(self._limits, state["messages"])
        return {"jump_to": "end", "stopped": reason} if reason else {"stopped": ""}

    def wrap_model_call(
        self,
        request: "ModelRequest[Any]",
        handler: "Callable[[ModelRequest[Any]], ModelResponse[Any]]",
    ) -> "ModelResponse[Any]":
        """The model has no longer than what is left of the time."""
        left = seconds_left(self._limits, request.state["messages"])
        if left is None:
            return handler(request)
        settings = {**request.model_settings, "timeout": left}
        return handler(request.override(model_settings=settings))

    def after_model(
        self,
        state: LimitState,
        runtime: "Runtime[Any]",  # noqa: ARG002
    ) -> dict[str, Any] | None:
        """A reply that did not come in time is the end."""
        messages = state["messages"]
        return {"stopped": reached(self._limits, messages)} if is_late(messages[-1]) else None

    def wrap_tool_call(
        self,
        request: "ToolCallRequest",
        handler: "Callable[[ToolCallRequest], ToolMessage | Command[Any]]",
    ) -> "ToolMessage | Command[Any]":
        """One message may hold more calls than there may be steps."""
        ident, name = request.tool_call["id"] or "", request.tool_call["name"]
        called = [one for one in calls_of(request.state["messages"]) if one.id == ident]
        if not called or called[-1].n <= self._limits.steps:
            return handler(request)
        text = self._wording.beyond(self._limits.steps)
        message = ToolMessage(text, tool_call_id=ident, name=name, status="error")
        mark(message, error=text, seconds=0.0, tainted=False)
        return message


def checked(limits: Limits) -> Limits:
    """The limits, if they can be. Raises `UsageError` where one leaves no room for a step."""
    least = {
        "steps": limits.steps, "tokens": limits.tokens, "seconds": limits.seconds,
        "cost": limits.cost, "idle": limits.idle,
    }  # fmt: skip
    for name, value in least.items():
        if value is not None and value <= 0:
            raise UsageError(t("The limit of {name} must be above 0.", name=name))
    return limits


def cost_of(usage: Usage, prices: tuple[float, float]) -> float:
    """What tokens cost, by the prices of a million of those read and of those written."""
    read, written = prices
    return (usage.prompt_tokens * read + usage.completion_tokens * written) / 1_000_000


def reached(limits: Limits, messages: "Sequence[BaseMessage]", spent: Usage | None = None) -> str:
    """Which limit is used up, in a sentence; empty where none is."""
    usage = usage_of(messages) + (spent or Usage())
    tokens = usage.prompt_tokens + usage.completion_tokens
    if len(steps_of(messages)) >= limits.steps:
        return t("It stopped after {count} steps, the limit.", count=limits.steps)
    if limits.tokens is not None and tokens >= limits.tokens:
        return t("It stopped after {count} tokens; the limit is {limit}.",
                 count=tokens, limit=limits.tokens)  # fmt: skip
    if limits.seconds is not None and seconds_of(messages) >= limits.seconds:
        return t("It stopped after {seconds} s, the limit.", seconds=f"{limits.seconds:g}")
    if limits.cost is not None and cost_of(usage, limits.prices) >= limits.cost:
        return t("It stopped at a cost of {cost}, the limit.", cost=f"{limits.cost:g}")
    if idle_of(messages) >= limits.idle:
        return t("It stopped because {count} steps on end brought nothing new.", count=limits.idle)
    return ""


def seconds_left(limits: Limits, messages: "Sequence[BaseMessage]") -> float | None:
    """How long model and tools may still work; ``None`` where there is no limit."""
    if limits.seconds is None:
        return None
    return max(limits.seconds - seconds_of(messages), 0.0)


def room_for(
    limits: Limits,
    messages: "Sequence[BaseMessage]",
    asked: "Sequence[BaseMessage]",
    spent: Usage | None = None,
) -> bool:
    """Whether the limits leave room for one more request ``asked``, as far as can be estimated."""
    usage = usage_of(messages) + (spent or Usage())
    if limits.seconds is not None and seconds_of(messages) >= limits.seconds:
        return False
    if limits.cost is not None and cost_of(usage, limits.prices) >= limits.cost:
        return False
    if limits.tokens is None:
        return True
    wanted = sum(estimate_tokens(str(one.text)) for one in asked)
    return usage.prompt_tokens + usage.completion_tokens + wanted < limits.tokens
