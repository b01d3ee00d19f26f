"""The JSON of structured output: the schema of a pydantic model as model servers take it, and the
object in what a model wrote."""

import json
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

ModelT = TypeVar("ModelT", bound=BaseModel)

_STRUCTURE = {
    "$defs", "$ref", "additionalProperties", "anyOf", "const", "description", "enum", "items",
    "maxItems", "minItems", "prefixItems", "properties", "required", "type",
}  # fmt: skip
_MAX_PROBLEMS = 8
_OBJECT_START = re.compile(r"\{(?=\s*[\"'“}])")
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)


def json_schema(schema: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of an object as model servers take it: closed (no field that is not named),
    without titles, and with ``anyOf`` for the tagged unions of pydantic.

    Raises ``TypeError`` when ``schema`` describes something else than an object.
    """
    root: dict[str, Any] = _simplified(schema.model_json_schema(), None)
    reference = root.get("$ref", "")
    if reference:  # a recursive model; servers want to see an object at the root
        root = {**root["$defs"][reference.removeprefix("#/$defs/")], "$defs": root["$defs"]}
    if root.get("type", "object") != "object":
        raise TypeError(f"{schema.__name__} does not describe a JSON object")
    return root


def structure(schema: dict[str, Any]) -> dict[str, Any]:
    """A `json_schema` without the patterns, formats and limits that some servers refuse."""
    simple: dict[str, Any] = _simplified(schema, _STRUCTURE)
    return simple


def _simplified(node: Any, keep: set[str] | None) -> Any:
    if not isinstance(node, dict):
        return node
    simple: dict[str, Any] = {}
    for key, value in node.items():
        name = "anyOf" if key == "oneOf" else key
        if name in ("title", "discriminator") or (keep is not None and name not in keep):
            continue
        if name in ("properties", "$defs"):
            simple[name] = {field: _simplified(inner, keep) for field, inner in value.items()}
        elif name in ("anyOf", "allOf", "prefixItems"):
            simple[name] = [_simplified(inner, keep) for inner in value]
        elif name in ("items", "additionalProperties"):
            simple[name] = _simplified(value, keep)
        else:
            simple[name] = value
    if "properties" in simple:
        simple.setdefault("additionalProperties", False)
    return simple


class Unfit(Exception):
    """What is wrong with a reply, a line each, for the model to read."""


def parse_object(text: str, schema: type[ModelT]) -> ModelT:
    """The one object in ``text`` that fits ``schema``, whatever prose or fence is around it.

    Raises ``Unfit`` when there is none, when one is broken (an object within it must not be taken
    for the whole), or when several fit that differ.
    """
    values: list[ModelT] = []
    problems: list[str] = []
    for found in _objects(text):
        try:
            value = schema.model_validate_json(json.dumps(found, allow_nan=False))
        except ValidationError as error:
            problems.append(_problems(error))
        except (ValueError, RecursionError) as error:
            raise Unfit(f"this is not valid JSON: {error}") from error
        else:
            if value not in values:
                values.append(value)
    if len(values) == 1:
        return values[0]
    if values:
        raise Unfit("there are several different JSON objects; write one")
    raise Unfit(problems[0] if problems else "there is no JSON object")


def _objects(text: str) -> list[Any]:
    found, at = [], 0
    while start := _OBJECT_START.search(text, at):
        value, at = decode_at(text, start.start())
        found.append(value)
    return found


def decode_at(text: str, at: int) -> tuple[Any, int]:
    """The JSON value that begins at ``at``, trailing commas forgiven, and where it ends. Raises
    ``Unfit`` where there is none."""
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        blank = _TRAILING_COMMA.sub(lambda match: match[1] or " ", text[at:])
    try:
        value, end = _DECODER.raw_decode(blank)
    except (ValueError, RecursionError) as error:
        raise Unfit(f"this is not valid JSON: {error}") from error
    return value, at + end


def is_bare_object(text: str) -> bool:
    """Whether ``text`` is a JSON object and nothing more."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


# Line breaks within a string are a common slip, and harmless.
_DECODER = json.JSONDecoder(strict=False)


def _problems(error: ValidationError) -> str:
    lines = [
        f"{'.'.join(map(str, problem['loc'])) or 'the object'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return "\n".join(lines[:_MAX_PROBLEMS])
