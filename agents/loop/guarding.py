"""A call of a tool on its way to the tool: checked, not repeated, allowed, done once."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langgraph.errors import GraphBubbleUp
from langgraph.types import Command, interrupt

from agents.loop.arguments import BadCall, check_call
from agents.loop.ledger import Ledger, Unknown
from agents.loop.observing import Called, calls_of, extras, key_of, mark
from agents.loop.policy import Policy, Refusal
from agents.loop.taint import visible
from agents.loop.types import Decision, Pending
from agents.loop.wording import Wording
from agents.toolbox.effects import effect_of, is_tainted
from indexes.errors import RunError

if TYPE_CHECKING:
    from langchain.agents.middleware.types import ModelRequest, ModelResponse
    from langchain_core.tools import BaseTool
    from langgraph.prebuilt.tool_node import ToolCallRequest

Do = Callable[["ToolCallRequest"], "ToolMessage | Command[Any]"]
_FAILURES: Final = 2
"""Times that a call that only reads may fail: a server may come back, a wrong name stays wrong."""
_STUBBORN: Final = 2
"""Calls on end that were made before, from which on the model has to answer."""


class Stopped(Exception):
    """The call is not made; ``observation`` is what the model reads instead. ``marks`` are written
    beside it."""

    def __init__(self, observation: str, **marks: Any) -> None:
        super().__init__(observation)
        self.observation, self.marks = observation, marks


class Guarding(AgentMiddleware[Any, Any, Any]):
    """Lets a call through to its tool, or answers in its place."""

    def __init__(
        self, tools: Sequence["BaseTool"], policy: Policy, ledger: Ledger | None, wording: Wording
    ) -> None:
        super().__init__()
        self._tools, self._policy, self._ledger, self._wording = tools, policy, ledger, wording

    def wrap_model_call(
        self,
        request: "ModelRequest[Any]",
        handler: "Callable[[ModelRequest[Any]], ModelResponse[Any]]",
    ) -> "ModelResponse[Any]":
        """The model's reply, each call with a name that no other call of the run has: what somebody
        decides about one holds for no other, though some servers number theirs anew. A model that
        does not stop repeating itself is given no tools, and has to answer."""
        known = request.state["messages"]
        response = handler(request.override(tools=[]) if _is_stubborn(known) else request)
        return replace(response, result=[_renamed(one, known) for one in response.result])

    def wrap_tool_call(
        self, request: "ToolCallRequest", handler: Do
    ) -> "ToolMessage | Command[Any]":
        """What the call brings. The person who is asked may be away: then the run waits here, and
        comes here again."""
        call, messages = request.tool_call, request.state["messages"]
        try:
            arguments = check_call(self._tools, call["name"], visible(call["args"]))
            tool = next(one for one in self._tools if one.name == call["name"])
            self._fresh(call, arguments, messages)
            allowed = self._allowed(tool, {**call, "args": arguments}, messages)
        except BadCall as bad:
            return _refused(call, bad.observation)
        except Stopped as stopped:
            return _refused(call, stopped.observation, **stopped.marks)
        message = self._done(tool, request, allowed, handler)
        if allowed != arguments and isinstance(message, ToolMessage):
            shown = json.dumps(dict(allowed), ensure_ascii=False, default=str)
            message.content = f"{self._wording.edited(shown)}{message.text}"
        return message

    def _fresh(
        self, call: Mapping[str, Any], arguments: Mapping[str, Any], messages: Sequence[BaseMessage]
    ) -> None:
        """The call was not made before, unless it failed then, and not twice, or something was
        changed since. Raises `Stopped`."""
        calls = calls_of(messages)
        mine = next(one for one in reversed(calls) if one.id == call["id"])
        key, failures = key_of(call["name"], arguments), 0
        for one in reversed([one for one in calls if one.n < mine.n]):
            same = key_of(one.tool, _used(one)) == key
            if _has_changed(one) and not same:
                return
            if same:
                failures += _has_failed(one)
                self._not_again(one, failures >= _FAILURES)

    def _not_again(self, earlier: Called, failed_enough: bool) -> None:
        if earlier.message is None:
            raise Stopped(self._wording.twice())
        told, text = extras(earlier.message), str(earlier.message.text)
        if told.get("rejected"):
            raise Stopped(text, rejected=True)
        if earlier.error is None or failed_enough:
            raise Stopped(
                self._wording.repeated(earlier.n, text),
                tainted=bool(told.get("tainted")),
                repeated=earlier.n,
            )

    def _allowed(
        self, tool: "BaseTool", call: Mapping[str, Any], messages: Sequence[BaseMessage]
    ) -> Mapping[str, Any]:
        """The arguments with which the call may be made. Raises `Stopped` where it may not."""
        judged = self._policy.judge(tool, call, messages)
        if judged is None:
            arguments: Mapping[str, Any] = call["args"]
            return arguments
        if isinstance(judged, Refusal):
            raise Stopped(judged.reason)
        decision = self._decided(judged)
        if decision.verdict == "approve":
            return judged.arguments
        if decision.verdict == "edit":
            return check_call(self._tools, tool.name, decision.arguments or {})
        raise Stopped(self._wording.rejected(decision.reason), rejected=True)

    def _decided(self, pending: Pending) -> Decision:
        decision = Decision(**interrupt(asdict(pending)))
        if self._ledger is not None:
            self._ledger.decided(pending, decision)
        return decision

    def _done(
        self, tool: "BaseTool", request: "ToolCallRequest", arguments: Mapping[str, Any], do: Do
    ) -> "ToolMessage | Command[Any]":
        call, effect = request.tool_call, effect_of(tool)
        asked = request.override(tool_call={**call, "args": dict(arguments)})
        pending = Pending(call["id"] or "", tool.name, arguments, effect, "")

        def again(reason: str) -> bool:
            asked = replace(pending, reason=reason, editable=False)
            return Decision(**interrupt(asdict(asked))).verdict == "approve"

        def performed() -> "ToolMessage | Command[Any]":
            return self._performed(tool, asked, do)

        try:
            if self._ledger is None:
                return performed()
            return self._ledger.once(
                pending.call_id, tool.name, arguments, effect, performed, again
            )
        except Unknown as unknown:
            return _refused(call, str(unknown))

    def _performed(
        self, tool: "BaseTool", request: "ToolCallRequest", do: Do
    ) -> "ToolMessage | Command[Any]":
        """What the tool brings, or why it failed: the model is told, and goes on."""
        call, started = request.tool_call, time.perf_counter()
        try:
            message = do(request)
        except (GraphBubbleUp, RunError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a tool raises
            message = self._failed(call, str(error) or type(error).__name__)
        if isinstance(message, ToolMessage):
            message.content = visible(message.content)
            told = extras(message)
            if message.status == "error" and not told.get("error"):
                told["error"] = str(message.text)
            seconds = round(time.perf_counter() - started, 3)
            mark(message, error=told.get("error"), seconds=seconds, tainted=is_tainted(tool),
                 effect=effect_of(tool), arguments=dict(call["args"]))  # fmt: skip
        return message

    def _failed(self, call: Mapping[str, Any], reason: str) -> ToolMessage:
        text = self._wording.failed(call["name"], reason)
        return ToolMessage(text, tool_call_id=call["id"], name=call["name"], status="error")


def _is_stubborn(messages: Sequence[BaseMessage]) -> bool:
    """Whether the last call was that before it once more, or they have all been made before. Small
    models copy what they have just written, whatever they are told about it."""
    last = calls_of(messages)[-_STUBBORN:]
    earlier = [extras(one.message).get("repeated") if one.message else None for one in last]
    return len(last) == _STUBBORN and (all(earlier) or earlier[-1] == last[0].n)


def _renamed(message: BaseMessage, known: Sequence[BaseMessage]) -> BaseMessage:
    """The names follow from the run and the call, so that a run that is replayed has the same. A
    content of several parts may hold its calls' names as well: it keeps them."""
    if not isinstance(message, AIMessage) or not isinstance(message.content, str):
        return message
    begun = known[0].text if known else ""
    calls = []
    for place, call in enumerate(message.tool_calls):
        told = f"{begun}\n{len(known)} {place} {key_of(call['name'], call['args'])}"
        name = hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:16]
        calls.append({**call, "id": f"call_{name}"})
    return message.model_copy(update={"tool_calls": calls})


def _refused(call: Mapping[str, Any], text: str, **marks: Any) -> ToolMessage:
    message = ToolMessage(text, tool_call_id=call["id"], name=call["name"], status="error")
    mark(message, **{"error": text, "seconds": 0.0, "tainted": False, "effect": "read", **marks})
    return message


def _used(called: Called) -> Mapping[str, Any]:
    """The arguments with which a call was made."""
    told = extras(called.message) if called.message is not None else {}
    arguments: Mapping[str, Any] = told.get("arguments", called.arguments)
    return arguments


def _has_failed(called: Called) -> bool:
    """Whether a call that only reads was made and failed."""
    told = extras(called.message) if called.message is not None else {}
    return called.error is not None and "arguments" in told and told["effect"] == "read"


def _has_changed(called: Called) -> bool:
    """Whether a call has changed something, so that another may now bring something else."""
    if called.message is None or called.error is not None:
        return False
    return extras(called.message).get("effect") == "write"
