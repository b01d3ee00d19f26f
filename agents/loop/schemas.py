"""What a tool takes, as one plain schema: from a pydantic model, or from whatever a server sends.

A plain schema has these keywords alone: ``type`` (one name), ``anyOf``, ``enum``, ``properties``,
``required``, ``additionalProperties``, ``items``, ``minimum``, ``maximum``, ``description`` and
``default``. References stand resolved. ``{}`` is any value: so is what would be too deep, or is
said with words that are not known here.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

Schema = dict[str, Any]

_MAX_DEPTH: Final = 12
_MAX_NODES: Final = 1000
_MAX_WITHIN: Final = 1
"""How often a schema is written out within itself."""
_MAX_CHOICES: Final = 8
_MAX_GRAMMAR: Final = 40_000
"""Characters of a grammar beyond which servers take seconds to compile it, or refuse it."""
_TOLD: Final = ("description", "default")
JSON_TYPES: Final = {
    "string": "string", "str": "string", "integer": "integer", "int": "integer", "long": "integer",
    "number": "number", "float": "number", "double": "number", "boolean": "boolean",
    "bool": "boolean", "null": "null", "array": "array", "list": "array", "tuple": "array",
    "object": "object", "dict": "object", "map": "object", "hashmap": "object",
}  # fmt: skip
"""JSON Schema's names, and those of other languages that tools are described with."""
_SINGLE: Final[list[Schema]] = [
    {"type": "string"},
    {"type": "number"},
    {"type": "boolean"},
    {"type": "null"},
    {"type": "object", "additionalProperties": True},
]
_ANY: Final[Schema] = {"anyOf": [*_SINGLE, {"type": "array", "items": {"anyOf": _SINGLE}}]}
"""Any value, for grammars: to some servers an empty schema is an object."""


def arguments_of(tool: "BaseTool") -> Schema:
    """The plain schema of a tool's arguments: always that of an object."""
    given: Any = tool.tool_call_schema
    if not isinstance(given, Mapping):
        given = given.model_json_schema()
    plain = plain_schema(given)
    if plain.get("type") != "object":
        plain = {"type": "object", "properties": {}, "required": []}
    if not given.get("additionalProperties"):
        plain["additionalProperties"] = False
    return plain


def plain_schema(given: Mapping[str, Any]) -> Schema:
    """Any JSON schema, well-formed or not, as a plain one."""
    return _Reader(given).plain(given, 0)


