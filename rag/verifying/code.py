"""What of an answer is code: there, a number in brackets is no mark.

A fence begins a block of code if it names a language, or if the line behind it does not end as a
sentence does: models also fence what they say in words.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

FENCE = r"(?<!`)`{3,9}[ \t]{0,3}[\w+#-]{0,40}[ \t]{0,3}\n"
"""The line that a fence begins with."""
FENCE_LENGTH = 60
"""Characters that it has at most."""
_OPENED = re.compile(FENCE)
_BEGUN = re.compile(r"`{1,9}[ \t]{0,3}[\w+#-]{0,40}[ \t]{0,3}")
_LINE = re.compile(r"`{3,9}[^`\n]*")
_LANGUAGE = re.compile(r"[^`\s]+")
_WORDS = frozenset({"text", "txt", "plain", "plaintext", "markdown", "md", "quote"})
_MARK = r"[\[［【][ \t]{0,3}\d{1,3}[^\[\]\n]{0,60}[\]］】]"
_SENTENCE = re.compile(
    rf"(?:[。！？]|(?<=\w)[.!?][\"”’)]{{0,3}}|(?<=[\w”’\")。！？.!?][ \t]){_MARK}"
    rf"|(?<=[\u2e80-\u9fff\uff00-\uffef]){_MARK}|(?<=\w[.!?]){_MARK})"
    rf"[.。]?(?:[ \t]{{0,3}}{_MARK}){{0,9}}[ \t]{{0,9}}\Z"
)
_COMMENT = re.compile(r"[ \t]*(?:#|//|--|/\*|<!--|%|;)")


@dataclass(frozen=True, slots=True)
class Opening:
    """A fence that begins at a place of a text. ``is_code``: whether code is behind it; ``None``
    where what has come does not tell yet."""

    fence: str
    end: int
    is_code: bool | None


def opening(text: str, at: int, *, last: bool) -> Opening | None:
    """The fence that begins at ``at``, if one does. ``last``: no more text comes."""
    opened = _OPENED.match(text, at)
    if opened is None:
        return None if last or not _BEGUN.fullmatch(text, at) else Opening("", at, None)
    fence = opened[0][: len(opened[0]) - len(opened[0].lstrip("`"))]
    language = _LANGUAGE.search(opened[0])
    if language and language[0].lower() not in _WORDS:
        return Opening(fence, opened.end(), is_code=True)
    if language:
        return Opening(fence, opened.end(), is_code=False)
    start = len(text) - len(text[opened.end() :].lstrip())
    stop = text.find("\n", start)
    if stop < 0 and not last:
        return Opening(fence, opened.end(), None)
    line = text[start : stop if stop >= 0 else len(text)]
    words = bool(_SENTENCE.search(line)) and not _COMMENT.match(line)
    return Opening(fence, opened.end(), is_code=not words)


def closing(text: str, opened: Opening, seen: int) -> int | None:
    """The end of the fence that ends a block, at or after ``seen``; ``None`` where there is none
    yet."""
    pattern = rf"\n[ \t]{{0,9}}`{{{len(opened.fence)},9}}(?![\w`])"
    found = re.compile(pattern).search(text, max(seen, opened.end - 1))
    return found.end() if found else None


def is_fence(text: str) -> bool:
    """Whether a text is the line of a fence, and no more."""
    return bool(_LINE.fullmatch(text))


def is_block(text: str) -> bool:
    """Whether a sentence of an answer is a block of code."""
    return text.startswith("```") and "\n" in text


def inside(block: str) -> str:
    """A block of code without its fences."""
    return block[block.index("\n") : block.rindex("\n")].strip("\n")


def in_code(text: str, begin: int, at: int) -> bool:
    """Whether ``at`` is within code in a sentence that begins at ``begin``: behind one backtick of
    two. A single one with a blank behind it is no such."""
    if text.count("`", begin, at) % 2 == 0:
        return False
    return not text[text.rindex("`", begin, at) + 1 : at + 1][:1].isspace()


def is_glued(text: str, at: int) -> bool:
    """Whether a bracket at ``at`` belongs to the word or sign before it, as an index does."""
    before = text[at - 1 : at]
    return before.isascii() and not before.isspace() and before != ""


def blocks_in(text: str) -> Iterator[tuple[int, int]]:
    """Where the blocks of code of a whole text stand, with their fences."""
    at = 0
    while found := _OPENED.search(text, at):
        opened = opening(text, found.start(), last=True)
        assert opened is not None
        end = closing(text, opened, 0) or len(text)
        if opened.is_code:
            yield found.start(), end
        at = end
