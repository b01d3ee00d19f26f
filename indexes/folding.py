"""Text in comparable form: compatibility forms, lower case, simplified characters, one spacing.

Two steps, and each keeps the way back to the text: `plain` changes characters only, `fold` also
takes punctuation and white space out.
"""

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise

from indexes.words import normalised

HAN = "[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]"
"""A character beside which white space means nothing."""
MARKS = "\u0300-\u036f\u0900-\u0dff"
"""Accents that stay apart, and the vowel signs of Indic scripts: part of a word here, as they are
part of a search term in `indexes.words`."""
GAP = (
    rf"(?:[^\w%°$€£¥‰.:/\-−+,{MARKS}]|_|(?<!\d)[.:/]|[.:/](?!\d)|[-−+](?!\d)|(?<=[^\W_])[-−+]"
    r"|(?<!\d),|,(?!\d))"
)
"""A plain character that folding takes out and that may part two words. What is kept beside letters
and digits: a point, colon or slash inside a number, the sign before one, and units."""

_GAPS = re.compile(rf"{GAP}+|,")
_IS_HAN = re.compile(HAN)
_IS_MARK = re.compile(f"[{MARKS}]")
# Each of these characters becomes exactly one, whatever stands beside it, unless a mark follows.
_EVEN = (
    "\x00-\x7f\xc0-\xde\xe0-\xff\u0410-\u044f\u2013\u2014\u2018-\u201d\u3001-\u3002\u3008-\u3011"
    "\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff5e"
)
_UNITS = "%‰°"
_KEPT = 2048
"""Characters of a text that is kept folded; each takes some forty bytes."""
_SIGNS = "-−+"


@dataclass(frozen=True, slots=True)
class Plain:
    """A text in lower case, compatible and simplified; ``pieces`` are (offset here, offset in the
    text, whether each character stands for one) of its parts."""

    text: str
    pieces: tuple[tuple[int, int, bool], ...]
    length: int

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The span of the text that ``start`` to ``end`` here came from."""
        first = bisect_right(self.pieces, (start, self.length, True)) - 1
        last = bisect_right(self.pieces, (end - 1, self.length, True)) - 1
        here, there, even = self.pieces[first]
        begin = there + (start - here if even else 0)
        here, there, even = self.pieces[last]
        if even:
            return begin, there + end - here
        following = self.pieces[last + 1 : last + 2]
        return begin, following[0][1] if following else self.length


@dataclass(frozen=True, slots=True)
class Folded:
    """A text in comparable form; ``origin[i]`` is the place in ``plain`` of its ``i``-th character,
    of a space that of the character after it."""

    text: str
    origin: tuple[int, ...]
    plain: Plain

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The span of the text that ``start`` to ``end`` here came from."""
        return self.plain.span(self.origin[start], self.origin[end - 1] + 1)


def plain(text: str) -> Plain:
    """Compatibility forms, case and simplified characters, and nothing else."""
    if text.isascii():
        return Plain(text.lower(), ((0, 0, True),), len(text))
    out: list[str] = []
    pieces: list[tuple[int, int, bool]] = []
    at = 0
    for match in _parts().finditer(text):
        even = match.lastgroup == "even"
        changed = normalised(match[0]).casefold() if even else _cluster(match[0])
        if changed:
            pieces.append((at, match.start(), even))
            out.append(changed)
            at += len(changed)
    return Plain("".join(out), tuple(pieces), len(text))


@cache
def _parts() -> "re.Pattern[str]":
    marks = "".join(c for c in map(chr, range(0x10000)) if unicodedata.category(c)[0] == "M")
    # Halfwidth voicing marks and Hangul vowels and finals join what precedes them as marks do.
    joining = f"[{re.escape(marks)}\uff9e\uff9f\u1160-\u11ff]"
    return re.compile(rf"(?P<even>[{_EVEN}]+(?!{joining}))|(?P<other>.{joining}*)", re.DOTALL)


@lru_cache(maxsize=1 << 14)
def _cluster(cluster: str) -> str:
    return normalised(cluster).casefold()


def fold(text: str) -> Folded:
    """Compatibility forms, lower case, simplified characters. Punctuation and white space become
    one space between letters or digits and vanish beside Chinese characters; a point inside a
    number and the sign before one stay, a comma between digits goes: 1.5 is not 15, 1,500 is 1500.
    """
    return _kept(text) if len(text) <= _KEPT else _folded(text)


@lru_cache(maxsize=256)
def _kept(text: str) -> Folded:
    """A passage and its sentences are folded for each answer that stands on them, and a sentence of
    an answer for each passage."""
    return _folded(text)


