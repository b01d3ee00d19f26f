"""The marks ``[1]``, ``[1, 2]`` and ``[?]`` in the text of an answer, and the citations that they
stand for. What looks like one within code is none."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rag.types import Citation
from rag.verifying.code import blocks_in, is_index
from rag.verifying.marking import MARK, NUMBER
from rag.verifying.verifying import UNSUPPORTED

_MARK = re.compile(rf"[ \t]{{0,3}}({MARK}|\[\?\])")
_ANY_MARK = re.compile(r"(\[(?:\?|\d{1,6})\])")
_ONE_MARK = re.compile(r" ?(\[(?P<number>\d{1,6})\])")
"""A mark of a single passage, as answers that were verified have them, and the space before it."""


def without_marks(text: str) -> str:
    """``text`` without its marks, and without the spaces before them, or the line break where they
    stand below a block of code."""
    ends = {end for _, end in blocks_in(text)}

    def begin(match: re.Match[str]) -> int:
        start = match.start()
        return start - 1 if start - 1 in ends and text[start - 1] == "\n" else start

    return _replaced(text, ((begin(one), one.end(), "") for one in _marks(_MARK, text)))


def numbers_in(text: str) -> tuple[int, ...]:
    """The numbers that the marks of ``text`` name, each once, in their order."""
    found = (number for mark in _marks(_MARK, text) for number in NUMBER.findall(mark[1]))
    return tuple(dict.fromkeys(map(int, found)))


def renumbered(text: str, numbers: Mapping[int, int]) -> str:
    """The text with other numbers of passages; a mark without one goes."""

    def other(match: re.Match[str]) -> str:
        number = numbers.get(int(match["number"]))
        return "" if number is None else match[0].replace(match["number"], str(number))

    return _replaced(text, ((*one.span(), other(one)) for one in _marks(_ONE_MARK, text)))


def placed(text: str, citations: Sequence[Citation]) -> Iterator[tuple[int, Citation]]:
    """Each citation with the place of its mark in ``text``, in characters; the end of the text for
    one without a mark. Marks come in the order of their citations."""
    marks = list(_marks(_ANY_MARK, text))
    after = 0
    for citation in citations:
        unsupported = citation.support == "unsupported"
        wanted = UNSUPPORTED if unsupported else f"[{citation.number}]"
        found = (n for n in range(after, len(marks)) if marks[n][0] == wanted)
        number = next(found, None)
        if number is None:
            yield len(text), citation
        else:
            yield marks[number].start(), citation
            after = number + 1


def _replaced(text: str, spans: Iterable[tuple[int, int, str]]) -> str:
    """The text with something else in the place of each span."""
    parts, last = [], 0
    for start, end, other in spans:
        parts += [text[last:start], other]
        last = end
    return "".join([*parts, text[last:]])


def _marks(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """The marks that are no code."""
    blocks, before = list(blocks_in(text)), -1
    for match in pattern.finditer(text):
        at = match.start(1)
        within = any(start <= at < end for start, end in blocks)
        if not within and not is_index(text, text.rfind("\n", 0, at) + 1, at, before):
            before = match.end()
            yield match