class _Reader:
    """Reads a schema as far as ``_MAX_DEPTH`` and ``_MAX_NODES`` let it: one may contain itself."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._left = _MAX_NODES
        self._open: list[str] = []
        self._definitions = {
            f"#/{place}/{name}": node
            for place in ("$defs", "definitions")
            for name, node in _mapping(root.get(place)).items()
        }

    def plain(self, node: Any, depth: int) -> Schema:
        self._left -= 1
        if not isinstance(node, Mapping) or depth > _MAX_DEPTH or self._left < 0:
            return {}
        references: list[str] = []
        node = self._merged(node, references)
        if any(self._open.count(one) > _MAX_WITHIN for one in references):
            return {}
        self._open += references
        try:
            return self._read(node, depth)
        finally:
            del self._open[len(self._open) - len(references) :]

    def _read(self, node: Schema, depth: int) -> Schema:
        told: Schema = {key: node[key] for key in _TOLD if key in node}
        if "const" in node:
            return {"enum": [node["const"]], **told}
        if isinstance(node.get("enum"), list) and node["enum"]:
            return {"enum": list(node["enum"]), **told}
        choices = node.get("anyOf") or node.get("oneOf")
        kinds = node.get("type")
        if isinstance(kinds, list):
            choices = choices or [{**node, "type": kind} for kind in kinds]
        if isinstance(choices, list):
            return {**self._choice(choices, depth), **told}
        return {**self._typed(node, depth), **told}

    def _choice(self, choices: Sequence[Any], depth: int) -> Schema:
        plain: list[Schema] = []
        for one in choices:
            schema = self.plain(one, depth + 1)
            for inner in schema.get("anyOf", [schema]):
                if inner not in plain:
                    plain.append(inner)
        if not plain or {} in plain or len(plain) > _MAX_CHOICES:
            return {}
        return plain[0] if len(plain) == 1 else {"anyOf": plain}

    def _typed(self, node: Schema, depth: int) -> Schema:
        kind = JSON_TYPES.get(str(node.get("type", "")).lower())
        if kind is None and isinstance(node.get("properties"), Mapping):
            kind = "object"
        if kind == "object":
            return self._object(node, depth)
        if kind == "array":
            items = self.plain(node.get("items"), depth + 1)
            return {"type": kind, "items": items} if items else {"type": kind}
        if kind in ("integer", "number"):
            limits = {key: node[key] for key in ("minimum", "maximum") if _is_number(node.get(key))}
            return {"type": kind, **limits}
        return {"type": kind} if kind else {}

    def _object(self, node: Schema, depth: int) -> Schema:
        properties = {
            str(name): self.plain(inner, depth + 1)
            for name, inner in _mapping(node.get("properties")).items()
        }
        required = node.get("required")
        wanted = required if isinstance(required, list) else []
        others = node.get("additionalProperties", "properties" not in node)
        if isinstance(others, Mapping):
            others = self.plain(others, depth + 1) or True
        return {
            "type": "object",
            "properties": properties,
            "required": [name for name in properties if name in wanted],
            "additionalProperties": others if isinstance(others, dict) else bool(others),
        }

    def _merged(self, node: Mapping[str, Any], references: list[str]) -> Schema:
        """The node with what it is composed of and what it refers to, which ``references`` names
        then."""
        merged = dict(node)
        for _ in range(_MAX_DEPTH):
            reference, parts = merged.pop("$ref", None), merged.pop("allOf", None)
            if isinstance(reference, str):
                references.append(reference)
                parts = [self._definitions.get(reference, {})]
            if not isinstance(parts, list):
                break
            for part in filter(lambda part: isinstance(part, Mapping), parts):
                merged = _united(dict(part), merged)
        return merged


def _united(one: Schema, two: Schema) -> Schema:
    both = {**one, **two}
    if isinstance(one.get("properties"), Mapping) and isinstance(two.get("properties"), Mapping):
        both["properties"] = {**one["properties"], **two["properties"]}
    if isinstance(one.get("required"), list) and isinstance(two.get("required"), list):
        both["required"] = [*one["required"], *two["required"]]
    return both


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


# -- grammars ------------------------------------------------------------------------------------


def step_schema(tools: "Sequence[BaseTool]") -> Schema:
    """The JSON schema of a step: a thought, then the call of one of the tools, or the answer.

    The choice comes after the thought: a grammar would else follow every tool all through it. The
    thought has no ``maxLength``: with one of 100 characters, vLLM 0.32 (xgrammar 0.2.8) took 36 s
    instead of 0.15 s to compile the grammar. What ends a ramble is the limit of tokens. The answer
    may be a number: where a small model wants to write one and may not, it writes spaces instead,
    to the end.
    """
    answer = _closed({"answer": {"anyOf": [{"type": "string"}, {"type": "number"}]}})
    calls = [_call({"enum": [tool.name]}, grammar_of(arguments_of(tool))) for tool in tools]
    if len(str(calls)) > _MAX_GRAMMAR:
        names = [tool.name for tool in tools]
        calls = [_call({"enum": names}, {"type": "object", "additionalProperties": True})]
    return _closed(
        {
            "thought": {"type": "string"},
            "action": {"anyOf": [*calls, answer]} if calls else answer,
        }
    )


def _call(name: Schema, arguments: Schema) -> Schema:
    return _closed({"tool": {"type": "string", **name}, "arguments": arguments})


def _closed(properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def grammar_of(plain: Schema) -> Schema:
    """A plain schema as servers make a grammar of it: without words, and with every value said."""
    if "enum" in plain:
        return _enumerated(plain["enum"])
    if "anyOf" in plain:
        return {"anyOf": [grammar_of(one) for one in plain["anyOf"]]}
    kind = plain.get("type")
    if kind == "array":
        return {"type": "array", "items": grammar_of(plain.get("items", {}))}
    if kind == "object":
        return _object_grammar(plain)
    if kind == "integer":
        return {key: plain[key] for key in ("type", "minimum", "maximum") if key in plain}
    return {"type": kind} if kind else _ANY


def _enumerated(values: Sequence[Any]) -> Schema:
    if all(isinstance(value, str) for value in values):
        return {"type": "string", "enum": list(values)}
    return {"enum": list(values)}


def _object_grammar(plain: Schema) -> Schema:
    properties, others = plain.get("properties", {}), plain.get("additionalProperties", True)
    if not properties and others:
        more = grammar_of(others) if isinstance(others, dict) else True
        return {"type": "object", "additionalProperties": more}
    required = plain.get("required", [])
    return {
        "type": "object",
        "properties": {
            name: grammar_of(inner if name in required else without_null(inner))
            for name, inner in properties.items()
        },
        "required": list(required),
        "additionalProperties": False,
    }


def without_null(plain: Schema) -> Schema:
    """The same without ``null``: an argument that may be left out need not be said to be none."""
    kept = [one for one in plain.get("anyOf", ()) if one.get("type") != "null"]
    if not kept:
        return plain
    told: Schema = {key: plain[key] for key in _TOLD if key in plain}
    return {**told, **kept[0]} if len(kept) == 1 else {**told, "anyOf": kept}
