"""A value made to fit a plain schema (`agents.loop.schemas`), where what was meant is plain: a
number in a string, one value for a list of it, a list for its only value, JSON in a string."""

import difflib
import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from agents.loop.schemas import Schema
from indexes.i18n import t

_TRUE: Final = ("true", "yes", "on", "1", "是", "真")
_FALSE: Final = ("false", "no", "off", "0", "否", "假")
_NOTHING: Final = ("null", "none", "nil", "")
_GROUPED: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?")
_MAX_DIGITS: Final = 40
_MAX_SHOWN: Final = 60


class Misfit(Exception):
    """What is wrong with a value, a clause each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def fit(value: Any, schema: Schema, path: str = "") -> Any:
    """``value`` as ``schema`` wants it; itself, where it fits already. ``path`` names it. Raises
    ``Misfit``."""
    if fits(value, schema):
        return value
    if "enum" in schema:
        return _one_of(value, schema["enum"], path)
    if "anyOf" in schema:
        return _any_of(value, schema["anyOf"], path)
    make = _MAKERS.get(schema.get("type", ""))
    return value if make is None else make(value, schema, path)


def fits(value: Any, schema: Schema) -> bool:
    """Whether ``value`` needs no change."""
    if "enum" in schema:
        return any(_same(value, one) for one in schema["enum"])
    if "anyOf" in schema:
        return any(fits(value, one) for one in schema["anyOf"])
    kind = schema.get("type")
    if kind == "object":
        return isinstance(value, dict) and _fits_object(value, schema)
    if kind == "array":
        items = schema.get("items", {})
        return isinstance(value, list) and all(fits(one, items) for one in value)
    if kind in ("integer", "number"):
        return _is_number(value, kind) and not _outside(value, schema)
    plain = {"string": str, "boolean": bool, "null": type(None)}
    return kind not in plain or isinstance(value, plain[kind])


def _fits_object(value: Mapping[Any, Any], schema: Schema) -> bool:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    if any(name not in value for name in schema.get("required", ())):
        return False
    for name, inner in value.items():
        wanted = properties.get(name, others)
        if wanted is False or (isinstance(wanted, dict) and not fits(inner, wanted)):
            return False
    return True


def _same(one: Any, other: Any) -> bool:
    """Equal, and not ``True`` for 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _is_number(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, float):
        return kind == "number" and math.isfinite(value)
    return isinstance(value, int)


def _outside(value: float, schema: Schema) -> bool:
    return bool(value < schema.get("minimum", value) or value > schema.get("maximum", value))


# -- one maker for each type ---------------------------------------------------------------------


def _string(value: Any, _: Schema, path: str) -> str:
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return value[0]
    if isinstance(value, (bool, int, float, list, dict)):
        return json.dumps(value, ensure_ascii=False)
    raise _wrong(path, value, t("a text"))


def _number(value: Any, schema: Schema, path: str) -> float:
    whole = schema["type"] == "integer"
    number = _read_number(_only(value))
    if number is None or (whole and number != int(number)):
        raise _wrong(path, value, t("a whole number") if whole else t("a number"))
    made = int(number) if whole else number
    if _outside(made, schema):
        raise Misfit(_limits(path, made, schema))
    return made


def _boolean(value: Any, _: Schema, path: str) -> bool:
    word = _folded(_only(value))
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise _wrong(path, value, t("true or false"))


def _null(value: Any, _: Schema, path: str) -> None:
    if not isinstance(value, str) or _folded(value) not in _NOTHING:
        raise _wrong(path, value, "null")


def _array(value: Any, schema: Schema, path: str) -> list[Any]:
    items = schema.get("items", {})
    if isinstance(value, str):
        value = _decoded(value, list) or value
    if isinstance(value, (list, tuple)):
        return [fit(one, items, f"{path}[{n}]") for n, one in enumerate(value)]
    if value is None:
        raise _wrong(path, value, t("a list"))
    try:
        return [fit(value, items, path)]
    except Misfit:
        if not isinstance(value, str) or not re.search("[,，、;；]", value):
            raise
    parts = [part.strip() for part in re.split("[,，、;；]", value) if part.strip()]
    return [fit(part, items, f"{path}[{n}]") for n, part in enumerate(parts)]


