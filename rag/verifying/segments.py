"""A streamed answer, cut into sentences as soon as each is certain to be whole.

Where a sentence ends depends only on characters that have come: however the answer is cut into
pieces, the sentences are the same. Each character is looked at a bounded number of times.

A block of code (`rag.verifying.code`) is one sentence.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rag.verifying.code import (
    FENCE,
    FENCE_LENGTH,
    LIST_MARK,
    closing,
    holds_words,
    in_code,
    inside,
    is_block,
    is_fence,
    is_index,
    opening,
    ticks_of,
)
from rag.verifying.marking import MARK_BEGUN, MARK_OR_UNKNOWN, NUMBER

_LONGEST = 2000
"""Characters after which a sentence without an end is cut."""
_BEHIND = 200
"""Characters behind a full stop in which its marks are looked for."""
_LEAD = re.compile(rf"\s*{LIST_MARK}")
_STOP = re.compile(rf"\n|(?={FENCE})|[。！？｡．]+|[.!?]+")
_STOPS = "。！？｡．.!?"
_COMMAS = "，,、；; "
_CLOSING = "”’」』）)》〉〕\"'*_"
_MARK = re.compile(MARK_OR_UNKNOWN)
_GAP = re.compile(r"\s|[\[［【]|\Z")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Gen|Col|Sgt|Rev|Hon|vs|cf|al|etc|e\.g|i\.e|No|Nos|Fig|Figs"
    r"|Eq|Sec|Art|Vol|pp|p|ca|approx|est|figs?|Inc|Ltd|Co|Corp|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov"
    r"|Dec)"
    r"|\b[A-Z])\.\Z"
)
_CJK = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")
_LEAD_IN = re.compile(
    r"(?:根据|依据|按照)(?:以上|上述)?(?:资料|文档|段落)[\s和与及、]{0,9}(?:显示|可知)?"
    r"(?:[,，]\s*(?=\S)|[。．.]?\Z)"
    r"|(?:according to|based on) (?:the )?(?:given |provided )?(?:passages?|documents?|text)"
    r"(?: and| ,|,){0,3}(?:\s?,\s?|\s?\.?\Z)"
    r"|(?:in|from|according to|based on|as (?:stated|mentioned|described) in)\s?,\s",
    re.IGNORECASE,
)
"""Words that only say where the answer is from, in front of a sentence or in place of one."""
_LEAD_OUT = re.compile(
    r"(?<=\S)[，,；; （(]{1,3}"
    r"(?:(?:(?:根据|依据|按照|参见|见|来自|出自)(?:以上|上述)?(?:资料|文档|段落)(?:的?编号)?"
    r"|(?:资料|文档|段落)的?编号)(?:为|是|：|:)?"
    r"|(?:according to|as (?:stated|mentioned|described) in|see)"
    r"(?: (?:the )?(?:passage|document)s?)?"
    r"|(?<=[,(] )which is)\s*\Z",
    re.IGNORECASE,
)
"""The same in front of a mark."""
_AND = re.compile(r"\s*(?:和|与|及|以及|、|and|&)?\s*", re.IGNORECASE)
"""What may stand between two marks."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence of the answer: the white space and list mark before it, its ``text`` without
    marks, and the numbers of the passages that it names. Of code the text has its fences."""

    lead: str
    text: str
    marks: tuple[int, ...]

    @property
    def is_code(self) -> bool:
        """Whether it is a block of code."""
        return is_block(self.text)

    @property
    def said(self) -> str:
        """The text; of a block of code what is between the fences."""
        return inside(self.text) if self.is_code else self.text

    @property
    def is_claim(self) -> bool:
        """Whether it says anything: rules and fences do not."""
        return any(char.isalnum() for char in self.said) and not is_fence(self.text)

    @property
    def is_whole(self) -> bool:
        """Whether it ends as a sentence does. Code does anywhere."""
        return self.is_code or self.text.rstrip(_CLOSING)[-1:] in tuple(_STOPS)


class Segments:
    """Takes the pieces of an answer, gives its sentences."""

    def __init__(self) -> None:
        self._text = ""
        self._seen = 0
        self._fenced = False

    def feed(self, piece: str) -> Iterator[Segment]:
        """The sentences that are whole now."""
        self._text += piece
        yield from self._whole(last=False)

    def close(self) -> Iterator[Segment]:
        """The rest."""
        yield from self._whole(last=True)

    def _whole(self, *, last: bool) -> Iterator[Segment]:
        text, start = self._text, 0
        while start < len(text):
            begin = _LEAD.match(text, start).end()  # type: ignore[union-attr]
            ending = _end if self._fenced else _end_or_block
            end, self._seen = ending(text, begin, max(begin, start + self._seen), last=last)
            if end is None:
                self._seen -= start
                break
            lead, body = text[start:begin], text[begin:end]
            if not self._fenced and is_block(body) and holds_words(body):
                yield from _fenced_words(lead, body)
            else:
                segment = _segment(lead, body)
                self._fenced ^= is_fence(segment.text)
                yield segment
            start, self._seen = end, 0
        self._text = text[start:]


def _fenced_words(lead: str, block: str) -> Iterator[Segment]:
    fence, _, words = block.partition("\n")
    yield Segment(lead, fence.rstrip(), ())
    taking = Segments()
    taking._fenced = True
    yield from taking.feed(f"\n{words}")
    yield from taking.close()


def _end_or_block(text: str, begin: int, seen: int, *, last: bool) -> tuple[int | None, int]:
    """Like `_end`, where a block of code may begin."""
    opened = opening(text, begin, last=last)
    if opened is None or opened.is_code is False:
        return _end(text, begin, seen, last=last)
    if opened.is_code is None:
        return None, begin
    end = closing(text, opened, seen)
    if end is not None and (last or end < len(text)):
        return end, end
    return (len(text) if last else None), max(begin, len(text) - FENCE_LENGTH)


def _end(text: str, begin: int, seen: int, *, last: bool) -> tuple[int | None, int]:
    """Where the sentence at ``begin`` ends, or nothing yet; and up to where it is certain not to
    end. ``last``: no more text comes."""
    if begin == len(text):
        return (begin if last else None), begin
    for match in _STOP.finditer(text, seen):
        if match.start() - begin >= _LONGEST:
            break
        if match[0] != "\n" and (match.end() == begin or in_code(text, begin, match.start())):
            continue
        after = _after(text, match, last=last)
        if after is None:
            return None, match.start()
        if after >= 0:
            return after, after
    if len(text) - begin >= _LONGEST:
        return begin + _LONGEST, begin
    return (len(text) if last else None), max(begin, len(text) - FENCE_LENGTH)


def _after(text: str, stop: re.Match[str], *, last: bool) -> int | None:
    """The end of the sentence that may end at ``stop``, with its closing quotes and its marks, and
    the full stop that models put behind those once more; -1 where none ends, ``None`` where what
    has come does not tell."""
    if stop[0] in ("", "\n"):
        return stop.start()
    end, most = stop.end(), stop.end() + _BEHIND
    while end < min(len(text), most) and text[end] in _CLOSING:
        end += 1
    at, marked = end, False
    while at < len(text):
        if at >= most:
            return end
        if text[at] in " \t":
            at += 1
        elif match := _MARK.match(text, at):
            at = end = match.end()
            marked = True
        elif marked and text[at] in _STOPS:
            if at + 1 == len(text) and not last:
                return None
            if text[at].isascii() and not _GAP.match(text, at + 1):
                break
            at = end = at + 1
        elif not last and MARK_BEGUN.match(text, at):
            return None
        else:
            break
    if at == len(text):
        return end if last else None
    following = text[at]
    if following == "\n" or marked or stop[0][0] in "。！？｡．":
        return end
    if at == end and not _CJK.match(following):
        return -1
    short = stop[0] == "." and _ABBREVIATION.search(text[max(0, stop.start() - 12) : stop.end()])
    return -1 if following.islower() or short else end


def _segment(lead: str, body: str) -> Segment:
    if is_block(body):
        fence = ticks_of(body)
        whole = body.rstrip()
        return Segment(lead, whole if whole.endswith(fence) else f"{whole}\n{fence}", ())
    parts: list[str] = []
    marks: dict[int, None] = {}
    last = 0
    for match in _MARK.finditer(body):
        if is_index(body, 0, match.start(), last):
            continue
        part = body[last : match.start()].rstrip()
        if not parts:
            part = _LEAD_OUT.sub("", part)
        parts.append("" if parts and _AND.fullmatch(part) else part)
        marks.update(dict.fromkeys(int(n) for n in NUMBER.findall(match[0])))
        last = match.end()
    parts.append(body[last:])
    text = parts[0]
    for at, part in enumerate(parts[1:], 1):
        behind = "".join(parts[at:]).lstrip()
        if not behind or behind[0] in _STOPS:
            text = text.rstrip(_COMMAS)
        if text[-1:] and text[-1] in _STOPS:
            part = part.lstrip(_STOPS + " \t")  # noqa: PLW2901
        joined = text[-1:].isascii() and text[-1:].isalnum() and part[:1].isalnum()
        text += f" {part}" if joined else part
    lead_in = _LEAD_IN.match(text)
    return Segment(lead, (text[lead_in.end() :] if lead_in else text).strip(), tuple(marks))
