"""The filters of OpenAI's vector stores, in the language of ``--where``.

``{"type": "eq", "key": "lang", "value": "zh"}``, with ``ne``, ``gt``, ``gte``, ``lt``, ``lte``,
``in`` and ``nin``; several by ``{"type": "and", "filters": [...]}`` or ``or``. A key is an
attribute of the file or, where the file has none of that name, a field of `indexes.where`. A
document without the attribute passes ``ne`` and ``nin``, and nothing else. Values are bound when
the expression is compiled.
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StrictBool, StrictInt, StrictStr

from indexes.errors import UsageError
from indexes.i18n import t

_DEEPEST = 20

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Text = Annotated[StrictStr, Field(max_length=5_000)]
Single = StrictBool | StrictInt | Number | Text


class Comparison(BaseModel):
    """An attribute, compared with a value, or with a list of them by ``in`` and ``nin``."""

    model_config = ConfigDict(frozen=True)

    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    key: str = Field(min_length=1, max_length=64)
    value: Single | list[Single]


class Compound(BaseModel):
    """Several filters, of which all or one must hold."""

    model_config = ConfigDict(frozen=True)

    type: Literal["and", "or"]
    filters: list["Filter"] = Field(min_length=1)


Filter = Annotated[Comparison | Compound, Discriminator("type")]

_SIGNS = {"eq": "=", "ne": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "in": "in",
          "nin": "in"}  # fmt: skip


def where_of(one: Filter, depth: int = 1) -> str:
    """The filter as an expression for `Collection.search`. Raises `UsageError` for a list where a
    value is due, the other way round, and for filters that are nested too deeply."""
    if depth > _DEEPEST:
        raise UsageError(t("The filters are nested too deeply."))
    if isinstance(one, Compound):
        parts = [where_of(part, depth + 1) for part in one.filters]
        return "(" + f" {one.type} ".join(parts) + ")"
    if isinstance(one.value, list) != (one.type in ("in", "nin")):
        raise UsageError(
            t("The filter «{name}» takes a list for «in» and «nin», and one value otherwise.",
              name=one.key)
        )  # fmt: skip
    compared = _compared(_key(one.key), _SIGNS[one.type], one.value)
    return f"not {compared}" if one.type in ("ne", "nin") else compared


def _compared(key: str, sign: str, value: Single | list[Single]) -> str:
    if not isinstance(value, list):
        return f"({key} {sign} {_literal(value)})"
    if not value:
        return f"({key} = 0 and {key} = 1)"
    return f"({key} in ({', '.join(map(_literal, value))}))"


def _key(name: str) -> str:
    doubled = name.replace("`", "``")
    return f"`{doubled}`"


def _literal(value: Single) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, int):
        return str(value)
    digits = format(Decimal(repr(value)), "f")  # the expression has no exponents
    return digits if "." in digits else f"{digits}.0"
