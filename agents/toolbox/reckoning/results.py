"""What a calculation comes to: exact fractions, and no number that grows without bound."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, DecimalException, Overflow
from fractions import Fraction
from typing import Any, Final, cast

from agents.toolbox.reckoning.exact import (
    BITS,
    DECIMAL,
    OF_MANY,
    REAL,
    ROUNDING,
    WHOLE,
    Value,
    added,
    angle,
    checked,
    decimal_of,
    no_real,
    number_of,
    order,
    plain,
    times,
    to_whole,
    too_large,
    whole_of,
    whole_root,
    wrong_count,
)  # fmt: skip
from agents.toolbox.reckoning.expressions import (
    Call,
    Chain,
    Line,
    Measure,
    Name,
    Node,
    Number,
    Unary,
)
from agents.toolbox.reckoning.measures import (
    converted,
    is_quantity,
    quantity,
    rooted,
    sensible,
    unit_of,
    with_units,
)
from agents.toolbox.reckoning.words import CONSTANTS
from indexes.errors import UsageError
from indexes.i18n import t

_ROOT: Final = 64


@dataclass(frozen=True, slots=True)
class Result:
    """What it came to; ``exact`` is false where a root or another function was rounded. ``holds``
    says whether a comparison does."""

    value: Value
    exact: bool
    holds: bool | None = None


def reckon(line: Line) -> Result:
    """The result of a calculation. Raises `UsageError` where there is none."""
    work = _Work()
    value = work.value(line.left)
    if line.right is not None:
        holds = work.compared(line.sign, value, work.value(line.right))
        return Result(value, work.exact, holds)
    if line.unit is not None:
        value = converted(value, _wanted(work.value(line.unit)))
    elif is_quantity(value):
        value = sensible(value)
    return Result(value, work.exact)


def _wanted(value: Value) -> Any:
    if not is_quantity(value) or value.magnitude != 1:
        raise UsageError(t("A unit to convert to is expected, such as «to km»."))
    return value.units


class _Work:
    def __init__(self) -> None:
        self.exact = True

    def value(self, node: Node) -> Value:
        match node:
            case Number(value):
                return value
            case Name(text):
                return self._named(text)
            case Unary("-", operand):
                return checked(with_units(lambda: -self.value(operand)))
            case Unary(_, operand):
                return self._root(self.value(operand), 2)
            case Measure(inner, units):
                return self._measured(self.value(inner), units)
            case Call(name, arguments):
                return self._called(name, [self.value(one) for one in arguments])
        return self._chained(node)

    def compared(self, sign: str, left: Value, right: Value) -> bool:
        """Whether ``left`` and ``right`` compare as ``sign`` says."""
        found = order(left, right)
        return {
            "<": found < 0, "<=": found <= 0, ">": found > 0, ">=": found >= 0,
            "=": found == 0, "==": found == 0, "!=": found != 0,
        }[sign]  # fmt: skip

    def _named(self, name: str) -> Value:
        if name.lower() in CONSTANTS:
            self.exact = False
            return Fraction(CONSTANTS[name.lower()])
        return quantity(Fraction(1), ((name, 1),))

    def _measured(self, value: Value, units: tuple[tuple[str, int], ...]) -> Value:
        """A value with units; 2 pi and 2 e are products, though."""
        first = units[0][0]
        if first.lower() in CONSTANTS and unit_of(first) is None:
            value = times(value, self._named(first))
            units = units[1:]
        if not units:
            return value
        if is_quantity(value):
            return times(value, quantity(Fraction(1), units))
        return checked(quantity(value, units))

    def _chained(self, chain: Chain) -> Value:
        value, percent = self.value(chain.first), _is_percent(chain.first)
        for sign, operand in chain.rest:
            if operand is None:
                value = self._after(sign, value)
            elif sign in "+-" and _is_percent(operand) and not percent:
                # As on a pocket calculator: 200 + 10% is 220.
                part = times(value, self.value(operand))
                value = added(sign, value, part)
            else:
                value = self._step(sign, value, self.value(operand))
            percent = percent and operand is not None and _is_percent(operand)
        return value

    def _after(self, sign: str, value: Value) -> Value:
        if sign == "!":
            return self._called("factorial", [value])
        return times(value, Fraction(1, 100 if sign == "%" else 1000))

    def _step(self, sign: str, left: Value, right: Value) -> Value:
        if sign in "+-":
            return added(sign, left, right)
        if sign == "*":
            return times(left, right)
        if sign == "^":
            return self._power(left, right)
        if (right.magnitude if is_quantity(right) else right) == 0:
            raise UsageError(t("Division by zero has no result."))
        if sign == "/":
            return checked(with_units(lambda: left / right))
        whole = number_of(plain(with_units(lambda: left / right)))
        floor = Fraction(math.floor(whole))
        return floor if sign == "//" else added("-", left, times(right, floor))

    def _power(self, base: Value, power: Value) -> Value:
        exponent = number_of(plain(power))
        if is_quantity(base):
            return self._unit_power(base, exponent)
        if exponent.denominator > 1:
            return self._real_power(base, exponent)
        if base == 0 and exponent < 0:
            raise UsageError(t("Division by zero has no result."))
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(base) != 1 and (bits - 1) * abs(exponent) > BITS:
            raise too_large()
        if abs(exponent) > BITS:  # of 1, -1 and 0
            exponent = Fraction(2 + exponent % 2)
        return checked(base ** int(exponent))

    def _unit_power(self, base: Any, exponent: Fraction) -> Value:
        if exponent in (Fraction(1, 2), Fraction(1, 3)):
            return self._root(base, exponent.denominator)
        if exponent.denominator > 1 or abs(exponent) > 12:
            raise UsageError(t("The power of a unit can be at most {limit}.", limit=12))
        number = self._power(base.magnitude, exponent)
        return with_units(lambda: number * (1 * base.units) ** int(exponent))

    def _real_power(self, base: Fraction, exponent: Fraction) -> Fraction:
        if base < 0 and exponent.denominator % 2 == 0:
            raise no_real()
        if exponent.denominator <= 4:
            root = self._root(base, exponent.denominator)
            return number_of(self._power(root, Fraction(exponent.numerator)))
        if base <= 0:
            raise no_real()
        return self._rounded(lambda: DECIMAL.power(decimal_of(base), decimal_of(exponent)))

    def _root(self, value: Value, root: int) -> Value:
        if is_quantity(value):
            return with_units(
                lambda: rooted(value, root, lambda number: number_of(self._root(number, root)))
            )
        if value < 0:
            if root % 2 == 0:
                raise no_real()
            return -self._root(-value, root)
        above, below = whole_root(value.numerator, root), whole_root(value.denominator, root)
        if above**root == value.numerator and below**root == value.denominator:
            return Fraction(above, below)
        inverse = DECIMAL.divide(Decimal(1), Decimal(root))
        return self._rounded(lambda: DECIMAL.power(decimal_of(value), inverse))

    def _rounded(self, do: Callable[[], Decimal | float]) -> Fraction:
        """The value of a function that has no exact one."""
        self.exact = False
        try:
            return cast("Fraction", checked(Fraction(do())))
        except (Overflow, OverflowError):
            raise too_large() from None
        except (DecimalException, ValueError):
            raise no_real() from None

    def _called(self, name: str, values: Sequence[Value]) -> Value:
        if not values:
            raise wrong_count(name)
        if name in OF_MANY:
            return OF_MANY[name](values)
        if name in ("pow", "mod") and len(values) == 2:
            return self._step({"pow": "^", "mod": "%"}[name], values[0], values[1])
        if name in ("sqrt", "cbrt") and len(values) == 1:
            return self._root(values[0], 2 if name == "sqrt" else 3)
        if name == "root" and len(values) == 2:
            return self._root(values[0], whole_of(values[1], _ROOT, least=1))
        if name in ROUNDING:
            return to_whole(name, values)
        if name in WHOLE:
            return checked(WHOLE[name](name, values))
        return self._real(name, [number_of(angle(name, value)) for value in values])

    def _real(self, name: str, numbers: Sequence[Fraction]) -> Fraction:
        first = numbers[0]
        if name in ("log", "ln", "log2", "log10"):
            return self._logarithm(name, numbers)
        if len(numbers) != 1:
            raise wrong_count(name)
        if name == "exp":
            return self._rounded(lambda: DECIMAL.exp(decimal_of(first)))
        return self._rounded(lambda: REAL[name](float(first)))

    def _logarithm(self, name: str, numbers: Sequence[Fraction]) -> Fraction:
        """log is the natural one, as in Python, unless a base is given."""
        base = {"log2": Fraction(2), "log10": Fraction(10)}.get(name)
        if name == "log" and len(numbers) == 2:
            base = numbers[1]
        elif len(numbers) != 1:
            raise wrong_count(name)
        if numbers[0] <= 0 or (base is not None and (base <= 0 or base == 1)):
            raise no_real()
        above = self._rounded(lambda: DECIMAL.ln(decimal_of(numbers[0])))
        if base is None:
            return above
        result = above / self._rounded(lambda: DECIMAL.ln(decimal_of(base)))
        whole = Fraction(round(result))
        return whole if abs(result - whole) < Fraction(1, 10**30) else checked(result)


def _is_percent(node: Node) -> bool:
    return isinstance(node, Chain) and node.rest[-1] in (("%", None), ("‰", None))
