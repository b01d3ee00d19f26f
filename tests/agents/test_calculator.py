"""The calculator: exact, in sensible units, and proof against what a model may write."""

import time
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.toolbox.calculator import calculate, calculator_tool
from agents.toolbox.effects import effect_of, is_tainted
from agents.toolbox.reckoning.expressions import LONGEST, read
from agents.toolbox.reckoning.results import reckon
from indexes.errors import UsageError

SECONDS = 2.0


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("2 + 3 * 4", "14"),
        ("(2 + 3) * 4", "20"),
        ("-2^2", "-4"),
        ("2^-1", "0.5"),
        ("2 ** 3 ** 2", "512"),
        ("7 / 2", "3.5"),
        ("7 // 2", "3"),
        ("-7 % 3", "2"),
        ("0.1 + 0.2", "0.3"),
        ("1,234,567.5 + 1", "1234568.5"),
        ("1_000 * 3", "3000"),
        ("15% of 80", "12"),
        ("200 + 10%", "220"),
        ("200 - 10%", "180"),
        ("5% + 3%", "0.08"),
        ("50%", "0.5"),
        ("1 - 20%", "0.8"),
        ("２×３÷４", "1.5"),
        ("３．５＋１", "4.5"),
        ("（１＋２）×３", "9"),
        ("80的15%", "12"),
        ("3 加 4 乘以 2", "11"),
        ("2万 + 3亿", "300020000"),
        ("3 million * 2", "6000000"),
        ("2 dozen", "24"),
        ("100!", str(__import__("math").factorial(100))),
        ("2^200", str(2**200)),
        ("123456789012345678901234567890 * 98765432109876543210",
         str(123456789012345678901234567890 * 98765432109876543210)),
        ("sqrt(16)", "4"),
        ("√16", "4"),
        ("16^0.5", "4"),
        ("(-8)^(1/3)", "-2"),
        ("math.sqrt(2.25)", "1.5"),
        ("round(2.5)", "3"),
        ("round(3.14159, 2)", "3.14"),
        ("max(1,234)", "234"),
        ("sum([1, 2, 3.5])", "6.5"),
        ("mean(1, 2, 3, 4)", "2.5"),
        ("2 to the power of 10", "1024"),
        ("5 squared plus 1", "26"),
        ("the square root of 1764", "42"),
        ("average of 12, 15, 21 and 40", "22"),
        ("the sum of 1, 2, and 3", "6"),
        ("median(3, 1, 2)", "2"),
        ("comb(5, 2)", "10"),
        ("gcd(12, 18)", "6"),
        ("lcm(4, 6)", "12"),
        ("total = 3 * 4", "12"),
        ("3 * 4 =", "12"),
        ("3 * 4 = ?", "12"),
        ("2 (3 + 4)", "14"),
        ("1½ + ¼", "1.75"),
        ("-0", "0"),
        ("1e3", "1000"),
    ],
)  # fmt: skip
def test_numbers(expression: str, result: str) -> None:
    assert calculate(expression).split(" = ")[0] == result


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("1/3", "0.333333333333"),
        ("sqrt(2)", "1.41421356237"),
        ("2 pi", "6.28318530718"),
        ("sin(30°)", "0.5"),
        ("log(8, 2)", "3"),
        ("ln(e)", "1"),
        ("log10(1000)", "3"),
        ("exp(1)", "2.71828182846"),
        ("1e30 / 7", "1.42857142857e+29"),
        ("2^4000", "1.31820409343e+1204"),
        ("1e-20 / 3", "3.33333333333e-21"),
    ],
)
def test_numbers_that_are_rounded_say_so(expression: str, result: str) -> None:
    assert calculate(expression).startswith(f"{result} ≈ ")


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("3 km / 20 min", "9 km/h"),
        ("100 km / (40 km/h)", "2.5 h"),
        ("10 mi / 2 h", "5 mi/h"),
        ("60 km per hour * 90 min", "90 km"),
        ("1/2 km", "0.5 km"),
        ("5 ft in cm", "152.4 cm"),
        ("5 in in cm", "12.7 cm"),
        ("5 in to cm", "12.7 cm"),
        ("180 lb to kg", "81.6466266 kg"),
        ("20 °C to °F", "68 °F"),
        ("68℉ to ℃", "20 °C"),
        ("30 °C - 20 °C", "10 Δ°C"),
        ("2 kW * 3 h", "6 kWh"),
        ("5 kg * 9.8 m/s^2", "49 N"),
        ("5 m² * 2 m", "10 m³"),
        ("3 m2", "3 m²"),
        ("sqrt(16 m^2)", "4 m"),
        ("10 GB / (100 Mbps)", "800 s"),
        ("5000 m / 1 km", "5"),
        ("1 week / 2 days", "3.5"),
        ("100 km / 5 L", "20 km/l"),
        ("10 W / 2 V", "5 A"),
        ("$5/kg * 3 lb", "6.80388555 USD"),
        ("3.5% of 2万元", "700 CNY"),
        ("1 h 30 min", "1.5 h"),
        ("1小时30分钟", "1.5 h"),
        ("100千米/2小时", "50 km/h"),
        ("3万公里", "30000 km"),
        ("3斤 换算成 公斤", "1.5 kg"),
        ("5公里等于多少米", "5000 m"),
        ("6亩 to 平方米", "4000 m²"),
        ("12元/公斤 * 3公斤", "36 CNY"),
        ("$5 * 3", "15 USD"),
        ("5 € + 3 €", "8 EUR"),
        ("4 dollars + 50 cents", "4.5 USD"),
        ("max(1 km, 900 m)", "1 km"),
        ("mean(1 m, 3 m)", "2 m"),
        ("round(2.6 km)", "3 km"),
        ("1 year to days", "365.25 day"),
        ("(3 + 4) km", "7 km"),
        ("12 / 4 h", "3 1/h"),
    ],
)  # fmt: skip
def test_units(expression: str, result: str) -> None:
    assert calculate(expression).split(" = ")[0] == result


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("9.11 > 9.9", "false"),
        ("1 km >= 1000 m", "true"),
        ("0.1 + 0.2 == 0.3", "true"),
        ("2 + 2 = 5", "false"),
        ("1 mile != 1 km", "true"),
    ],
)
def test_comparisons(expression: str, verdict: str) -> None:
    assert calculate(expression).startswith(f"{verdict}: ")


