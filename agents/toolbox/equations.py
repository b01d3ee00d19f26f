r"""Equations in a text that are not true: a model that reasons well may still reckon wrongly.

An equation is arithmetic on figures, «180 - 12 = 68», as people or LaTeX write it. What cannot be
told for certain is let pass: words among the figures, a sum of unlike things, a result that is
rounded.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Final

from agents.toolbox.calculator import told
from agents.toolbox.reckoning.expressions import read
from agents.toolbox.reckoning.results import reckon
from indexes.errors import UsageError

_MOST: Final = 3
_MOST_CHARACTERS: Final = 20_000
_WORDS: Final = "\x00"
"""Stands for what was ``\\text{…}``."""
_PLAIN: Final = (
    (re.compile(r"\\(?:times|cdot)(?![a-z])|[×⋅]"), "*"),
    (re.compile(r"\\div(?![a-z])|÷"), "/"),
    (re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}"), r"(\1)/(\2)"),
    (re.compile(r"\\boxed\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\\(?:left|right)(?![a-z])|\\[,;:! ()\[\]$]|[$¥€£]"), ""),
    (re.compile(r"\\%"), "%"),
    (re.compile("[−–]"), "-"),
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),
    (re.compile(r"[^\S\n]+"), " "),
)
_TEXT: Final = re.compile(r"\\(?:text|mathrm)\{([^{}]*)\}")
_NUMBER: Final = rf"(?:\d+(?:\.\d+)?|\.\d+)%?(?: ?{_WORDS})?"
_OPEN: Final = r"(?:-(?=[\d.(])|\( ?)*"
_LEFT: Final = re.compile(
    rf"(?<![\w.{_WORDS})]){_OPEN}{_NUMBER}(?:(?: ?\))* ?[-+*/] ?{_OPEN}{_NUMBER})+(?: ?\))* ?\Z"
)
_RIGHT: Final = re.compile(rf" ?(-? ?{_NUMBER})(?![\w(]| ?[*/+(^-]|\.\d|{_WORDS})")
_BEFORE: Final = re.compile(r"(?:\A|\n) ?[-*+] ?\Z|(?:\A|[^-+*/^% ]) ?\Z")
"""What an equation may begin behind: a bullet, or anything that does not go on in it."""
_LONGEST: Final = 120
"""Characters of a side."""
_COUNTS: Final = re.compile(r"dozen|hundred|thousand|million|percent|half|[百千万亿]")


def corrections(text: str) -> list[str]:
    """Of the equations that are not true the first few, with what is: ``180 - 12 = 168, not
    68``."""
    found: list[str] = []
    for left, right in _equations(text[:_MOST_CHARACTERS]):
        told = _correction(left, right)
        if told and told not in found:
            found.append(told)
    return found[:_MOST]


def _equations(text: str) -> Iterator[tuple[str, str]]:
    """The two sides of each, without words."""
    words: list[str] = []

    def set_aside(match: re.Match[str]) -> str:
        words.append(" ".join(match[1].split()).lower())
        return _WORDS

    plain = _TEXT.sub(set_aside, text.replace(_WORDS, " "))
    for pattern, instead in _PLAIN:
        plain = pattern.sub(instead, plain)
    parts = plain.split("=")
    before = 0
    for one, other in pairwise(parts):
        from_here = max(0, len(one) - _LONGEST)
        left, right = _LEFT.search(one, from_here), _RIGHT.match(other[:_LONGEST])
        if left and right and _BEFORE.search(one[from_here : left.start()]):
            first = before + one.count(_WORDS, 0, left.start())
            named = words[first : before + one.count(_WORDS)]
            of_result = words[first + len(named)] if _WORDS in right[1] else ""
            if _alike(left[0], named, of_result):
                yield left[0].replace(_WORDS, ""), right[1].replace(_WORDS, "")
        before += one.count(_WORDS)


def _alike(left: str, named: list[str], of_result: str) -> bool:
    """Whether the figures can be reckoned with whatever they count."""
    if any(map(_COUNTS.search, (*named, of_result))):
        return False
    if re.search(r"[+-]", left):
        return len({*named, *filter(None, [of_result])}) < 2
    return not of_result or any(of_result in one or one in of_result for one in named)


def _correction(left: str, right: str) -> str:
    """Nothing where the equation is true but for the rounding of its result, or cannot be read."""
    try:
        value, said = reckon(read(left)).value, reckon(read(right)).value
    except UsageError:
        return ""
    decimals = len(right.strip(" %").partition(".")[2])
    rounded = Fraction(1, 2 * 10**decimals) if decimals else 0
    if abs(value - said) <= rounded:
        return ""
    text, exact = told(value)
    return f"{' '.join(left.split())} {'=' if exact else '≈'} {text}, not {right.strip()}"
