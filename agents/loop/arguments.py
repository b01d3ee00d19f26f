"""The arguments of a call, made to fit the tool that they are for."""

import difflib
import json
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from agents.loop.fitting import Misfit, fit
from agents.loop.schemas import Schema, arguments_of
from indexes.i18n import t

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

_MAX_PROBLEMS: Final = 5


class BadCall(Exception):
    """A call that cannot be made: ``observation`` tells the model why, and what it can choose."""

    def __init__(self, observation: str) -> None:
        super().__init__(observation)
        self.observation = observation


def check_call(tools: "Sequence[BaseTool]", name: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as the tool ``name`` takes them: plain values, of the right types.

    Raises ``BadCall`` for a tool that is not there, or arguments that cannot be made to fit.
    """
    tool = next((tool for tool in tools if tool.name == name), None)
    if tool is None:
        raise BadCall(_unknown(name, [tool.name for tool in tools]))
    schema = arguments_of(tool)
    given = {key: value for key, value in args.items() if value != "" or not _may_lack(key, schema)}
    try:
        fitted: dict[str, Any] = fit(given, schema)
    except Misfit as misfit:
        raise BadCall(_misfit(name, misfit.problems, schema)) from misfit
    if problems := _refused(tool, fitted, schema["properties"]):
        raise BadCall(_misfit(name, problems, schema))
    return fitted


def tool_named(names: Iterable[str], name: str) -> str:
    """The one of ``names`` that ``name`` means, however it is written; else ``name`` itself."""
    given = list(names)
    if name in given:
        return name
    meant = [one for one in given if _letters(one) == _letters(name)]
    return meant[0] if len(meant) == 1 else name


def nearest(name: str, choices: Iterable[str]) -> list[str]:
    """The choices, those that look most like ``name`` first."""

    def likeness(choice: str) -> float:
        return difflib.SequenceMatcher(None, _letters(name), _letters(choice)).ratio()

    return sorted(choices, key=likeness, reverse=True)


def signature(name: str, schema: Schema) -> str:
    """A tool with its arguments and their types, on one line."""
    required = schema["required"]
    listed = [
        f"{argument}: {kind_of(inner)}" + ("" if argument in required else "?")
        for argument, inner in schema["properties"].items()
    ]
    return f"{name}({', '.join(listed)})"


def kind_of(schema: Schema) -> str:
    """What a value must be, in a few words."""
    if "enum" in schema:
        return " | ".join(json.dumps(one, ensure_ascii=False) for one in schema["enum"])
    if "anyOf" in schema:
        kinds = dict.fromkeys(kind_of(one) for one in schema["anyOf"])
        return " | ".join(kind for kind in kinds if kind != "null")
    kind = schema.get("type", "any")
    if kind == "array":
        inner = kind_of(schema.get("items", {}))
        return f"array of {inner}" if " | " not in inner else f"array of ({inner})"
    return str(kind)


def _may_lack(name: str, schema: Schema) -> bool:
    """Whether an argument may be left out, and be null: an empty text then says that it is."""
    kinds = schema["properties"].get(name, {}).get("anyOf", ())
    return name not in schema["required"] and {"type": "null"} in kinds


def _letters(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(one for one in folded if one.isalnum())


def _unknown(name: str, names: Sequence[str]) -> str:
    if not names:
        return t("There is no tool «{name}», nor any other: answer without one.", name=name)
    return t(
        "There is no tool «{name}». Choose one of these: {choices}.",
        name=name,
        choices=", ".join(nearest(name, names)),
    )


def _misfit(name: str, problems: Sequence[str], schema: Schema) -> str:
    return t(
        "The call of {tool} does not fit: {problems}. Call it as {signature}",
        tool=name,
        problems="; ".join(problems[:_MAX_PROBLEMS]),
        signature=signature(name, schema),
    )


def _refused(tool: "BaseTool", fitted: Mapping[str, Any], known: Collection[str]) -> list[str]:
    """What the tool's own model finds wrong with the arguments that are ``known`` to the caller,
    beyond the types."""
    from pydantic import BaseModel, ValidationError

    model: Any = tool.args_schema
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    try:
        model.model_validate(fitted)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        ours = [one for one in found if not one["loc"] or one["loc"][0] in known]
        return [f"{'.'.join(map(str, one['loc']))}: {one['msg']}".strip(": ") for one in ours]
    return []
