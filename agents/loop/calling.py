"""The model's next step: native tool calls where they work, else one constrained JSON object."""

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from langchain.agents.middleware.types import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import ToolCall

from agents.loop.arguments import BadCall, check_call, tool_named
from agents.loop.leaving import invoked, performed
from agents.loop.modes import CallWay, Modes
from agents.loop.observing import is_late, late
from agents.loop.replies import Call, Choice, answer_begun, calls_in, step_in
from agents.loop.schemas import step_schema
from agents.loop.suiting import Suiting
from agents.loop.turns import (
    OURS,
    Turns,
    is_sum,
    language_of,
    note,
    to_correct,
    to_work_out,
    worked_out,
)
from agents.toolbox.equations import corrections
from indexes.errors import EndpointError
from rag.models.chat import endpoint_errors, within
from rag.models.failures import is_refused
from rag.models.structured import Form, Written, object_of
from rag.models.structured_json import Unfit
from rag.models.thinking import split_thoughts, without_thoughts
from rag.models.tokens import PromptBudget, upper_bound
from rag.steps import ask
from rag.types import Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.tools import BaseTool

Way = Literal["auto", "native", "json"]

_RETRIES: Final = 2
STEP_TOKENS: Final = 1024
"""What a step may be long, where the chat model allows itself less: an answer, or a note."""
_LEAST_TOKENS: Final = 64
_WORKINGS: Final = 2
"""How often a sum is worked out, where there are mistakes in the reckoning."""
_MOST_UNSUITED: Final = 2
"""How many tools that do not suit are taken away one by one; then all of them are."""


class Calling(AgentMiddleware[Any, Any, Any]):
    """Asks ``chat`` for the next step in its ``way``; ``auto`` is the one that ``modes`` knows.

    The message that comes of it has the calls in ``tool_calls``, wherever the model wrote them,
    and the answer, or nothing, as its text. A call that does not fit its tool is sent back once or
    twice; one that still does not is for the tools to refuse.
    """

    def __init__(self, chat: "BaseChatModel", modes: Modes, way: Way = "auto") -> None:
        super().__init__()
        self._chat, self._modes, self._way = chat, modes, way
        self._turns = Turns(secrets.token_bytes(16))
        self._suiting, self._budget = Suiting(chat), PromptBudget.of(chat)

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelResponse[Any]:
        """The model is asked here, not by ``handler``, which knows the native way alone.

        Raises ``StructuredOutputError`` when no reply is a step, ``EndpointError`` when the server
        fails.
        """
        del handler
        started = time.monotonic()
        left = request.model_settings.get("timeout")
        deadline = None if left is None else started + left
        tools: list[BaseTool] = [tool for tool in request.tools if not isinstance(tool, dict)]
        try:
            message = self._asked(request, tools, deadline)
        except EndpointError:
            if deadline is None or time.monotonic() < deadline:
                raise
            message = late()
        message.additional_kwargs[OURS]["seconds"] = time.monotonic() - started
        return ModelResponse(result=[message])

    def _asked(
        self, request: ModelRequest[Any], tools: "Sequence[BaseTool]", deadline: float | None
    ) -> AIMessage:
        way = self._modes.way_of(self._chat) if self._way == "auto" else self._way
        if way == "json":
            return self._json(request, tools, deadline)
        try:
            return self._native(request, tools, deadline)
        except EndpointError as error:
            if self._way == "native" or not is_refused(error):
                raise
        # A server that was started anew without its parser of calls.
        self._modes.remember(self._chat, "json")
        return self._json(request, tools, deadline)

    # -- one JSON object -------------------------------------------------------------------------

    def _json(
        self, request: ModelRequest[Any], tools: "Sequence[BaseTool]", deadline: float | None
    ) -> AIMessage:
        """A step; what its tool is no good for, another is looked for."""
        asked, offered, judged = request.messages, list(tools), Usage()
        message = self._step(request, offered, deadline)
        while self._suiting.is_open(asked, offered) and message.tool_calls:
            chosen = next((o for o in offered if o.name == message.tool_calls[0]["name"]), None)
            if chosen is None:
                break
            judging = self._suiting.judge(asked[-1].text, chosen, language_of(asked), deadline)
            suits, usage = performed(judging)
            judged += usage
            if suits:
                break
            judged += Usage.of(message)
            last = len(tools) - len(offered) + 1 >= _MOST_UNSUITED
            offered = [] if last else [one for one in offered if one is not chosen]
            message = self._step(request, offered, deadline)
        message.usage_metadata = _metadata(Usage.of(message) + judged)
        return message

    def _step(
        self, request: ModelRequest[Any], tools: "Sequence[BaseTool]", deadline: float | None
    ) -> AIMessage:
        lang = language_of(request.messages)
        turns = self._turns.of(request.system_message, request.messages, tools)
        working, spent = self._working(request, tools, turns, deadline)
        turns += worked_out(working, lang) if working else []
        form = Form("step", step_schema(tools), _reader(tools), note(lang), patient=True)
        got = performed(
            object_of(
                self._chat,
                turns,
                form,
                max_retries=_RETRIES,
                max_tokens=self._room(turns),
                explain=False,
                deadline=deadline,
            )
        )
        choice = replace(got.value, thought=working or got.value.thought)
        return _message(choice, got.usage + spent, "json", got.attempts)

    def _working(
        self,
        request: ModelRequest[Any],
        tools: "Sequence[BaseTool]",
        turns: Sequence[BaseMessage],
        deadline: float | None,
    ) -> tuple[str, Usage]:
        """A goal that is a sum, worked out in words before the first step, whose ``turns`` it must
        leave room for, and half of the time. The calculator looks after the equations. Where it
        fails there is the step without it."""
        working, spent = "", Usage()
        if not is_sum(request.messages, tools):
            return working, spent
        asking = to_work_out(request.system_message, request.messages)
        room = self._room(turns, _WORKINGS + 1)
        options: dict[str, Any] = {} if room is None else {"max_tokens": room}
        if deadline is not None:
            options |= within(self._chat, (time.monotonic() + deadline) / 2)
        with suppress(EndpointError):
            for left in reversed(range(_WORKINGS)):
                reply = performed(ask(self._chat, asking, **options))
                spent += Usage.of(reply)
                working = without_thoughts(reply.text).strip() or working
                wrong = corrections(working) if left else []
                if not wrong:
                    break
                asking += to_correct(working, wrong, language_of(request.messages))
        return working, spent

    def _room(self, turns: Sequence[BaseMessage], replies: int = 1) -> int | None:
        """How many tokens each of so many ``replies`` may have, the last of which is the step;
        ``None`` where nobody says what the model reads."""
        allowed = max(getattr(self._chat, "max_tokens", None) or 0, STEP_TOKENS)
        window = self._budget.window() if self._budget else None
        if self._budget is None or window is None:
            return None
        if upper_bound(turns) + replies * allowed <= window:
            return allowed
        left = (window - self._budget.count(turns).tokens) // replies
        return max(min(allowed, left), _LEAST_TOKENS)

    # -- native calls ----------------------------------------------------------------------------

    def _native(
        self, request: ModelRequest[Any], tools: "Sequence[BaseTool]", deadline: float | None
    ) -> AIMessage:
        """The model's own calls. A reply without a word, or with a call that cannot be read, is
        asked for again as JSON."""
        lang = language_of(request.messages)
        system = [request.system_message] if request.system_message else []
        said = (self._turns.marked(one, lang) for one in request.messages if not is_late(one))
        with endpoint_errors(self._chat):
            bound = self._chat.bind_tools(list(tools)) if tools else self._chat
            reply = invoked(bound, [*system, *said], **within(self._chat, deadline))
        choice = _native_choice(reply, [tool.name for tool in tools])
        if choice is not None:
            message = _message(choice, Usage.of(reply), "native", 1)
            for call, given in zip(message.tool_calls, reply.tool_calls, strict=False):
                call["id"] = given["id"] or call["id"]
            return message
        return _with_more(self._json(request, tools, deadline), Usage.of(reply))


