"""Calculations as people and models write them, read into a tree that is small for certain.

::

    line     = sum [compare sum] [convert unit] | name "=" line
    sum      = product (("+" | "-") product)*
    product  = power (("*" | "/" | "//" | "%") power | power)*    the last: 2 (3 + 4), 3 sqrt(2)
    power    = "-" power | "√" power | postfix ["^" power]
    postfix  = primary ("!" | "%" | "‰" | units)*
    units    = (name ["^" ["-"] whole])+                             3 kg m^2
    primary  = number | name | name "(" sum ("," sum)* ")" | "(" sum ")"

A ``%`` is a remainder where a value follows, else a percentage. Nothing is evaluated by Python.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NoReturn

from agents.toolbox.reckoning.tokens import Token, tokens
from agents.toolbox.reckoning.words import CURRENCIES, MULTIPLIERS, PHRASES
from indexes.errors import UsageError
from indexes.i18n import t

LONGEST: Final = 1_000
_DEEPEST: Final = 24
_DIGITS: Final = 1_000
_EXPONENT: Final = 1_000

_SIGNS: Final = str.maketrans(
    {
        "²": "^2", "³": "^3", "½": ".5", "¼": ".25", "¾": ".75", "×": "*", "✕": "*", "✖": "*",
        "∗": "*", "·": "*", "⋅": "*", "•": "*", "÷": "/", "∕": "/", "−": "-", "–": "-", "—": "-",
        "≤": "<=", "≥": ">=", "≠": "!=", "→": " to ", "℃": "°C", "℉": "°F", "㎡": "m^2",
        "\u200b": "", "\ufeff": "",
    }
)  # fmt: skip
_LIST: Final = re.compile(r"(?<=\()\s*\[([^\[\]]*)\]\s*(?=\))")
_OF_SEVERAL: Final = re.compile(
    r"(?:the )?(sum|mean|average|median|min|max) of ([^()]*(?:,| and )[^()]*)", re.IGNORECASE
)
_NAMED: Final = re.compile(r"^\s*[^\W\d]\w*\s*=(?!=)")
_PHRASE: Final = re.compile(rf"\b(?:{'|'.join(PHRASES)})\b", re.IGNORECASE)
_BRACKETS: Final = str.maketrans("[]{}", "()()")
_COMPARED: Final = {"<", ">", "<=", ">=", "=", "==", "!="}


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written."""

    value: Fraction
    text: str