def _folded(text: str) -> Folded:
    found = plain(text)
    out: list[str] = []
    origin: list[int] = []
    last = 0
    for match in _GAPS.finditer(found.text):
        out.append(found.text[last : match.start()])
        origin.extend(range(last, match.start()))
        last = match.end()
        if origin and last < len(found.text) and _shows(found.text, match):
            out.append(" ")
            origin.append(last)
    out.append(found.text[last:])
    origin.extend(range(last, len(found.text)))
    return Folded("".join(out), tuple(origin), found)


def _shows(text: str, gap: "re.Match[str]") -> bool:
    before, after = text[gap.start() - 1], text[gap.end()]
    inside_number = gap[0] == "," and before.isdecimal() and after.isdecimal()
    return not (inside_number or is_han(before) or is_han(after) or after in _UNITS)


def is_han(char: str) -> bool:
    return bool(_IS_HAN.match(char))


def is_word(char: str) -> bool:
    """Whether ``char`` belongs to a word of a script that writes spaces."""
    return (char.isalnum() or bool(_IS_MARK.match(char))) and not is_han(char)


def is_boundary(text: str, at: int) -> bool:
    """Whether no word and no number of the folded ``text`` goes on across ``at``."""
    if at in (0, len(text)):
        return True
    before, after = text[at - 1], text[at]
    return not (
        (is_word(before) and is_word(after))
        or (before.isdecimal() and after in ".:/%‰")
        or (before in ".:/-−+" and after.isdecimal())
    )


class Phrase:
    """What is to be found word for word in many texts, at the speed of a regular expression: the
    places where the folded phrase stands in the folded text, between boundaries."""

    def __init__(self, phrase: str) -> None:
        self.folded = fold(phrase).text
        self._anchors = re.findall(rf"{HAN}|(?:(?!{HAN})[^\W\d_])+", self.folded)
        self._pattern = None if self.folded[:1] in _UNITS else re.compile(_pattern(self.folded))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Every span of ``text`` that says the phrase, in order; they may overlap."""
        if self._pattern is None:
            return self._folded_spans(text)
        known = plain(text)
        if not all(anchor in known.text for anchor in self._anchors):
            return []
        found = []
        match = self._pattern.search(known.text)
        while match:
            found.append(known.span(*match.span()))
            match = self._pattern.search(known.text, match.start() + 1)
        return found

    def _folded_spans(self, text: str) -> list[tuple[int, int]]:
        needle, hay = self.folded, fold(text)
        found = []
        at = hay.text.find(needle) if needle else -1
        while at >= 0:
            end = at + len(needle)
            if is_boundary(hay.text, at) and is_boundary(hay.text, end):
                found.append(hay.span(at, end))
            at = hay.text.find(needle, at + 1)
        return found


def _pattern(folded: str) -> str:
    """For plain texts what a search for ``folded``, which is not empty, is for folded ones."""
    joints = [_between(*two) for two in pairwise(folded)]
    run = 1 + next((at for at, joint in enumerate(joints) if joint), len(joints))
    # Begun by its letters, not by what must not precede them, a pattern is found ten times faster.
    parts = [re.escape(folded[:run]), _before(folded[0], re.escape(folded[:run]))]
    for joint, char in zip(joints[run - 1 :], folded[run:], strict=True):
        parts.append(joint)
        if char != " ":
            parts.append(rf"(?<![^\W_]){re.escape(char)}" if char in _SIGNS else re.escape(char))
    return "".join([*parts, _after(folded[-1])])


def _between(previous: str, char: str) -> str:
    if previous == " ":
        return ""
    if char == " ":
        return f"{GAP}+"
    if char in _SIGNS:  # to be told from the one inside 3-5, which is a gap
        return "(?:)"
    if is_han(previous) or is_han(char) or char in _UNITS:
        return f"{GAP}*"
    return ",?" if previous.isdecimal() and char.isdecimal() else ""


_WORD = rf"(?:(?!{HAN})(?:[^\W_]|[{MARKS}]))"


def _before(first: str, run: str) -> str:
    """What must not precede the ``run`` that ends here and begins with ``first``."""
    if first in _SIGNS:
        return rf"(?<![^\W_]{run})"
    if not is_word(first):
        return ""
    number = rf"(?<!\d[,.:/]{run})(?<!(?<![^\W_])[-−+]{run})" if first.isdecimal() else ""
    return rf"(?<!{_WORD}{run}){number}"


def _after(last: str) -> str:
    if not is_word(last):
        return ""
    number = rf"(?![,.:/]\d)(?!{GAP}*[%‰])" if last.isdecimal() else ""
    return f"(?!{_WORD}){number}"
