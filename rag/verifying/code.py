"""What of an answer is code: there, a number in brackets is no mark.

A fence begins a block of code if it names a language, or if what is in it does not read as words
do: models also fence what they say in sentences. Those end with a full stop in the first line
already, or with a mark in any of them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rag.verifying.marking import LABEL

_ATTRIBUTES = (
    r"(?:[ \t]{1,3}(?:[\w.-]{1,20}=(?:\"[^\"`\n]{0,40}\"|[^\s`\"]{1,40})|\{[^`\n}]{0,60}\})){0,3}"
)
_OPENED = re.compile(rf"`{{3,9}}[ \t]{{0,3}}[^\s`]{{0,40}}{_ATTRIBUTES}[ \t]{{0,3}}\n")
_BEGUN = re.compile(r"`{1,9}[^`\n]{0,300}")
LIST_MARK = r"(?:(?:[-*•]|\d{1,2}[.)、])[ \t]+)?"
"""What an item of a list may begin with."""
FENCE = r"(?<!`)`{3,9}[ \t]{0,3}[\w+#-]{0,40}[ \t]{0,3}\n"
"""The line that a fence within a line begins with."""
FENCE_LENGTH = 60
"""Characters that it has at most."""
_ANY_FENCE = re.compile(rf"(?m:^[ \t]*{LIST_MARK})(?={_OPENED.pattern})|(?={FENCE})")
_LINE = re.compile(r"`{3,9}[^`\n]*")
_LANGUAGE = re.compile(r"[^`\s]+")
_WORDS = frozenset(
    ("text", "txt", "plain", "plaintext", "markdown", "md", "quote", "answer", "output", "result",
     "response", "en", "zh", "english", "chinese")
)  # fmt: skip
_MARK = (
    rf"[\[［【]{{1,2}}[ \t]{{0,3}}{LABEL}?"
    r"(?:\d{1,3}[^\[\]［］【】\n]{0,60}|[?？])[\]］】]{1,2}"
)
_MARKED = (
    rf"(?:(?<=[\w”’」』）)\"。！？.!?][ \t]){_MARK}"
    rf"|(?<=[\u2e80-\u9fff\uff00-\uffef”’」』）]){_MARK}"
    rf"|(?<=\w[.!?]){_MARK})[.。]?(?:[ \t]{{0,3}}{_MARK}){{0,9}}"
)
_MARKED_LINE = re.compile(rf"(?m:{_MARKED}[ \t]{{0,9}}$)")
_SENTENCE = re.compile(rf"(?:[。！？]|(?<=\w)[.!?][\"”’)]{{0,3}}|{_MARKED})[ \t]{{0,9}}\Z")
_COMMENT = re.compile(r"[ \t]*(?:#|//|--|/\*|<!--|%|;|\$ )")


@dataclass(frozen=True, slots=True)
class Opening:
    """A fence that begins at a place of a text. ``is_code``: whether code is behind it; ``None``
    where what has come does not tell yet. ``is_named``: whether it names a language."""

    fence: str
    end: int
    is_code: bool | None
    is_named: bool = False


def opening(text: str, at: int, *, last: bool) -> Opening | None:
    """The fence that begins at ``at``, if one does. ``last``: no more text comes."""
    opened = _OPENED.match(text, at)
    if opened is None:
        return None if last or not _BEGUN.fullmatch(text, at) else Opening("", at, None)
    fence = ticks_of(opened[0])
    language = _LANGUAGE.search(opened[0])
    if language:
        is_code = language[0].lower() not in _WORDS
        return Opening(fence, opened.end(), is_code, is_named=True)
    start = opened.end()
    while start < len(text) and text[start].isspace():
        start += 1
    stop = text.find("\n", start)
    if stop < 0 and not last:
        return Opening(fence, opened.end(), None)
    first = text[start : stop if stop >= 0 else len(text)]
    words = bool(_SENTENCE.search(first)) and not _COMMENT.match(first)
    return Opening(fence, opened.end(), is_code=not words)


def closing(text: str, opened: Opening, seen: int) -> int | None:
    """The end of the fence that ends a block, at or after ``seen``; ``None`` where there is none
    yet. Models also put it behind the last line of the code."""
    ticks = f"`{{{len(opened.fence)},9}}"
    pattern = rf"\n[ \t]{{0,9}}{ticks}(?![\w`])|(?<=[^`\n]){ticks}(?=[ \t]{{0,3}}\n)"
    found = re.compile(pattern).search(text, max(seen, opened.end - 1))
    return found.end() if found else None


def holds_words(block: str) -> bool:
    """Whether a block of code names no language, and has a line that ends with a mark."""
    opened = opening(block, 0, last=True)
    return opened is not None and not opened.is_named and bool(_MARKED_LINE.search(block))


def ticks_of(text: str) -> str:
    """The backticks that a text begins with."""
    return text[: len(text) - len(text.lstrip("`"))]


def is_fence(text: str) -> bool:
    """Whether a text is the line of a fence, and no more."""
    return bool(_LINE.fullmatch(text))


def is_block(text: str) -> bool:
    """Whether a sentence of an answer is a block of code."""
    return text.startswith("```") and "\n" in text


def inside(block: str) -> str:
    """A block of code without its fences."""
    return block[block.index("\n") :].rstrip().rstrip("`").strip("\n")


def in_code(text: str, begin: int, at: int) -> bool:
    """Whether ``at`` is behind an odd number of backticks in a sentence that begins at ``begin``.
    One with a blank behind it does not begin code."""
    if text.count("`", begin, at) % 2 == 0:
        return False
    return not text[text.rindex("`", begin, at) + 1 : at + 1][:1].isspace()


def is_index(text: str, begin: int, at: int, mark_before: int) -> bool:
    """Whether a bracket at ``at`` belongs, within code, to the word or sign before it. A mark that
    ends at ``mark_before`` is none."""
    before = text[at - 1 : at]
    if at == mark_before or not before.isascii() or before.isspace() or not before:
        return False
    line = text.find("\n", at)
    return in_code(text, begin, at) and text.find("`", at, line if line >= 0 else len(text)) >= 0


def blocks_in(text: str) -> Iterator[tuple[int, int]]:
    """Where the blocks of code of a whole text stand, with their fences."""
    at = 0
    while found := _ANY_FENCE.search(text, at):
        opened = opening(text, found.end(), last=True)
        if opened is None:
            at = found.end() + 1
            continue
        end = closing(text, opened, 0) or len(text)
        if opened.is_code and not holds_words(text[found.end() : end]):
            yield found.end(), end
        at = end