def test_the_observation_says_what_was_computed() -> None:
    assert calculate("  3 *   4 ") == "12 = 3 * 4"
    assert calculate("+".join(["1"] * 200)).startswith("200 = 1+1+")
    assert len(calculate("+".join(["1"] * 200))) < 140


def test_the_tool_changes_nothing_and_brings_nothing_from_outside() -> None:
    tool = calculator_tool()
    assert (tool.name, effect_of(tool), is_tainted(tool)) == ("calculate", "read", False)
    assert tool.invoke({"expression": "6 * 7"}) == "42 = 6 * 7"


# -- attackers -----------------------------------------------------------------------------------

ATTACKS = {
    "power tower": "9**9**9**9",
    "caret tower": "9^9^9^9^9",
    "large power": "10 ** 100000000",
    "small base, large power": "1.0000001 ** 999999999",
    "negative power": "(1/3) ** -99999",
    "fractional power": "2 ** 99999.5",
    "tower of fractions": "0.5 ** 9 ** 9",
    "large exponent": "1e999999999",
    "product of large numbers": "*".join(["1e999"] * 150),
    "quotient of large numbers": "/".join(["1e999"] * 150),
    "large factorial": "99999!",
    "factorial of a factorial": "9!!!",
    "factorials": "3" + "!" * 500,
    "large combination": "comb(1e9, 5e8)",
    "large exponential": "exp(1e9)",
    "many exponentials": "exp(exp(exp(exp(9))))",
    "long number": "9" * 1_001,
    "long text": "1+" * 1_000_000 + "1",
    "nested brackets": "(" * 400 + "1" + ")" * 400,
    "very nested brackets": "(" * 100_000,
    "nested calls": "sqrt(" * 150 + "2" + ")" * 150,
    "nested lists": "[" * 450 + "]" * 450,
    "signs": "-" * 900 + "1",
    "roots": "√" * 900 + "2",
    "power chain": "2" + "**1" * 300,
    "zero": "1 / 0",
    "zero from zero": "5 / (2 - 2)",
    "zero remainder": "5 % 0",
    "zero floor": "5 // 0",
    "zero power": "0 ** -1",
    "zero with units": "3 km / (0 h)",
    "root of less than nothing": "sqrt(-1)",
    "logarithm of zero": "ln(0)",
    "logarithm to base one": "log(5, 1)",
    "arc": "asin(2)",
    "not a number": "nan + inf",
    "attribute": "(1).__class__.__bases__[0].__subclasses__()",
    "import": "__import__('os').system('id')",
    "call": "open('/etc/passwd').read()",
    "eval": "eval('1+1')",
    "lambda": "(lambda: 1)()",
    "comprehension": "[x for x in range(10**9)]",
    "assignment": "a := 5",
    "statement": "1; import os",
    "text": "'a' * 10**9",
    "format": "f'{1}'",
    "backslash": "\\x41",
    "power of a unit": "3 m ** 99999",
    "power of a quantity": "(3 m) ** 99999",
    "units multiplied": "*".join(["m"] * 490),
    "units side by side": "1 " + "m " * 490,
    "prefixes": "1 " + "kilo" * 200 + "meter",
    "large prefixes": "*".join(["1 yottameter^12"] * 60),
    "unknown unit": "3 apples",
    "a pint expression as a unit": "3 (m**2)**(9**9)",
    "pint constants": "3 a + 5 c",
    "different units": "3 km + 2 kg",
    "unit and number": "3 km + 2",
    "unit and number compared": "max(3, 4 km)",
    "two currencies": "3 USD + 2 EUR",
    "temperatures": "20 °C + 5 °C",
    "unit as power": "2 ** (3 m)",
    "sine of a mass": "sin(3 kg)",
    "conversion to nonsense": "3 km to 5",
    "conversion across": "3 km to kg",
    "nothing": "   ",
    "only a sign": "+",
    "two numbers": "3 4",
    "two points": "1.2.3",
    "open bracket": "(1 + 2",
    "closed bracket": "1 + 2)",
    "no arguments": "max()",
    "too many arguments": "sqrt(1, 2, 3)",
    "half a factorial": "0.5!",
    "null": "\x00",
    "half a character": "\ud800",
    "tags": "1 + \U000e0041",
    "long word": "a" * 900,
    "long Chinese word": "零" * 900,
    "digits of other scripts": "٣" * 999 + "²" * 3,
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_is_refused_in_one_sentence_and_soon(attack: str) -> None:
    calculate("1 km")  # the units are there
    started = time.process_time()
    with pytest.raises(UsageError) as refused:
        calculate(attack)
    assert time.process_time() - started < SECONDS
    assert len(str(refused.value)) < 300
    assert str(refused.value).endswith(".")


EDGES = (
    "*".join(["9^1000"] * 4), "1000!", "comb(1000, 500)", "1e1000", "1e-1000",
    "+".join(["1/7", "1/11", "1/13"] * 60), "2^0.123456789", "exp(5000)", "root(2^9000, 64)",
    "1 ** 1e900", "(-1) ** 1e900", "(-1) ** (1e900 + 1)",
)  # fmt: skip


def test_numbers_at_the_edge_of_what_is_allowed_come_soon() -> None:
    started = time.process_time()
    for expression in EDGES:
        assert len(calculate(expression)) < 600
    assert time.process_time() - started < SECONDS


# -- properties ----------------------------------------------------------------------------------

whole = st.integers(0, 10**30).map(lambda n: (str(n), Fraction(n)))
point = st.decimals(0, 10**9, places=4, allow_nan=False).map(lambda d: (f"{d:f}", Fraction(d)))


def joined(parts: tuple[tuple[str, Fraction], str, tuple[str, Fraction]]) -> tuple[str, Fraction]:
    (left, a), sign, (right, b) = parts
    if sign in "/%" and b == 0:
        sign = "+"
    value = {"+": a + b, "-": a - b, "*": a * b, "/": a / (b or 1), "%": a % (b or 1)}[sign]
    return f"({left} {sign} {right})", value


terms = st.recursive(
    whole | point,
    lambda inner: st.tuples(inner, st.sampled_from("+-*/%"), inner).map(joined),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(terms)
def test_it_computes_as_fractions_do(term: tuple[str, Fraction]) -> None:
    text, value = term
    result = reckon(read(text[:LONGEST]))
    assert result.exact
    assert result.value == value


@settings(max_examples=200, deadline=None)
@given(st.lists(st.decimals(-(10**12), 10**12, places=6), min_size=1, max_size=20))
def test_it_adds_and_prints_decimals_exactly(numbers: list[Decimal]) -> None:
    written = calculate("+".join(f"({number:f})" for number in numbers)).split(" = ")[0]
    assert Fraction(written) == sum(map(Fraction, numbers))


@settings(max_examples=300, deadline=None)
@given(st.fractions(max_denominator=10**40))
def test_what_is_printed_is_the_number_to_twelve_digits(number: Fraction) -> None:
    written = calculate(f"{number.numerator}/{number.denominator}").split(" ")
    printed = Fraction(written[0])
    if written[1] == "=":
        assert printed == number
    else:
        assert abs(printed - number) <= abs(number) * Fraction(1, 10**11)


@settings(max_examples=300, deadline=None)
@given(st.integers(-50, 50), st.integers(-40, 40))
def test_powers(base: int, power: int) -> None:
    if base or power >= 0:
        assert reckon(read(f"({base}) ** ({power})")).value == Fraction(base) ** power


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**200), st.integers(2, 9))
def test_a_root_is_exact_where_there_is_one(number: int, root: int) -> None:
    result = reckon(read(f"root({number}^{root}, {root})"))
    assert result.exact
    assert result.value == number


PIECES = (
    "1 2.5 1e9 999999 + - * / ** ^ % ! ( ) [ , km m °C h 千米 万 元 sqrt max min log round pi e to "
    "in of $ = < √ . _ x ' ² ½ kelvin acre bit ~"
)
pieces = st.sampled_from([*PIECES.split(), " "])


@settings(max_examples=1500, deadline=None)
@given(st.lists(pieces, max_size=40).map("".join) | st.text(max_size=60))
def test_whatever_is_written_is_answered_or_refused(text: str) -> None:
    started = time.process_time()
    with suppress(UsageError):
        assert len(calculate(text)) < 1_200
    assert time.process_time() - started < SECONDS
