"""The marks ``[1]``, ``[1, 2]`` and ``[?]`` in the text of an answer, and the citations that they
stand for."""

import re
from collections.abc import Iterator, Mapping, Sequence

from rag.types import Citation
from rag.verifying.verifying import UNSUPPORTED

_MARK = re.compile(r"[ \t]{0,3}\[(\?|\d{1,3}(?:[ ]?[,，、][ ]?\d{1,3}){0,9})\]")
_NUMBER = re.compile(r"\d+")
ONE_MARK = re.compile(r" ?\[(\d{1,6})\]")
"""A mark of a single passage, as answers that were verified have them, and the space before it."""


def without_marks(text: str) -> str:
    """``text`` without its marks, and without the spaces before them."""
    return _MARK.sub("", text)


def numbers_in(text: str) -> tuple[int, ...]:
    """The numbers that the marks of ``text`` name, each once, in their order."""
    found = (number for mark in _MARK.findall(text) for number in _NUMBER.findall(mark))
    return tuple(dict.fromkeys(map(int, found)))


def renumbered(text: str, numbers: Mapping[int, int]) -> str:
    """The text with other numbers of passages; a mark without one goes."""

    def other(match: re.Match[str]) -> str:
        number = numbers.get(int(match[1]))
        return "" if number is None else match[0].replace(match[1], str(number))

    return ONE_MARK.sub(other, text)


def placed(text: str, citations: Sequence[Citation]) -> Iterator[tuple[int, Citation]]:
    """Each citation with the place of its mark in ``text``, in characters; the end of the text for
    one without a mark. Marks come in the order of their citations."""
    after = 0
    for citation in citations:
        unsupported = citation.support == "unsupported"
        mark = UNSUPPORTED if unsupported else f"[{citation.number}]"
        at = text.find(mark, after)
        if at >= 0:
            after = at + len(mark)
        yield (at if at >= 0 else len(text)), citation
