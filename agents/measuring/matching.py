"""Whether a call is one of those that are right, by the published rules of the Berkeley Function
Calling Leaderboard (its «AST» check for Python): the name; every required argument; no argument
that the answer does not know; each value of the declared type and among those that are allowed;
an optional one may be absent if the empty text is among them. Whole numbers count as decimal ones
where those are wanted. Texts are compared without case, spaces and some punctuation.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_IGNORED: Final = re.compile(r"[ ,./\-_*^，、。；：]")
_TYPES: Final[Mapping[str, type]] = {
    "string": str, "integer": int, "float": float, "number": float, "boolean": bool,
    "array": list, "tuple": list, "dict": dict, "object": dict, "any": str,
}  # fmt: skip
_ABSENT: Final = ""


def is_expected(
    name: str, arguments: Mapping[str, Any], wanted: Mapping[str, Any], function: Mapping[str, Any]
) -> bool:
    """Whether the call is the one that ``wanted`` allows: a function's name, and for each argument
    a list of the values that are right. ``function`` is its description."""
    (right_name, allowed), *_ = wanted.items()
    if name != called(right_name):
        return False
    parameters = function["parameters"]
    known = parameters.get("properties", {})
    if any(needed not in arguments for needed in parameters.get("required", ())):
        return False
    for argument, value in arguments.items():
        if argument not in known or argument not in allowed:
            return False
        if not _is_allowed(value, allowed[argument], known[argument]):
            return False
    return all(argument in arguments or _ABSENT in values for argument, values in allowed.items())


def are_expected(
    calls: Sequence[tuple[str, Mapping[str, Any]]],
    wanted: Sequence[Mapping[str, Any]],
    functions: Mapping[str, Mapping[str, Any]],
) -> bool:
    """Whether the calls are all those that are wanted and no other, in any order. ``functions``
    have the names by which they are called."""
    left = list(wanted)
    for name, arguments in calls:
        found = (
            one
            for one in left
            if (right := called(next(iter(one)))) in functions
            and is_expected(name, arguments, one, functions[right])
        )
        match = next(found, None)
        if match is None:
            return False
        left.remove(match)
    return not left


def called(name: str) -> str:
    """The name under which a function is offered: servers take no dots in it."""
    return name.replace(".", "_")


def exactly(value: Any) -> Any:
    """An answer of single values, in the form that lists what is allowed."""
    if isinstance(value, Mapping):
        return {key: [exactly(inner)] for key, inner in value.items()}
    if isinstance(value, list):
        return [exactly(inner) for inner in value]
    return value


def _is_allowed(value: Any, allowed: Sequence[Any], declared: Mapping[str, Any]) -> bool:
    kind = _TYPES.get(str(declared.get("type", "")))
    if kind is float and type(value) is int:
        value = float(value)
    # A right value of another type than is declared stands for a variable, and is then the type.
    kinds = {type(one) for one in allowed if one != _ABSENT}
    if kind is not None and type(value) is not kind and type(value) not in kinds:
        return False
    return any(_alike(value, one) for one in allowed)


def _alike(value: Any, right: Any) -> bool:
    if isinstance(value, str) and isinstance(right, str):
        return _plain(value) == _plain(right)
    if isinstance(value, dict) and isinstance(right, dict):
        return all(
            key in right and any(_alike(inner, one) for one in _choices(right[key]))
            for key, inner in value.items()
        ) and all(key in value or _ABSENT in _choices(inner) for key, inner in right.items())
    if isinstance(value, list) and isinstance(right, list):
        return len(value) == len(right) and all(map(_alike, value, right))
    return bool(value == right) and isinstance(value, bool) == isinstance(right, bool)


def _choices(allowed: Any) -> Sequence[Any]:
    return allowed if isinstance(allowed, list) else [allowed]


def _plain(text: str) -> str:
    return _IGNORED.sub("", text).lower().replace("'", '"')
