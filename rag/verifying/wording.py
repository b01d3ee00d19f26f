"""An answer in the words of the passage that it was copied from.

Small models copy almost: «4» where the passage says «four», «A, B, C» for «A, B and C». A reader
who looks for the answer in the passage wants to find it there.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final

import rjieba

from indexes.folding import HAN, fold, is_han
from rag.verifying.passages import Passage
from rag.verifying.quantities import HAN_NUMBER, NUMBER_WORDS, claimed
from rag.verifying.words import asked_words, line_of

_TOKEN: Final = re.compile(rf"{HAN}|\d+(?:[.,]\d+)*%?|[^\W\d_]+(?:['’][^\W\d_]+)*|[^\W_]+")
_SMALL: Final = frozenset(("and", "the", "a", "an", "of", "的", "了", "和", "与", "與", "及"))
"""What a model leaves out; a word more would change what is said."""
_BETWEEN: Final = 2
_MOST: Final = 24
"""Words of an answer; nothing longer is looked for."""
_ASKED: Final = re.compile(
    r"\b(?P<preposition>in|on|at|by|from|to|for|of|with|under|during|through|into)"
    r" (?:which|what|whose|whom)\b",
    re.IGNORECASE,
)
_PERCENT: Final = r"(?:\s?(?:%|percent\b|per cent\b))?"
_WORDS: Final = "|".join(NUMBER_WORDS)
_FIGURE: Final = re.compile(
    rf"百分之\s?(?:\d+(?:\.\d+)?|{HAN_NUMBER}+)|(?<!第){HAN_NUMBER}+(?:点{HAN_NUMBER}+)?"
    rf"|(?<![\w.,\-−])\d+(?:,\d{{3}})*(?:\.\d+)?{_PERCENT}(?![.,]?\d|[a-z])"
    rf"|\b(?:{_WORDS})(?:(?:[\s-]|\sand\s)(?:{_WORDS}))*\b{_PERCENT}",
    re.IGNORECASE,
)
"""A whole figure, as it stands in a text; ordinals and dates are none."""


def as_written(words: str, question: str, passages: Iterable[Passage]) -> str:
    """``words`` as a sentence of the ``passages`` has them, of several the one that tells most of
    the ``question``, on one line, and without a preposition that the question has already said. As
    they are, where none has them, or one has just them; but a figure may stand for another thing in
    digits."""
    passages = list(passages)
    words = _without_what_is_asked(words, question, passages)
    value = _value(words)
    if not value and any(passage.find(words) for passage in passages):
        return words
    asked = asked_words(question)
    best, most = words, -1.0
    for passage in passages:
        whole = {passage.touched(span)[0] for span in passage.find(words) if passage.units}
        for index, unit in enumerate(passage.units):
            if index in whole:
                found = words
            elif value:
                found = _figure_in(unit.text, value) if value & unit.values else ""
            else:
                found = _words_in(unit.text, words)
            if not found:
                continue
            told = passage.tells(index, asked)
            if told > most or (told == most and found == words):
                best, most = found, told
    return best


def _without_what_is_asked(words: str, question: str, passages: Sequence[Passage]) -> str:
    """«In which case …?» is answered by the case, not by «in» it; but a book may be called «In Cold
    Blood»."""
    asked = _ASKED.search(question)
    before = f"{asked['preposition']} " if asked else ""
    if not before or not words.casefold().startswith(before.casefold()):
        return words
    named = re.compile(rf"(?<=[\w,;«“\"'] ){re.escape(words)}|[«“\"']{re.escape(words)}")
    is_name = words[0].isupper() and any(named.search(passage.text) for passage in passages)
    return words if is_name else words[len(before) :]


def _value(words: str) -> frozenset[str]:
    """The value that ``words`` are, if they are nothing else."""
    values = claimed(words) if _FIGURE.fullmatch(words) else []
    return values[0] if len(values) == 1 else frozenset()


def _figure_in(text: str, value: frozenset[str]) -> str:
    """The first figure of a text that is just this value."""
    figures = (match[0] for match in _FIGURE.finditer(text))
    return next((line_of(figure) for figure in figures if claimed(figure) == [value]), "")


def _words_in(text: str, words: str) -> str:
    """The shortest part of a text with these words in this order, and small ones between them."""
    wanted = [fold(match[0]).text for match in _TOKEN.finditer(words)]
    if not 1 < len(wanted) <= _MOST or re.search(r"[-−]\d", words):
        return ""
    tokens = [(fold(match[0]).text, match.span()) for match in _TOKEN.finditer(text)]
    places = list(_chosen([token for token, _ in tokens], wanted))
    edges = _edges(text) if places else set()
    parts = [
        (tokens[chosen[0]][1][0], tokens[chosen[-1]][1][1])
        for chosen in places
        if all(tokens[i][1][0] in edges for i in (chosen[0], *_behind_gaps(chosen)))
        and tokens[chosen[-1]][1][1] in edges
    ]
    start, end = min(parts, key=lambda part: (part[1] - part[0], part[0]), default=(0, 0))
    return line_of(text[start:end])


def _chosen(tokens: Sequence[str], wanted: Sequence[str]) -> Iterator[list[int]]:
    """The places of the ``wanted`` tokens, from each place at which the first stands."""
    for first, token in enumerate(tokens):
        if token != wanted[0]:
            continue
        chosen, left = [first], 0
        for word in wanted[1:]:
            at = chosen[-1] + 1
            while at < len(tokens) and tokens[at] in _SMALL - {word} and left < _BETWEEN:
                at, left = at + 1, left + 1
            if at >= len(tokens) or tokens[at] != word:
                break
            chosen.append(at)
        else:
            yield chosen


def _behind_gaps(chosen: Sequence[int]) -> list[int]:
    """The places before which small words were passed over."""
    return [b for a, b in pairwise(chosen) if b > a + 1]


def _edges(text: str) -> set[int]:
    """Where a word of ``text`` begins or ends. Chinese words have no blanks between them."""
    if not any(map(is_han, text)):
        return set(range(len(text) + 1))
    return {0, *accumulate(len(word) for word in rjieba.cut(text))}
