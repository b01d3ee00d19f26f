"""An answer in the words of the passage that it was copied from.

Small models copy almost: «4» where the passage says «four», «A, B, C» for «A, B and C». A reader
who looks for the answer in the passage wants to find it there.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from indexes.folding import HAN, fold
from rag.verifying.passages import Passage
from rag.verifying.quantities import claimed, stated
from rag.verifying.words import asked_words, content_words

_TOKEN: Final = re.compile(rf"{HAN}|\d+(?:[.,]\d+)*%?|[^\W\d_]+(?:['’][^\W\d_]+)*|[^\W_]+")
_BESIDE: Final = 0.3
"""The weight of what the neighbours of a sentence tell."""
_MOST: Final = 24
"""Words of an answer; nothing longer is looked for."""
_BETWEEN: Final = 2
"""How many small words a model leaves out."""
_NO_FIGURE: Final = re.compile(r"[^\d.,%\s]")
_FIGURE_TOKENS: Final = 5
"""A figure in words: «two hundred and fifty thousand»."""


def as_written(words: str, question: str, passages: Iterable[Passage]) -> str:
    """``words`` as a sentence of the ``passages`` has them, of several the one that tells most of
    the ``question``; as they are, where none has them at all."""
    asked, figure = asked_words(question), _figure(words)
    best, most = words, -1.0
    for passage in passages:
        whole = {passage.touched(span)[0] for span in passage.find(words) if passage.units}
        for index, unit in enumerate(passage.units):
            if index in whole:
                found = words
            else:
                found = _figure_in(unit.text, figure) if figure else _words_in(unit.text, words)
            told = unit.words.held(asked) + passage.around(index).words.held(asked) * _BESIDE
            if found and (told > most or (told == most and found == words)):
                best, most = found, told
    return best


def _figure(words: str) -> frozenset[str]:
    """The value that ``words`` are, if they are nothing else."""
    values = claimed(words)
    return values[0] if len(values) == 1 and not _NO_FIGURE.search(words) else frozenset()


def _figure_in(text: str, value: frozenset[str]) -> str:
    """The shortest part of a text that states just this value."""
    spans = [match.span() for match in _TOKEN.finditer(text)]
    for size in range(1, _FIGURE_TOKENS + 1):
        for first in range(len(spans) - size + 1):
            part = text[spans[first][0] : spans[first + size - 1][1]]
            if value & stated(part) and not _goes_on(text, spans, first, size, value):
                return part
    return ""


def _goes_on(
    text: str, spans: list[tuple[int, int]], first: int, size: int, value: frozenset[str]
) -> bool:
    """Whether the figure is a part of another: «five» of «twenty-five»."""
    start, end = max(0, first - 1), min(len(spans), first + size + 1)
    wider = text[spans[start][0] : spans[end - 1][1]]
    return not value & stated(wider)


def _words_in(text: str, words: str) -> str:
    """The shortest part of a text with these words in this order, and small ones between them."""
    wanted = [fold(match[0]).text for match in _TOKEN.finditer(words)]
    if not 1 < len(wanted) <= _MOST:
        return ""
    tokens = [(fold(match[0]).text, match.span()) for match in _TOKEN.finditer(text)]
    parts = [part for part in _parts(tokens, wanted) if part[1] - part[0] > 0]
    if not parts:
        return ""
    first, last = min(parts, key=lambda part: (part[1] - part[0], part[0]))
    return text[tokens[first][1][0] : tokens[last][1][1]]


def _parts(
    tokens: list[tuple[str, tuple[int, int]]], wanted: list[str]
) -> Iterator[tuple[int, int]]:
    """The first and last of the tokens of each such part."""
    for first, (token, _) in enumerate(tokens):
        if token != wanted[0]:
            continue
        at, left = first, 0
        for word in wanted[1:]:
            at += 1
            while at < len(tokens) and tokens[at][0] != word and not content_words(tokens[at][0]):
                at, left = at + 1, left + 1
            if at >= len(tokens) or tokens[at][0] != word or left > _BETWEEN:
                break
        else:
            yield first, at
