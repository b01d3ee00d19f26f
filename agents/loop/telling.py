"""The events of a run, from what its graph writes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from agents.loop.observing import calls_of, step_of, steps_of, thought_of
from agents.loop.planning import marked
from agents.loop.types import Acting, Planned, RunEvent, Stepped, Task


class Telling:
    """Tells what is new after ``messages`` and ``tasks``, which are known."""

    def __init__(self, messages: Sequence[BaseMessage], tasks: Sequence[Task]) -> None:
        self._messages, self._tasks = list(messages), tuple(tasks)

    def events(self, update: Mapping[str, Any]) -> Iterator[RunEvent]:
        """What the updates of nodes say."""
        for values in update.values():
            for part in values if isinstance(values, list) else [values]:
                if isinstance(part, Mapping):
                    yield from self._new(part.get("messages") or ())
                    yield from self._planned(tuple(part.get("tasks") or ()))

    def _planned(self, tasks: tuple[Task, ...]) -> Iterator[RunEvent]:
        if tasks and tasks != self._tasks:
            self._tasks = tasks
            yield Planned(tasks)

    def _new(self, messages: Sequence[BaseMessage]) -> Iterator[RunEvent]:
        task = next((one.n for one in self._tasks if one.status == "open"), None)
        for message in messages if task is None else marked(messages, task):
            self._messages.append(message)
            yield from self._of(message)

    def _of(self, message: BaseMessage) -> Iterator[RunEvent]:
        if isinstance(message, ToolMessage):
            called = [one for one in calls_of(self._messages) if one.message is message]
            yield from (Stepped(step_of(one, message)) for one in called)
        elif isinstance(message, AIMessage) and message.tool_calls:
            for one in calls_of(self._messages):
                if one.asked is message:
                    thought = thought_of(message) if one.first else ""
                    yield Acting(one.n, thought, one.tool, one.arguments)
        elif isinstance(message, AIMessage):
            yield Stepped(steps_of(self._messages)[-1])
