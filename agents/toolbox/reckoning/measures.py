"""Quantities with units, by pint, with exact fractions as their numbers.

pint is asked for units by their names only, never to read a calculation.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from agents.toolbox.reckoning.words import DEFINED, UNITS
from indexes.errors import UsageError
from indexes.i18n import t

if TYPE_CHECKING:
    from pint import UnitRegistry

_SHORTEST: Final = 3
"""Letters of a unit that pint is asked for: its shorter names are a trap (``a`` is a year)."""
_HIGHEST: Final = 12
"""The power of a unit, at most."""
_SPEEDS: Final = {
    "kilometer": "kilometer/hour", "mile": "mile/hour", "meter": "meter/second",
    "centimeter": "meter/second", "foot": "foot/second",
}  # fmt: skip
_DERIVED: Final = ("newton", "joule", "watt", "pascal", "volt", "ampere", "ohm")
_RAISED: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_LONG: Final = (
    "year", "month", "week", "day", "inch", "knot", "radian", "acre", "gallon", "cup", "bit",
    "byte", "metric_ton", "count",
)  # fmt: skip


@cache
def registry() -> "UnitRegistry[Fraction]":
    """All units, with those that pint lacks."""
    from pint import UnitRegistry

    made: UnitRegistry[Fraction] = UnitRegistry(non_int_type=Fraction, cache_folder=None)
    for line in DEFINED:
        made.define(line)
    return made


def is_quantity(value: object) -> bool:
    """Whether ``value`` has units."""
    return hasattr(value, "unit_items")


def quantity(value: Fraction, units: tuple[tuple[str, int], ...]) -> Any:
    """``value`` with its units. Raises `UsageError` for a unit that is not known."""
    whole = registry().Unit("")
    for name, power in units:
        unit = unit_of(name)
        if unit is None:
            raise unknown(name)
        whole = whole * _raised(unit, power)
    made = registry().Quantity(value, whole)
    _check(made)
    return made


def unit_of(name: str) -> Any:
    """The unit of that name or symbol; ``None`` where there is none."""
    found = UNITS.get(name) or (UNITS.get(name.lower()) if len(name) > 1 else None)
    if found:
        return registry().Unit(found)
    if name[-1] in "23" and len(name) > 1:
        base = unit_of(name[:-1])
        return None if base is None else _raised(base, int(name[-1]))
    return _by_pint(name) or (_by_pint(name.lower()) if not name.islower() else None)


def unknown(name: str) -> UsageError:
    """That a word is neither a unit nor anything else."""
    return UsageError(
        t(
            "«{name}» is not a number, a function or a unit that is known. Write the numbers "
            "without it.",
            name=name[:40],
        )
    )


def with_units(do: Callable[[], Any]) -> Any:
    """The result of ``do``. Raises `UsageError` where units do not fit together."""
    with _told():
        result = do()
        if is_quantity(result):
            _check(result)
        return result


def converted(value: Any, unit: Any) -> Any:
    """``value`` in another unit. Raises `UsageError` where it cannot be."""
    with _told():
        made = registry().Quantity(value, "") if isinstance(value, Fraction) else value
        return made.to(unit)


def rooted(value: Any, root: int, take: Callable[[Fraction], Fraction]) -> Any:
    """The square or cube root of a quantity, whose units must be squares or cubes."""
    powers: list[tuple[str, Any]] = list(value.unit_items())
    if any(power % root for _, power in powers):
        value = value.to_base_units()
        powers = list(value.unit_items())
    whole = registry().Unit("")
    for name, power in powers:
        if power % root:
            raise UsageError(
                t("The unit of {value} has no such root.", value=shown_unit(value.units))
            )
        whole = whole * _raised(registry().Unit(name), int(power) // root)
    return registry().Quantity(take(value.magnitude), whole)


def sensible(value: Any) -> Any:
    """The quantity in the units that a person would choose; a number where they all fall away."""
    with _told():
        if value.unitless:
            return value.to_base_units().magnitude
        if len(value.unit_items()) == 1:
            return value
        if value.dimensionless:
            return value.to_base_units()
        value = value.to(_merged(value))
        if value.check("[speed]"):
            return value.to(_speed(value))
        if len(value.unit_items()) > 1:
            return _derived(value)
        return value


def shown_unit(unit: Any) -> str:
    """The unit's symbols, or names where those say little: ``km/h``, ``m²``, ``year``."""
    items: list[tuple[str, Any]] = list(registry().Quantity(1, unit).unit_items())
    powers = {_symbol(name): int(power) for name, power in items}
    above = [_power_of(name, power) for name, power in powers.items() if power > 0]
    below = [_power_of(name, -power) for name, power in powers.items() if power < 0]
    divided = "".join(f"/{part}" for part in below)
    return ("·".join(above) or "1") + divided if powers else t("a plain number")


def _symbol(name: str) -> str:
    return name.removeprefix("metric_") if name in _LONG else registry().get_symbol(name)


def _power_of(name: str, power: int) -> str:
    return name if power == 1 else name + str(power).translate(_RAISED)


def _by_pint(name: str) -> Any:
    """A unit by its whole name, perhaps with a prefix that is written out."""
    if len(name) < _SHORTEST or not name.replace("_", "").isalpha():
        return None
    for prefix, unit, _ in registry().parse_unit_name(name):
        if name.startswith(prefix) and name not in ("hand", "hands"):
            return registry().Unit(prefix + unit)
    return None


def _raised(unit: Any, power: int) -> Any:
    if abs(power) > _HIGHEST:
        raise UsageError(t("The power of a unit can be at most {limit}.", limit=_HIGHEST))
    return unit**power


def _check(value: Any) -> None:
    if any(abs(power) > _HIGHEST for _, power in value.unit_items()):
        raise UsageError(t("The power of a unit can be at most {limit}.", limit=_HIGHEST))


def _merged(value: Any) -> Any:
    """The units with each kind of them once, in the first that there is: km·h/min is km."""
    kept: dict[Any, str] = {}
    whole = registry().Unit("")
    for name, power in value.unit_items():
        unit = registry().Unit(name)
        whole = whole * registry().Unit(kept.setdefault(unit.dimensionality, name)) ** power
    return whole


def _speed(value: Any) -> str:
    names = [name for name, _ in value.unit_items()]
    if "hour" in names or "second" in names:
        return str(value.units)
    return next((_SPEEDS[name] for name in names if name in _SPEEDS), "meter/second")


def _derived(value: Any) -> Any:
    """Newtons for kg·m/s², and so on; kilowatt-hours for a power over hours."""
    names = [name for name, _ in value.unit_items()]
    if value.check("[energy]") and any(name.endswith("watt") for name in names):
        return value.to("kilowatt_hour")
    found = next((unit for unit in _DERIVED if value.is_compatible_with(unit)), None)
    return value.to(found) if found else value


@contextmanager
def _told() -> Iterator[None]:
    """pint's errors as sentences."""
    from pint.errors import (
        DimensionalityError,
        LogarithmicUnitCalculusError,
        OffsetUnitCalculusError,
    )

    try:
        yield
    except (OffsetUnitCalculusError, LogarithmicUnitCalculusError):
        raise UsageError(
            t("Temperatures in °C or °F can only be converted or subtracted. Use K for the rest.")
        ) from None
    except DimensionalityError as error:
        raise UsageError(
            t(
                "«{first}» and «{second}» do not fit together: the one cannot be turned into the "
                "other.",
                first=_of(error.units1),
                second=_of(error.units2),
            )
        ) from None


def _of(units: Any) -> str:
    return shown_unit("" if isinstance(units, str) else registry().Unit(units))
