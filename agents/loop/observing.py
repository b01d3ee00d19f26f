"""What a run's messages say: its steps, what they cost, and whether they bring anything new.

All of it is folded from the messages, so it is there again when the run is gone on with.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from agents.loop.types import Step
from indexes.i18n import t
from rag.types import Usage

_OURS: Final = "waggle"


@dataclass(frozen=True, slots=True)
class Called:
    """A call of a tool and what came back; ``message`` is ``None`` while it is not done.
    ``first``: of the calls in its message, which the model's time and tokens count for."""

    n: int
    asked: AIMessage
    id: str
    tool: str
    arguments: Mapping[str, Any]
    message: ToolMessage | None
    first: bool

    @property
    def error(self) -> str | None:
        """Why it came to nothing."""
        return None if self.message is None else extras(self.message).get("error")


def extras(message: BaseMessage) -> dict[str, Any]:
    """What the agent wrote beside a message: see `mark`."""
    return dict(message.additional_kwargs.get(_OURS) or {})


def mark(message: BaseMessage, **values: Any) -> None:
    """Write plain values beside a message; they are stored with it."""
    message.additional_kwargs[_OURS] = {**extras(message), **values}


def late() -> AIMessage:
    """What stands for the model's reply where it did not come in the time that was left."""
    return AIMessage("", additional_kwargs={_OURS: {"late": True}})


def is_late(message: BaseMessage) -> bool:
    """Whether it is no reply: see `late`."""
    return bool(extras(message).get("late"))


def key_of(tool: str, arguments: Mapping[str, Any]) -> str:
    """Equal for the same call, whatever the order of its arguments."""
    return f"{tool}{json.dumps(dict(arguments), sort_keys=True, ensure_ascii=False, default=str)}"


def calls_of(messages: Sequence[BaseMessage]) -> tuple[Called, ...]:
    """The calls of tools, numbered as the steps are."""
    return tuple(one for one in _walk(messages) if isinstance(one, Called))


def steps_of(messages: Sequence[BaseMessage]) -> tuple[Step, ...]:
    """The steps that are over; each of several calls in one message is a step of its own."""
    found = []
    for one in _walk(messages):
        if isinstance(one, Step):
            found.append(one)
        elif one.message is not None:
            found.append(step_of(one, one.message))
    return tuple(found)


def step_of(called: Called, message: ToolMessage) -> Step:
    """The step that ``message`` ends."""
    asked, told = extras(called.asked), extras(message)
    model = float(asked.get("seconds", 0.0)) if called.first else 0.0
    return Step(
        called.n,
        thought_of(called.asked) if called.first else "",
        called.tool,
        told.get("arguments", called.arguments),
        str(message.text),
        told.get("error"),
        round(model + float(told.get("seconds", 0.0)), 3),
        Usage.of(called.asked) if called.first else Usage(),
        asked.get("task"),
    )


def thought_of(message: AIMessage) -> str:
    """What the model wrote before it acted."""
    thought = extras(message).get("thought")
    return str(thought if thought is not None else message.text).strip()


def usage_of(messages: Sequence[BaseMessage]) -> Usage:
    """The tokens of all calls of the model."""
    return sum((Usage.of(one) for one in messages if isinstance(one, AIMessage)), Usage())


def seconds_of(messages: Sequence[BaseMessage]) -> float:
    """How long model and tools have worked; the time in which a run waits does not count."""
    return sum(float(extras(one).get("seconds", 0.0)) for one in messages)


def idle_of(messages: Sequence[BaseMessage]) -> int:
    """How many of the last calls, on end, brought nothing new: an error, or what was known."""
    seen: set[str] = set()
    idle = 0
    for called in calls_of(messages):
        if called.message is None:
            continue
        news = set(_news(called.message)) if called.error is None else set()
        idle = 0 if news - seen else idle + 1
        seen |= news
    return idle


def _news(message: ToolMessage) -> Iterator[str]:
    artifact = message.artifact if isinstance(message.artifact, Mapping) else {}
    if passages := artifact.get("passages"):
        yield from (str(one["number"]) for one in passages)
    else:
        yield " ".join(str(message.text).split())


def _walk(messages: Sequence[BaseMessage]) -> Iterator[Called | Step]:
    n = 0
    for at, message in enumerate(messages):
        if not isinstance(message, AIMessage):
            continue
        results = _results(messages[at + 1 :])
        for place, call in enumerate(message.tool_calls):
            n, ident = n + 1, call["id"] or ""
            result = results.get(ident)
            yield Called(n, message, ident, call["name"], call["args"], result, place == 0)
        if not message.tool_calls:
            n += 1
            yield _answered(n, message)


def _results(later: Sequence[BaseMessage]) -> dict[str, ToolMessage]:
    """What came back before the model was asked again: some models number their calls anew in each
    message."""
    until = takewhile(lambda one: not isinstance(one, AIMessage), later)
    return {one.tool_call_id: one for one in until if isinstance(one, ToolMessage)}


def _answered(n: int, message: AIMessage) -> Step:
    told = extras(message)
    return Step(
        n, str(told.get("thought", "")), None, {}, str(message.text),
        t("The model did not answer in the time that was left.") if is_late(message) else None,
        round(float(told.get("seconds", 0.0)), 3), Usage.of(message), told.get("task"),
    )  # fmt: skip
