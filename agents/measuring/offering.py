"""The functions of a function-calling set as tools, and its conversations as messages."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from agents.loop.schemas import JSON_TYPES
from agents.measuring.matching import called

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from langchain_core.tools import BaseTool

TODAY: Final = date(2026, 1, 5)
"""The day of the cases that name none: a prompt that changes daily could not be measured again."""
DONE: Final = "Done."
_DATES: Final = (
    re.compile(r"(?P<y>\d{4})年(?P<m>\d{1,2})月(?P<d>\d{1,2})日"),
    re.compile(r"(?P<m>[A-Z][a-z]+) (?P<d>\d{1,2}), (?P<y>\d{4})"),
)
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_SPEAKER: Final = re.compile(r"^(user|system): ?", re.MULTILINE)


def tools_of(functions: Sequence[Mapping[str, Any]]) -> "list[BaseTool]":
    """Each function as a tool that says it is done."""
    from langchain_core.tools import StructuredTool

    def done(**_: Any) -> str:
        return DONE

    return [
        StructuredTool(
            name=called(function["name"]),
            description=function.get("description", ""),
            args_schema={"properties": {}, **json_schema(function["parameters"]), "type": "object"},
            func=done,
        )
        for function in functions
    ]


def json_schema(node: Any) -> Any:
    """A description of arguments with JSON Schema's names for its types; ``any`` has none."""
    if isinstance(node, list):
        return [json_schema(one) for one in node]
    if not isinstance(node, Mapping):
        return node
    made: dict[str, Any] = {}
    for key, value in node.items():
        if key == "type" and isinstance(value, str):
            if (kind := JSON_TYPES.get(value.lower())) is not None:
                made[key] = kind
        elif key == "properties":
            made[key] = {name: json_schema(inner) for name, inner in value.items()}
        else:
            made[key] = value if key in ("enum", "default", "required") else json_schema(value)
    return made


def spoken(text: str) -> "list[BaseMessage]":
    """The turns of a conversation in which each line that begins with ``user:`` or ``system:``
    begins another; the assistant is called «system»."""
    from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

    parts = _SPEAKER.split(text)
    turns: list[BaseMessage] = []
    for speaker, said in zip(parts[1::2], parts[2::2], strict=True):
        kind = HumanMessage if speaker == "user" else AIMessage
        if turns and type(turns[-1]) is kind:
            turns[-1] = kind(f"{turns[-1].text}\n{said.strip()}")
        else:
            turns.append(kind(said.strip()))
    return turns or [HumanMessage(text.strip())]


def day_in(text: str) -> date:
    """The day that a case is said to be on."""
    for pattern in _DATES:
        if found := pattern.search(text):
            month = found["m"]
            number = _MONTHS.index(month) + 1 if month in _MONTHS else int(month)
            return date(int(found["y"]), number, int(found["d"]))
    return TODAY
