"""A calculator for arithmetic with units, which computes exactly and obeys nobody."""

from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Final

from langchain_core.tools import BaseTool
from pydantic import Field

from agents.toolbox.making import Arguments, tool_of
from agents.toolbox.reckoning.expressions import read
from agents.toolbox.reckoning.measures import is_quantity, shown_unit
from agents.toolbox.reckoning.results import reckon

_SIGNIFICANT: Final = 12
_DECIMALS: Final = 30
_MOST_DIGITS: Final = 400
_ROUGH: Final = Context(prec=_SIGNIFICANT, Emax=10_000, Emin=-10_000)
_READING: Final = 120


class CalculateArguments(Arguments):
    """What is calculated."""

    expression: str = Field(
        description='such as "12 * (3 + 4)", "15% of 80", "5 ft to cm"',
    )


def calculator_tool() -> BaseTool:
    """``calculate``."""
    return tool_of(calculate, CalculateArguments, tainted=False)


def calculate(expression: str) -> str:
    """Calculates exactly: + - * / ^ %, sqrt, round, max, sum, mean, log, sin, with units such as
    km, kg, h, USD."""
    line = read(expression)
    result = reckon(line)
    reading = " ".join(line.text.split())
    shown = reading if len(reading) <= _READING else reading[: _READING - 1] + "…"
    if result.holds is not None:
        return f"{'true' if result.holds else 'false'}: {shown}"
    text, exact = told(result.value, exact=result.exact)
    return f"{text} {'=' if exact else '≈'} {shown}"


def told(value: Any, *, exact: bool = True) -> tuple[str, bool]:
    """A result as it is written, and whether it is written exactly."""
    if not is_quantity(value):
        return _digits(value, exact)
    text, exact = _digits(value.magnitude, exact)
    return f"{text} {shown_unit(value.units)}", exact


def _digits(number: Fraction, exact: bool) -> tuple[str, bool]:
    if exact and (text := _exactly(number)):
        return text, True
    return _roughly(number), False


def _exactly(number: Fraction) -> str | None:
    """All digits of a number; nothing where they do not end, or are too many."""
    decimals = _decimals(number.denominator)
    if decimals is None or decimals > _DECIMALS:
        return None
    scaled = abs(number.numerator) * 10**decimals // number.denominator
    if scaled.bit_length() > _MOST_DIGITS * 3.32:
        return None
    digits = str(scaled).rjust(decimals + 1, "0")
    whole, rest = (digits[:-decimals], digits[-decimals:]) if decimals else (digits, "")
    return ("-" if number < 0 else "") + whole + (f".{rest}" if rest else "")


def _decimals(denominator: int) -> int | None:
    """How many decimals a fraction with that denominator has, if they end."""
    twos = (denominator & -denominator).bit_length() - 1
    rest, fives = denominator >> twos, 0
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return max(twos, fives) if rest == 1 else None


def _roughly(number: Fraction) -> str:
    value = _ROUGH.divide(
        _ROUGH.create_decimal(number.numerator), _ROUGH.create_decimal(number.denominator)
    )
    if value and not Decimal("1e-6") <= abs(value) < Decimal("1e15"):
        return f"{value.normalize(_ROUGH):e}"
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
