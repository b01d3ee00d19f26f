"""Which text in a run was written by others.

A fold over the messages, like all of a run's state: asked again after an interruption, it says the
same. What is not known to be the user's or our own counts as written by others.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.tools import BaseTool

from agents.loop.observing import extras
from agents.toolbox.effects import is_foreign
from indexes.cleaning import clean


def visible(value: Any) -> Any:
    """``value`` with all its texts, in lists and tables too, as a person sees them: without the
    characters that are not shown or that a terminal obeys."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {visible(key): visible(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [visible(item) for item in value]
    return value


def is_from_others(message: BaseMessage, user_words: Sequence[str]) -> bool:
    """Whether a message holds text that neither the user nor this run's model wrote.

    What the agent has marked is as it is marked. Else the user's words are the user's, a reply that
    calls tools is the model's, and the rest (an earlier conversation, a summary, a task that a
    model made, a result of no known tool) is from others.
    """
    marked = extras(message).get("tainted")
    if marked is not None:
        return marked is not False
    if isinstance(message, HumanMessage):
        return clean(str(message.text)).split() not in [clean(one).split() for one in user_words]
    if isinstance(message, AIMessage):
        return not (message.tool_calls or extras(message))
    return True


def words_of_others(messages: Sequence[BaseMessage], user_words: Sequence[str]) -> tuple[str, ...]:
    """The texts in ``messages`` that others wrote: one for each such message, empty or not."""
    return tuple(_words(one) for one in messages if is_from_others(one, user_words))


def foreign_words(tools: Sequence[BaseTool]) -> tuple[str, ...]:
    """What the servers of foreign tools say about them: it stands in every prompt."""
    return tuple(_described(one) for one in tools if is_foreign(one))


def _words(message: BaseMessage) -> str:
    content = message.content
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def _described(tool: BaseTool) -> str:
    from langchain_core.utils.function_calling import convert_to_openai_tool

    return json.dumps(convert_to_openai_tool(tool), ensure_ascii=False)
