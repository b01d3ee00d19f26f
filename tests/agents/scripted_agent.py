"""A chat model that acts as a test wrote for it."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from pydantic import ConfigDict, Field

USAGE = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
_IDS = itertools.count(1)

Move = AIMessage | Exception | Callable[[Sequence[BaseMessage]], AIMessage]


def call(tool: str, thought: str = "", /, **arguments: Any) -> AIMessage:
    """The model calls a tool."""
    return calls((tool, arguments), thought=thought)


def calls(*wanted: tuple[str, Mapping[str, Any]], thought: str = "") -> AIMessage:
    """The model calls several tools at once."""
    made = [
        {"name": name, "args": dict(arguments), "id": f"call_{next(_IDS)}", "type": "tool_call"}
        for name, arguments in wanted
    ]
    return AIMessage(thought, tool_calls=made, usage_metadata=USAGE)


def say(text: str) -> AIMessage:
    """The model answers."""
    return AIMessage(text, usage_metadata=USAGE)


class ScriptedAgent(BaseChatModel):
    """Makes ``moves`` one after the other, an exception being raised in place of a reply; the last
    one again and again. A question whether a passage states a claim gets ``yes``, and a request
    without tools the ``closing``. Keeps every conversation."""

    moves: list[Any] = Field(default_factory=list)
    yes: str = "Yes"
    closing: str = ""
    asked: list[list[BaseMessage]] = Field(default_factory=list)
    checked: list[list[BaseMessage]] = Field(default_factory=list)
    made: int = 0

    model_config = ConfigDict(arbitrary_types_allowed=True)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Runnable[Any, Any]:
        return self.bind(with_tools=True)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> ChatResult:
        if not options.get("with_tools"):
            self.checked.append(messages)
            limited = options.get("max_tokens") == 4
            return _result(say(self.yes if limited else self.closing))
        self.asked.append(messages)
        move = self.moves[min(self.made, len(self.moves) - 1)]
        self.made += 1
        if isinstance(move, BaseException):
            raise move
        return _result(move(messages) if callable(move) else move.model_copy(deep=True))


def _result(message: AIMessage) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=message)])