def _native_choice(reply: AIMessage, names: Sequence[str]) -> Choice | None:
    """What a native reply chose; ``None`` where it says nothing that can be read."""
    thought, text = split_thoughts(reply.text)
    thought = str(reply.additional_kwargs.get("reasoning_content") or thought)
    if reply.invalid_tool_calls:
        return None
    if reply.tool_calls:
        calls = tuple(
            Call(tool_named(names, call["name"]), call["args"]) for call in reply.tool_calls
        )
        return Choice((text or thought).strip(), calls)
    choice = calls_in(text, names)
    if not choice.calls and not choice.answer:
        return None
    return Choice(choice.thought or thought.strip(), choice.calls, choice.answer)


def _reader(tools: "Sequence[BaseTool]") -> Callable[[Written], Choice]:
    """Reads a step, whose arguments are then as the tool wants them."""
    names = [tool.name for tool in tools]

    def read(written: Written) -> Choice:
        begun = answer_begun(written.text) if written.cut else None
        if begun:
            return Choice(answer=begun)
        try:
            choice = step_in(written.text, names, last=written.last)
        except Unfit as unfit:
            if written.cut:
                raise Unfit("it was cut off, because it is too long: write much less") from unfit
            raise
        if not choice.calls and not choice.answer.strip():
            raise Unfit("the answer is empty")
        calls = tuple(_checked(tools, call, written.last) for call in choice.calls)
        return Choice(choice.thought, calls, choice.answer)

    return read


def _checked(tools: "Sequence[BaseTool]", call: Call, last: bool) -> Call:
    """The call with arguments that fit; as it is, where the model cannot make it fit."""
    try:
        return Call(call.tool, check_call(tools, call.tool, call.arguments))
    except BadCall as bad:
        if last:
            return call
        raise Unfit(bad.observation) from bad


def _message(choice: Choice, usage: Usage, way: CallWay, attempts: int) -> AIMessage:
    ours = {"thought": choice.thought, "seconds": 0.0, "mode": way, "attempts": attempts}
    calls = [
        ToolCall(
            name=call.tool,
            args=dict(call.arguments),
            id=f"call_{secrets.token_hex(8)}",
            type="tool_call",
        )
        for call in choice.calls
    ]
    return AIMessage(
        "" if calls else choice.answer,
        tool_calls=calls,
        additional_kwargs={OURS: ours},
        usage_metadata=_metadata(usage),
    )


def _metadata(usage: Usage) -> UsageMetadata:
    total = usage.prompt_tokens + usage.completion_tokens
    return UsageMetadata(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        total_tokens=total,
    )


def _with_more(message: AIMessage, usage: Usage) -> AIMessage:
    """The message that came after a reply of no use, which cost ``usage``."""
    message.usage_metadata = _metadata(Usage.of(message) + usage)
    message.additional_kwargs[OURS]["attempts"] += 1
    return message
