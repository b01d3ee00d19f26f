r"""Equations in a text that are not true: a model that reasons well may still reckon wrongly.

An equation is arithmetic on figures, «180 - 12 = 68», that stands by itself, as LaTeX and lists of
steps have it: at the beginning of a line, behind another «=» or behind a word and a colon, up to
the end of a line or of a clause. What cannot be told for certain is let pass: words among the
figures, a sum of unlike things, percentages, what may be a time or a date, a result that is
rounded.
"""

import re
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Final

from agents.toolbox.calculator import told
from agents.toolbox.reckoning.expressions import read
from agents.toolbox.reckoning.results import reckon
from indexes.errors import UsageError

_MOST: Final = 3
_MOST_LOOKED_AT: Final = 100
_MOST_CHARACTERS: Final = 20_000
_WORDS: Final = "\x00"
"""Stands for what was ``\\text{…}``."""
_MONEY: Final = "\x01"
_PLAIN: Final = (
    (re.compile(r"\\(?:times|cdot)(?![a-z])|[×⋅·]"), "*"),
    (re.compile(r"\\div(?![a-z])|÷"), "/"),
    (re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}"), r"(\1)/(\2)"),
    (re.compile(r"\\boxed\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\\[()\[\]]|\\\\"), "\n"),
    (re.compile(r"\\(?:left|right)(?![a-z])|\\[,;:! ]|\*\*|&"), ""),
    (re.compile(r"\\?\$|[¥€£]"), _MONEY),
    (re.compile("[−–]"), "-"),
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),
    (re.compile(r"[^\S\n]+"), " "),
)
_TEXT: Final = re.compile(r"\\(?:text|mathrm)\{([^{}]*)\}")
_NUMBER: Final = rf"{_MONEY}?(?:\d+(?:\.\d+)?|\.\d+)(?: ?{_WORDS})?"
_OPEN: Final = rf"(?:-(?=[\d.({_MONEY}])|\( ?)*"
_LEFT: Final = re.compile(
    rf"(?<![\w.{_WORDS})]){_OPEN}{_NUMBER}(?:(?: ?\))* ?[-+*/] ?{_OPEN}{_NUMBER})+(?: ?\))* ?\Z"
)
_RIGHT: Final = re.compile(rf" ?(-? ?{_NUMBER})(?= ?(?:\Z|\n|[.,;)\]}}。，；](?![\d.])))")
_BEFORE: Final = re.compile(r"(?:\A|[^-+*/^=\s] ?\n| ?\n ?\n)[ \n]*\Z|[^\W\d_][:：] ?\Z")
_UNSURE: Final = re.compile(r"(?<![\d.])(?:0\d|[1-9]\d{0,2}\.\d{3}(?!\d))")
"""Part of a date or a time, or a number of thousands as some countries write it."""
_LONGEST: Final = 120
"""Characters of a side."""
_COUNTS: Final = re.compile(r"dozen|hundred|thousand|million|percent|half|[百千万亿]")


def corrections(text: str) -> list[str]:
    """Of the equations that are not true the first few, with what is: ``180 - 12 = 168, not
    68``."""
    found: list[str] = []
    for left, right in islice(_equations(text[:_MOST_CHARACTERS]), _MOST_LOOKED_AT):
        wrong = _correction(left, right)
        if wrong and wrong not in found:
            found.append(wrong)
        if len(found) == _MOST:
            break
    return found


def _equations(text: str) -> Iterator[tuple[str, str]]:
    """The two sides of each, without words."""
    words: list[str] = []

    def set_aside(match: re.Match[str]) -> str:
        words.append(match[1].lower())
        return _WORDS

    plain = _TEXT.sub(set_aside, re.sub("[\x00\x01]", " ", text))
    for pattern, instead in _PLAIN:
        plain = pattern.sub(instead, plain)
    before = 0
    for one, other in pairwise(plain.split("=")):
        begun = max(0, len(one) - _LONGEST)
        left, right = _LEFT.search(one, begun), _RIGHT.match(other[:_LONGEST])
        if left and right and (left.start() > begun or not begun):
            first = before + one.count(_WORDS, 0, left.start())
            named = words[first : before + one.count(_WORDS)]
            of_result = words[first + len(named)] if _WORDS in right[1] else ""
            alone = _BEFORE.search(one, max(0, left.start() - _LONGEST), left.start())
            if alone and _alike(left[0], named, of_result):
                yield left[0], right[1]
        before += one.count(_WORDS)


def _alike(left: str, named: list[str], of_result: str) -> bool:
    """Whether the figures can be reckoned with whatever they count."""
    if any(map(_COUNTS.search, (*named, of_result))):
        return False
    kinds = [set(one.split()) for one in named]
    result = set(of_result.split())
    if re.search(r"[+-]", left):
        return all(one == kinds[0] for one in kinds) and result in ([], set(), *kinds)
    return not result or any(result <= one for one in kinds)


def _correction(left: str, right: str) -> str:
    """Nothing where the equation is true but for the rounding of its result, or cannot be read."""
    if _UNSURE.search(left) or _UNSURE.search(right) or (_MONEY in right and _MONEY not in left):
        return ""
    left, right = (" ".join(re.sub("[\x00\x01]", "", one).split()) for one in (left, right))
    try:
        value, said = reckon(read(left)).value, reckon(read(right)).value
    except UsageError:
        return ""
    unit = 10 ** -len(right.partition(".")[2])
    whole = value.denominator == 1
    if value == said or (abs(value - said) < unit and not (whole and unit == 1)):
        return ""
    text, exact = told(value)
    return f"{left} {'=' if exact else '≈'} {text}, not {right}"
