"""Equations that are not true are found, with what is; what is not certain is let pass."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.toolbox.equations import corrections


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("So 180 - 12 = 68 rabbits.", "180 - 12 = 168, not 68"),
        (r"\[ 180 - 12 = 68 \]", "180 - 12 = 168, not 68"),
        ("- 6 * 7 = 41", "6 * 7 = 42, not 41"),
        ("Total: $1,200 + $300 = $1,400.", "1200 + 300 = 1500, not 1400"),
        (r"\(3 \times (4 + 5) = 28\)", "3 * (4 + 5) = 27, not 28"),
        (r"\frac{18}{3} + 1 = 8", "(18)/(3) + 1 = 7, not 8"),
        (r"10 \text{ pairs} \times 2 \text{ socks per pair} = 30 \text{ socks}",
         "10 * 2 = 20, not 30"),
        (r"3 \text{ eggs} + 6 \text{ eggs} = 8 \text{ eggs}", "3 + 6 = 9, not 8"),
        ("20% * 50 = 20", "20% * 50 = 10, not 20"),
        ("2 × 3 = 5 and 10 ÷ 4 = 2", "2 * 3 = 6, not 5"),
        ("10 / 3 = 3.34", "10 / 3 ≈ 3.33333333333, not 3.34"),
        ("所以 6 × 7 = 43 个", "6 * 7 = 42, not 43"),
        ("5 + 5 = 10 = 3 * 3 = 8", "3 * 3 = 9, not 8"),
        (r"Thus \boxed{6 - 2 = 5}", "6 - 2 = 4, not 5"),
    ],
)  # fmt: skip
def test_what_is_not_true(text: str, found: str) -> None:
    assert corrections(text)[0] == found


@pytest.mark.parametrize(
    "text",
    [
        "", "=", "1 = 2", "x = 3 + 4", "6 * 7 = 42", "- 6 * 7 = 42", "10 / 3 = 3.33",
        "2 * 3.5 = 7.0", "5 apples - 3 * 2 = 4", "12 eggs + 3 = 9", "3 + 4 = 5 * 2",
        "2 + 2 = 5x", "f(2) * 3 = 7", "2^3 * 2 = 17", "1 / 0 = 7", "7 - 2 = 5.0.1",
        r"2 \text{ dozen} \times 3 = 72 \text{ eggs}",
        r"1 \text{ hour} + 30 \text{ minutes} = 90 \text{ minutes}",
        r"30 \text{ minutes} \times 2 = 1 \text{ hour}",
        r"20 \text{ percent} \times 50 = 10",
        "10 - 4 = 6 - 1", "100 - 20% = 80", "((((3 + 4 = 8", "9" * 5000 + " * 2 = 3",
    ],
)  # fmt: skip
def test_what_is_true_or_cannot_be_told(text: str) -> None:
    assert corrections(text) == []


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.sampled_from("+-*/"), st.integers(-3, 3))
def test_just_those_that_are_not_true(left: int, right: int, sign: str, off: int) -> None:
    made: dict[str, Any] = {
        "+": left + right, "-": left - right, "*": left * right, "/": Fraction(left, right),
    }  # fmt: skip
    true = made[sign]
    said = int(true) + off
    found = corrections(f"We get {left} {sign} {right} = {said}.")
    assert bool(found) == (said != true)


@given(st.text(max_size=200))
def test_no_text_is_too_much(text: str) -> None:
    corrections(text)


def test_a_long_text_takes_no_time() -> None:
    for piece in ("1 + ", "(", "- ", "1,", "\\frac{1}{", "1 ", "\\text{a", "1 = "):
        corrections(piece * 20_000)


def test_a_few_are_told_once() -> None:
    assert corrections("1 + 1 = 3. " * 5 + "2 + 2 = 5. 3 + 3 = 7. 4 + 4 = 9.") == [
        "1 + 1 = 2, not 3", "2 + 2 = 4, not 5", "3 + 3 = 6, not 7",
    ]  # fmt: skip