@dataclass(frozen=True, slots=True)
class Name:
    """A unit or a constant."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    name: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """Operations one after the other, from the left; an operation after its operand (``!``, a
    percentage) has ``None``. ``-`` before its operand is 0 with ``neg``."""

    first: "Node"
    rest: tuple[tuple[str, "Node | None"], ...]


@dataclass(frozen=True, slots=True)
class Unary:
    """``-`` or ``√`` before a value."""

    sign: str
    operand: "Node"


@dataclass(frozen=True, slots=True)
class Measure:
    """A value with units, each with its power."""

    value: "Node"
    units: tuple[tuple[str, int], ...]


Node = Number | Name | Call | Chain | Unary | Measure


@dataclass(frozen=True, slots=True)
class Line:
    """All that was written, ``text``: a calculation, what it is compared with, the unit that is
    wanted."""

    text: str
    left: Node
    sign: str = ""
    right: Node | None = None
    unit: Node | None = None


def read(text: str) -> Line:
    """The tree of a calculation. Raises `UsageError` that shows where it cannot be read."""
    if len(text) > LONGEST:
        raise UsageError(
            t("The calculation is longer than {limit} characters. Do it in parts.", limit=LONGEST)
        )
    plain = _simplified(text)
    if not plain:
        raise UsageError(t("The calculation is empty. Write one such as «3 * (4 + 5)»."))
    return _Parser(plain).line()


def _simplified(text: str) -> str:
    """``text`` in ordinary signs, without a name for the result, and without its ``= ?``."""
    plain = unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_SIGNS)
    plain = _NAMED.sub("", re.sub(r"[\s=?。]+$", "", plain.strip().strip("`")), count=1)
    if several := _OF_SEVERAL.fullmatch(plain):
        plain = f"{several[1]}({several[2].replace(', and ', ', ').replace(' and ', ', ')})"
    plain = _PHRASE.sub(lambda match: f" {PHRASES[match[0].lower()]} ", plain)
    return _LIST.sub(r"\1", plain).translate(_BRACKETS)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._all = [*tokens(text)]
        self._next, self._depth = 0, 0

    def line(self) -> Line:
        left, sign, right, unit = self._sum(), "", None, None
        if (token := self._peek()).text in _COMPARED:
            self._next += 1
            sign, right = token.text, self._sum()
        if self._peek().kind == "convert":
            self._next += 1
            unit = self._product()
        if self._peek().kind != "end":
            self._fail(t("an operator such as + is expected"))
        return Line(self._text, left, sign, right, unit)

    def _sum(self) -> Node:
        first, rest = self._product(), list[tuple[str, Node | None]]()
        while (sign := self._peek().text) in ("+", "-"):
            self._next += 1
            rest.append((sign, self._product()))
        return Chain(first, tuple(rest)) if rest else first

    def _product(self) -> Node:
        first, rest = self._power(), list[tuple[str, Node | None]]()
        while True:
            sign = self._peek().text
            if sign in ("*", "/", "//", "%"):
                self._next += 1
            elif self._begins() and self._peek().kind != "number":
                sign = "*"
            else:
                return Chain(first, tuple(rest)) if rest else first
            rest.append((sign, self._power()))

    def _power(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UsageError(t("The calculation is nested too deeply. Do it in parts."))
        if (sign := self._peek().text) in ("-", "+", "√"):
            self._next += 1
            operand = self._power()
            node = operand if sign == "+" else Unary(sign, operand)
        else:
            node = self._postfix()
            if self._peek().text in ("^", "**"):
                self._next += 1
                node = Chain(node, (("^", self._power()),))
        self._depth -= 1
        return node

    def _postfix(self) -> Node:
        node, signs = self._primary(), list[tuple[str, Node | None]]()
        while True:
            sign = self._peek().text
            if sign in ("!", "‰") or (sign == "%" and not self._begins(1)):
                self._next += 1
                signs.append((sign, None))
            else:
                break
        if signs:
            node = Chain(node, tuple(signs))
        if not isinstance(node, Name) and self._peek().kind == "name":
            return self._measured(node)
        return node

    def _measured(self, value: Node) -> Node:
        """A value with its units, and what is written behind it: 1 h 30 min."""
        parts: list[tuple[str, Node | None]] = []
        first = node = Measure(value, tuple(self._units()))
        while self._peek().kind == "number" and self._peek(1).kind == "name":
            token = self._take()
            node = Measure(self._number(token), tuple(self._units()))
            parts.append(("+", node))
        return Chain(first, tuple(parts)) if parts else first

    def _units(self) -> Iterator[tuple[str, int]]:
        while self._peek().kind == "name":
            name, power = self._take().text, 1
            if self._peek().text in ("^", "**"):
                self._next += 1
                sign = -1 if self._peek().text == "-" else 1
                self._next += sign < 0
                power = sign * self._whole()
            yield name, power

    def _whole(self) -> int:
        token = self._peek()
        if token.kind != "number" or not token.text.isdecimal() or len(token.text) > 3:
            self._fail(t("the power of a unit must be a small whole number"))
        self._next += 1
        return int(token.text)

    def _primary(self) -> Node:
        token = self._take()
        if token.kind == "number":
            return self._literal(token)
        if token.kind == "currency":
            if self._peek().kind != "number":
                self._fail(t("a number is expected"))
            return Measure(self._literal(self._take()), ((CURRENCIES[token.text], 1),))
        if token.text == "(":
            node = self._sum()
            self._close()
            return node
        if token.kind == "function":
            return self._call(token)
        if token.kind == "name":
            return Name(token.text)
        self._next -= 1
        return self._fail(t("a number is expected"))

    def _call(self, token: Token) -> Node:
        name = token.text.lower()
        if self._peek().text != "(":
            return Call(name, (self._power(),))
        self._next += 1
        arguments: list[Node] = []
        while self._peek().text != ")":
            arguments.append(self._sum())
            if self._peek().text not in (",", ";"):
                break
            self._next += 1
        self._close()
        return Call(name, tuple(arguments))

    def _close(self) -> None:
        if self._peek().text != ")":
            self._fail(t("a closing bracket is missing"))
        self._next += 1

    def _literal(self, token: Token) -> Node:
        """A number, with the words that multiply it, or a fraction such as the one of 1/2 km."""
        node: Node = self._number(token)
        divided = self._all[max(0, self._next - 2)].text == "/"
        slash, below, after = self._peek(), self._peek(1), self._peek(2)
        close = slash.text == "/" and not (slash.spaced or below.spaced or divided)
        if close and (token.text + below.text).isdecimal() and after.kind == "name":
            self._next += 2
            return Chain(node, (("/", self._number(below)),))
        while (word := self._peek().text.lower()) in MULTIPLIERS:
            self._next += 1
            factor = Fraction(MULTIPLIERS[word])
            node = Chain(node, (("*", Number(factor, str(factor))),))
        return node

    def _number(self, token: Token) -> Number:
        plain = token.text.replace(",", "").replace("_", "")
        mantissa, _, exponent = plain.lower().partition("e")
        if len(mantissa) > _DIGITS or len(exponent) > 6 or abs(int(exponent or 0)) > _EXPONENT:
            raise UsageError(t("The number «{number}» is too large.", number=token.text[:20] + "…"))
        return Number(Fraction(plain.rstrip(".") if not exponent else plain), plain)

    def _begins(self, ahead: int = 0) -> bool:
        """Whether a value begins here."""
        token = self._peek(ahead)
        return token.kind in ("number", "name", "function", "currency") or token.text in ("(", "√")

    def _peek(self, ahead: int = 0) -> Token:
        return self._all[min(self._next + ahead, len(self._all) - 1)]

    def _take(self) -> Token:
        token = self._peek()
        self._next += 1
        return token

    def _fail(self, reason: str) -> NoReturn:
        rest = self._text[self._peek().at :][:30] or t("the end")
        raise UsageError(
            t("The calculation cannot be read at «{rest}»: {reason}.", rest=rest, reason=reason)
        )
