"""A passage, read once for a question however many claims are looked up in it."""

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable
from functools import cached_property
from pathlib import Path

from indexes.folding import Folded, fold, is_boundary
from indexes.loaders.formats import LANGUAGES, suffix_of
from indexes.types import SearchResult
from rag.verifying.names import Names, names_in
from rag.verifying.quantities import stated
from rag.verifying.spans import Span, spans
from rag.verifying.words import Vocabulary

_CLAUSE = re.compile(r"[,;，；、](?!\s?\d)|\b(?:and|while|but|whereas)\b(?!\s\d)")
_BESIDE = 0.3
"""The weight of what is told beside a sentence."""
# Words that turn what follows into its opposite, and figures that go on across a match.
_TURNING = re.compile(r"(?:[不没未无非勿莫]|(?:\b(?:not|never|no|cannot)|\bn t|n't) ?)\Z")
_NUMERAL = frozenset("零〇一二三四五六七八九十百千万亿两")
_SCALE = frozenset("十百千万亿")


class Unit:
    """A quotable span of a passage."""

    def __init__(self, span: Span, text: str) -> None:
        self.span, self.text = span, text

    @cached_property
    def words(self) -> Vocabulary:
        return Vocabulary(fold(self.text).text)

    @cached_property
    def values(self) -> frozenset[str]:
        return stated(self.text)

    @cached_property
    def clauses(self) -> tuple["Unit", ...]:
        """Its parts between commas, if it is prose."""
        if self.span.kind != "prose":
            return (self,)
        return tuple(Unit(self.span, part) for part in _CLAUSE.split(self.text) if part.strip())

    @cached_property
    def names(self) -> Names:
        return names_in(self.text)

    def states(self, keys: Iterable[str], beside: frozenset[str]) -> bool:
        """Whether one of the ``keys`` of a value stands here; the year of a date may stand in
        ``beside``, the values of a heading or a neighbour."""
        return any(
            key in self.values
            or (len(key) == 10 and key[5:] in self.values and key[:4] in beside | self.values)
            for key in keys
        )


class Passage:
    """The passage ``number`` of a question."""

    def __init__(self, number: int, context: SearchResult) -> None:
        self.number, self.context, self.text = number, context, context.text
        self._around: dict[int, Unit] = {}

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        code = suffix_of(Path(self.context.source)) in LANGUAGES
        return tuple(
            Unit(span, self.text[span.start : span.end]) for span in spans(self.text, code=code)
        )

    @cached_property
    def heading(self) -> Unit:
        """Its title and the headings above it."""
        text = " ; ".join((self.context.title, *self.context.heading))
        return Unit(Span(0, len(text), "heading"), text)

    @cached_property
    def whole(self) -> Unit:
        """All of it, with its headings."""
        return Unit(Span(0, len(self.text), "code"), f"{self.heading.text}\n{self.text}")

    def around(self, index: int) -> Unit:
        """What a reader of a unit knows beside it: its neighbours, in a table the names of its
        columns, and the headings."""
        if index not in self._around:
            near = (self.units[i].text for i in self.beside(index))
            text = "\n".join([self.heading.text, *near])
            self._around[index] = Unit(self.units[index].span, text)
        return self._around[index]

    def tells(self, index: int, asked: Collection[str]) -> float:
        """How much of the words of a question a unit tells, with a little for its neighbours."""
        near = self.around(index).words
        return self.units[index].words.held(asked) + near.held(asked) * _BESIDE

    def beside(self, index: int) -> list[int]:
        """A unit with its neighbours, in a table with the names of its columns."""
        span = self.units[index].span
        if span.kind == "row":
            return [i for i in (span.head, index) if i is not None]
        return list(range(max(0, index - 1), min(len(self.units), index + 2)))

    def find(self, claim: str) -> list[tuple[int, int]]:
        """The spans that say ``claim`` word for word. Words and numbers match whole: «art» is not
        found in «smart», nor 15 in 115 or 1.5, nor 易结晶 in 不易结晶."""
        needle, hay = fold(claim).text, self._folded.text
        found = []
        at = hay.find(needle) if needle else -1
        while at >= 0:
            end = at + len(needle)
            alone = _stands_alone(hay, at, end)
            if alone:
                found.append(self._folded.span(at, end))
            at = hay.find(needle, end if alone else at + 1)
        return found

    def touched(self, span: tuple[int, int]) -> range:
        """The indexes of the units that ``span`` touches."""
        first = max(0, bisect_right(self._starts, span[0]) - 1)
        return range(first, max(first + 1, bisect_right(self._starts, span[1] - 1)))

    def quoted(self, indexes: range) -> tuple[int, int]:
        """The span of whole units."""
        return self.units[indexes[0]].span.start, self.units[indexes[-1]].span.end

    @cached_property
    def _folded(self) -> Folded:
        return fold(self.text)

    @cached_property
    def _starts(self) -> list[int]:
        return [unit.span.start for unit in self.units]


def _stands_alone(hay: str, at: int, end: int) -> bool:
    if not is_boundary(hay, at) or not is_boundary(hay, end):
        return False
    if _TURNING.search(hay[max(0, at - 8) : at]):
        return False
    before, after = hay[at - 1 : at], hay[end : end + 1]
    first, last = hay[at], hay[end - 1]
    longer = first in _NUMERAL and (before in _NUMERAL or before.isdigit()) and before
    higher = (last.isdigit() or last in _NUMERAL) and after in _SCALE and after
    return not longer and not higher