def _object(value: Any, schema: Schema, path: str) -> dict[str, Any]:
    if isinstance(value, str):
        value = _decoded(value, dict) or value
    value = _only(value)
    if not isinstance(value, Mapping):
        raise _wrong(path, value, t("an object"))
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    given, problems = _named({str(name): one for name, one in value.items()}, schema, path)
    made: dict[str, Any] = {}
    for name, inner in given.items():
        try:
            wanted = properties.get(name, others if isinstance(others, dict) else {})
            made[name] = fit(inner, wanted, _joined(path, name))
        except Misfit as misfit:
            if inner is not None or name in schema.get("required", ()):
                problems += misfit.problems
    missing = [name for name in schema.get("required", ()) if name not in given]
    problems += [t("«{name}» is missing", name=_joined(path, name)) for name in missing]
    if problems:
        raise Misfit(*problems)
    return made


_MAKERS: Final[dict[str, Callable[[Any, Schema, str], Any]]] = {
    "string": _string, "integer": _number, "number": _number, "boolean": _boolean,
    "null": _null, "array": _array, "object": _object,
}  # fmt: skip


def _named(value: dict[str, Any], schema: Schema, path: str) -> tuple[dict[str, Any], list[str]]:
    """The members under the names that the schema has for them, and what is wrong with the rest."""
    properties = schema.get("properties", {})
    if schema.get("additionalProperties", True) is not False:
        return value, []
    given = {name: one for name, one in value.items() if name in properties}
    strange = {name: one for name, one in value.items() if name not in properties}
    problems: list[str] = []
    for name, one in strange.items():
        free = [known for known in properties if known not in given]
        alike = [known for known in free if _letters(known) == _letters(name)]
        if len(alike) == 1:
            given[alike[0]] = one
        elif len(strange) == 1 == len([one for one in free if one in schema["required"]]):
            needed = next(one for one in free if one in schema["required"])
            given[needed] = one
        elif one is not None:
            problems.append(_strange(_joined(path, name), name, list(properties)))
    return given, problems


def _one_of(value: Any, choices: Sequence[Any], path: str) -> Any:
    value = _only(value)
    alike = [one for one in choices if _folded(one) == _folded(value)]
    alike = alike or [one for one in choices if _letters(_folded(one)) == _letters(_folded(value))]
    if len(alike) == 1 and _letters(_folded(value)):
        return alike[0]
    near = sorted(choices, key=lambda one: _likeness(value, one), reverse=True)
    shown = ", ".join(json.dumps(one, ensure_ascii=False) for one in near)
    raise _wrong(path, value, t("one of {choices}", choices=shown))


def _any_of(value: Any, choices: Sequence[Schema], path: str) -> Any:
    problems: list[Misfit] = []
    for one in choices:
        try:
            return fit(value, one, path)
        except Misfit as misfit:
            if one.get("type") != "null":
                problems.append(misfit)
    raise min(
        problems, key=lambda misfit: len(misfit.problems), default=_wrong(path, value, "null")
    )


# -- reading -------------------------------------------------------------------------------------


def _only(value: Any) -> Any:
    """The value in a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _read_number(value: Any) -> float | None:
    if isinstance(value, str):
        text = unicodedata.normalize("NFKC", value).strip()
        if _GROUPED.fullmatch(text):
            text = text.replace(",", "")
        if len(text) > _MAX_DIGITS or "_" in text:
            return None
        try:
            value = int(text)
        except ValueError:
            try:
                value = float(text)
            except ValueError:
                return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) else None


def _decoded(text: str, kind: type[Any]) -> Any:
    """The value of this kind that ``text`` is in JSON; ``None`` where it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, kind) else None


def _folded(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return unicodedata.normalize("NFKC", text).strip().casefold()


def _letters(text: str) -> str:
    return "".join(one for one in _folded(text) if one.isalnum())


def _likeness(one: Any, other: Any) -> float:
    return difflib.SequenceMatcher(None, _folded(one), _folded(other)).ratio()


# -- saying --------------------------------------------------------------------------------------


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _wrong(path: str, value: Any, wanted: str) -> Misfit:
    shown = json.dumps(value, ensure_ascii=False, default=str)
    short = shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}…"
    return Misfit(
        t("«{name}» must be {wanted}, not {value}", name=path, wanted=wanted, value=short)
    )


def _limits(path: str, value: float, schema: Schema) -> str:
    if value < schema.get("minimum", value):
        return t("«{name}» must be at least {limit}", name=path, limit=schema["minimum"])
    return t("«{name}» must be at most {limit}", name=path, limit=schema["maximum"])


def _strange(path: str, name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return t("there is no «{name}»; did you mean «{near}»?", name=path, near=near[0])
    return t("there is no «{name}»", name=path)
