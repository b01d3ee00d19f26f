"""The marks ``[1]``, ``[1, 2]`` and ``[?]`` in the text of an answer, and the citations that they
stand for. What looks like one within code is none."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from rag.types import Citation
from rag.verifying.segments import code_in
from rag.verifying.verifying import UNSUPPORTED

_MARK = re.compile(r"[ \t]{0,3}\[(\?|\d{1,3}(?:[ ]?[,，、][ ]?\d{1,3}){0,9})\]")
_LINE_OF_MARKS = re.compile(rf"(?<=```)\n(?={_MARK.pattern})")
"""The marks of a block of code stand in the line below it."""
_NUMBER = re.compile(r"\d+")
_ONE_MARK = re.compile(r" ?\[(\d{1,6})\]")
"""A mark of a single passage, as answers that were verified have them, and the space before it."""


def without_marks(text: str) -> str:
    """``text`` without its marks, and without the spaces before them."""
    bare = _LINE_OF_MARKS.sub("", text)
    return _outside_code(bare, lambda part: _MARK.sub("", part))


def numbers_in(text: str) -> tuple[int, ...]:
    """The numbers that the marks of ``text`` name, each once, in their order."""
    bare = _outside_code(text, str, code="")
    found = (number for mark in _MARK.findall(bare) for number in _NUMBER.findall(mark))
    return tuple(dict.fromkeys(map(int, found)))


def renumbered(text: str, numbers: Mapping[int, int]) -> str:
    """The text with other numbers of passages; a mark without one goes."""

    def other(match: re.Match[str]) -> str:
        number = numbers.get(int(match[1]))
        return "" if number is None else match[0].replace(match[1], str(number))

    return _outside_code(text, lambda part: _ONE_MARK.sub(other, part))


def placed(text: str, citations: Sequence[Citation]) -> Iterator[tuple[int, Citation]]:
    """Each citation with the place of its mark in ``text``, in characters; the end of the text for
    one without a mark. Marks come in the order of their citations."""
    after = 0
    # Places stay: blanks stand for the code.
    marked = _outside_code(text, str, code=" ")
    for citation in citations:
        unsupported = citation.support == "unsupported"
        mark = UNSUPPORTED if unsupported else f"[{citation.number}]"
        at = marked.find(mark, after)
        if at >= 0:
            after = at + len(mark)
        yield (at if at >= 0 else len(text)), citation


def _outside_code(text: str, change: Callable[[str], str], code: str | None = None) -> str:
    """The text, its parts outside of code changed, each character of code replaced by ``code``."""
    parts, last = [], 0
    for start, end in code_in(text):
        kept = text[start:end] if code is None else code * (end - start)
        parts += [change(text[last:start]), kept]
        last = end
    return "".join([*parts, change(text[last:])])
