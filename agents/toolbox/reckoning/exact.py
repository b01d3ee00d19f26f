"""Exact numbers that do not grow without bound, and the functions over them."""

import math
from collections.abc import Callable, Sequence
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from fractions import Fraction
from functools import cmp_to_key
from typing import Any, Final

from agents.toolbox.reckoning.measures import converted, is_quantity, with_units
from indexes.errors import UsageError
from indexes.i18n import t

Value = Any
"""A `Fraction`, or one with units: a pint quantity."""

BITS: Final = 16_000
"""Of numerator or denominator of any number on the way, about 4,800 digits."""
_FACTORIAL: Final = 1_000
DECIMAL: Final = Context(
    prec=40, Emax=5_000, Emin=-5_000, traps=[InvalidOperation, DivisionByZero, Overflow]
)


def checked(value: Value) -> Value:
    """``value`` itself. Raises `UsageError` where it has grown too large."""
    number = value.magnitude if is_quantity(value) else value
    if max(number.numerator.bit_length(), number.denominator.bit_length()) > BITS:
        raise too_large()
    return value


def added(sign: str, left: Value, right: Value) -> Value:
    """The sum, or for ``-`` the difference."""
    return checked(with_units(lambda: left + right if sign == "+" else left - right))


def order(left: Value, right: Value) -> int:
    """Below 0 where ``left`` is less than ``right``, above 0 where it is more."""
    difference = added("-", left, right)
    number: Fraction = difference.magnitude if is_quantity(difference) else difference
    return (number > 0) - (number < 0)


def times(left: Value, right: Value) -> Value:
    """The product."""
    return checked(with_units(lambda: left * right))


def plain(value: Value) -> Value:
    """The number of a quantity whose units fall away."""
    return converted(value, "").magnitude if is_quantity(value) else value


def number_of(value: Value) -> Fraction:
    """``value``, which must have no unit. Raises `UsageError`."""
    if is_quantity(value):
        raise UsageError(t("A number without a unit is expected there."))
    number: Fraction = value
    return number


def whole_of(value: Value, most: int, *, least: int = 0) -> int:
    """``value`` as a whole number within its bounds. Raises `UsageError`."""
    number = number_of(value)
    if number.denominator != 1 or not least <= number <= most:
        raise UsageError(
            t("A whole number from {least} to {most} is expected there.", least=least, most=most)
        )
    return int(number)


def whole_root(number: int, root: int) -> int:
    """The largest whole number whose power is not above ``number``."""
    if number < 2 or root == 1:
        return number
    if root == 2:
        return math.isqrt(number)
    high = 1 << -(-number.bit_length() // root)
    while True:
        lower = ((root - 1) * high + number // high ** (root - 1)) // root
        if lower >= high:
            return high
        high = lower


def decimal_of(number: Fraction) -> Decimal:
    """The number to 40 digits."""
    return DECIMAL.divide(
        DECIMAL.create_decimal(number.numerator), DECIMAL.create_decimal(number.denominator)
    )


# -- functions -----------------------------------------------------------------------------------


def _added_up(values: Sequence[Value]) -> Value:
    total = values[0]
    for value in values[1:]:
        total = added("+", total, value)
    return total


def _mean(values: Sequence[Value]) -> Value:
    return times(_added_up(values), Fraction(1, len(values)))


def _median(values: Sequence[Value]) -> Value:
    ordered = sorted(values, key=cmp_to_key(order))
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else _mean(ordered[middle - 1 : middle + 1])


OF_MANY: Final[dict[str, Callable[[Sequence[Value]], Value]]] = {
    "sum": _added_up, "mean": _mean, "avg": _mean, "average": _mean, "median": _median,
    "min": lambda values: min(values, key=cmp_to_key(order)),
    "max": lambda values: max(values, key=cmp_to_key(order)),
}  # fmt: skip
ROUNDING: Final[dict[str, Callable[[Fraction], Fraction | int]]] = {
    "abs": abs, "floor": math.floor, "ceil": math.ceil, "trunc": math.trunc, "round": round,
}  # fmt: skip
REAL: Final[dict[str, Callable[[float], float]]] = {
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "asin": math.asin, "acos": math.acos,
    "atan": math.atan, "degrees": math.degrees, "radians": math.radians,
}  # fmt: skip


def to_whole(name: str, values: Sequence[Value]) -> Value:
    """A value rounded by the function of that name; its unit stays."""
    value = values[0]
    number = value.magnitude if is_quantity(value) else value
    if len(values) == 2 and name == "round":
        scale = Fraction(10) ** whole_of(values[1], 100, least=-100)
        result = Fraction(_half_up(number * scale)) / scale
    elif len(values) != 1:
        raise wrong_count(name)
    else:
        result = Fraction(_half_up(number) if name == "round" else ROUNDING[name](number))
    return value.__class__(result, value.units) if is_quantity(value) else result


def _half_up(number: Fraction) -> int:
    """As at school: 2.5 is rounded to 3, and -2.5 to -3."""
    whole = math.floor(abs(number) + Fraction(1, 2))
    return whole if number >= 0 else -whole


def angle(name: str, value: Value) -> Value:
    """The number that a function is given; of an angle, its radians."""
    if is_quantity(value) and name in ("sin", "cos", "tan"):
        return converted(value, "radian").magnitude
    return plain(value)


def _combining(name: str, values: Sequence[Value]) -> Fraction:
    if len(values) != (1 if name == "factorial" else 2):
        raise wrong_count(name)
    numbers = [whole_of(value, _FACTORIAL) for value in values]
    return Fraction(getattr(math, name)(*numbers))


def _common(name: str, values: Sequence[Value]) -> Fraction:
    numbers = [whole_of(value, 10**1000, least=-(10**1000)) for value in values]
    result = 1
    if name == "gcd":
        return Fraction(math.gcd(*numbers))
    for number in numbers:
        result = math.lcm(result, number)
        checked(Fraction(result))
    return Fraction(result)


WHOLE: Final[dict[str, Callable[[str, Sequence[Value]], Fraction]]] = {
    "factorial": _combining, "comb": _combining, "perm": _combining, "gcd": _common, "lcm": _common,
}  # fmt: skip


# -- errors --------------------------------------------------------------------------------------


def too_large() -> UsageError:
    """That a number would have too many digits."""
    return UsageError(t("The result would be too large: it has thousands of digits."))


def no_real() -> UsageError:
    """That a function has no value there."""
    return UsageError(t("There is no real number that is the result."))


def wrong_count(name: str) -> UsageError:
    """That a function takes another number of arguments."""
    return UsageError(t("The function {name} was given too few or too many numbers.", name=name))
