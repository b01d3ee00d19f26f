"""A streamed answer, cut into sentences as soon as each is certain to be whole.

Where a sentence ends depends only on characters that have come: however the answer is cut into
pieces, the sentences are the same. Each character is looked at a bounded number of times.

A block of code is one sentence: ``values[1]`` in it is no mark. Models also fence what they say in
words; that is told by a mark behind a full stop, and cut like any other text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LONGEST = 2000
"""Characters after which a sentence without an end is cut."""
_LEAD = re.compile(r"\s*(?:(?:[-*•]|\d{1,2}[.)、])[ \t]+)?")
_STOP = re.compile(r"\n|[。！？｡．]+|[.!?]+")
_STOPS = "。！？｡．.!?"
_CLOSING = "”’」』）)》〉〕\"'*_"
_BETWEEN = r"[ \t]{0,3}"
# No passage has the number 0: [0, 1] is an interval. An answer that was checked before says [?]
# behind a sentence that nothing supported.
_PLACE = r"[1-9]\d{0,2}"
_NUMBERS = rf"0|{_PLACE}(?:{_BETWEEN}[,，、;；]{_BETWEEN}{_PLACE}){{0,9}}"
_UNKNOWN = r"(?<=[\s.!?。！？\]］】][\[［【])[?？]"
_MARK = re.compile(rf"[\[［【]{_BETWEEN}(?:{_NUMBERS}|{_UNKNOWN}){_BETWEEN}[\]］】]")
_IN_WORDS = re.compile(rf"[。！？｡．.!?]{_BETWEEN}{_MARK.pattern}[ \t]*(?:\n|\Z)")
"""A mark that tells words from code."""
_MARK_BEGUN = re.compile(r"[\[［【](?:[\d \t,，、;；]{0,80}|[ \t]{0,3}[?？][ \t]{0,3})\Z")
_GAP = re.compile(r"\s|[\[［【]|\Z")
_NUMBER = re.compile(r"\d{1,3}")
_FENCE = "```"
_OPENED = re.compile(r"```[^`\n]*\n")
_OPENED_IN_PART = re.compile(r"`{1,2}|```[^`\n]{0,80}")
_CLOSED = re.compile(r"\n[ \t]{0,9}```[ \t]*(?=\n|\Z|[\[［【])")
_FENCE_LENGTH = 16
"""Characters, from its line break, that a closing fence has at most."""
_MARKS = re.compile(rf"(?:\s{{0,3}}{_MARK.pattern})*")
_CODE = r"`[^`\n]+`"
_CODE_OR_MARK = re.compile(rf"{_CODE}|{_MARK.pattern}")
_ANY_CODE = re.compile(rf"```[^`\n]*(?s:\n.*?)(?:{_CLOSED.pattern}|\Z)|{_CODE}")
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
    r"(?: and| ,|,){0,3}(?:\s?,\s?|\s?\.?\Z)",
    re.IGNORECASE,
)
"""Words that only say where the answer is from, in front of a sentence or in place of one."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence of the answer: the white space and list mark before it, its ``text`` without
    marks, and the numbers of the passages that it names. Of code the text has its fences."""

    lead: str
    text: str
    marks: tuple[int, ...]

    @property
    def is_code(self) -> bool:
        """Whether it is a block of code, or a fence."""
        return self.text.startswith(_FENCE)

    @property
    def said(self) -> str:
        """The text without fences."""
        if not self.is_code:
            return self.text
        inside = self.text.partition("\n")[2]
        return inside[: inside.rfind(_FENCE)].strip() if inside.endswith(_FENCE) else inside.strip()

    @property
    def is_claim(self) -> bool:
        """Whether it says anything: rules and fences do not."""
        return any(char.isalnum() for char in self.said)

    @property
    def is_whole(self) -> bool:
        """Whether it ends as a sentence does."""
        return self.text.rstrip(_CLOSING)[-1:] in tuple(_STOPS)


def code_in(text: str) -> Iterator[tuple[int, int]]:
    """Where code stands in a text, within sentences and in blocks; words in fences are none."""
    for match in _ANY_CODE.finditer(text):
        if not (match[0].startswith(_FENCE) and _IN_WORDS.search(match[0])):
            yield match.span()


class Segments:
    """Takes the pieces of an answer, gives its sentences."""

    def __init__(self) -> None:
        self._text = ""
        self._seen = 0

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
            end, self._seen = _end(text, start, start + self._seen, last=last)
            if end is None:
                break
            yield from _segments(text[start:end])
            start, self._seen = end, 0
        self._text = text[start:]


def _end(text: str, start: int, seen: int, *, last: bool) -> tuple[int | None, int]:
    """Where the sentence at ``start`` ends, or nothing yet; and up to where, from ``start``, it is
    certain not to end. ``last``: no more text comes."""
    begin = _LEAD.match(text, start).end()  # type: ignore[union-attr]
    if begin == len(text):
        return (begin if last else None), 0
    if _OPENED.match(text, begin):
        return _end_of_code(text, start, max(begin, seen), last=last)
    if not last and _OPENED_IN_PART.fullmatch(text, begin):
        return None, 0
    for match in _STOP.finditer(text, max(begin, seen)):
        if match.start() - begin >= _LONGEST:
            break
        after = _after(text, match, last=last)
        if after is None:
            return None, match.start() - start
        if after >= 0:
            return after, 0
    if len(text) - begin >= _LONGEST:
        return begin + _LONGEST, 0
    return (len(text) if last else None), len(text) - start


def _end_of_code(text: str, start: int, seen: int, *, last: bool) -> tuple[int | None, int]:
    """Like `_end`, for a block of code: behind its fence, and the marks behind that."""
    closed = _CLOSED.search(text, seen)
    if closed is None:
        return (len(text) if last else None), max(0, len(text) - start - _FENCE_LENGTH)
    end = _MARKS.match(text, closed.end()).end()  # type: ignore[union-attr]
    rest = text[end:].lstrip()
    if not last and (not rest or _MARK_BEGUN.match(rest)):
        return None, closed.start() - start
    return end, 0


def _after(text: str, stop: re.Match[str], *, last: bool) -> int | None:
    """The end of the sentence that may end at ``stop``, with its closing quotes and its marks, and
    the full stop that models put behind those once more; -1 where none ends, ``None`` where what
    has come does not tell."""
    if stop[0] == "\n":
        return stop.start()
    end = stop.end()
    while end < len(text) and text[end] in _CLOSING:
        end += 1
    at, marked = end, False
    while at < len(text):
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
        elif not last and _MARK_BEGUN.match(text, at):
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


def _segments(raw: str) -> Iterator[Segment]:
    """What was cut as one sentence: words in fences are several."""
    lead = _LEAD.match(raw)[0]  # type: ignore[index]
    fenced = _OPENED.match(raw, len(lead))
    if fenced is None:
        yield _segment(lead, raw[len(lead) :])
    elif _IN_WORDS.search(raw, fenced.end()):
        yield Segment(lead, fenced[0].rstrip(), ())
        inside = Segments()
        yield from inside.feed(raw[fenced.end() - 1 :])
        yield from inside.close()
    else:
        closed = _CLOSED.search(raw, fenced.end() - 1)
        end = closed.end() if closed else len(raw)
        marks = dict.fromkeys(int(n) for n in _NUMBER.findall(raw[end:]))
        yield Segment(lead, raw[len(lead) : end].rstrip(), tuple(marks))


def _segment(lead: str, body: str) -> Segment:
    parts: list[str] = []
    marks: dict[int, None] = {}
    last = 0
    for match in _CODE_OR_MARK.finditer(body):
        if match[0][0] == "`":
            continue
        parts.append(body[last : match.start()].rstrip())
        marks.update(dict.fromkeys(int(n) for n in _NUMBER.findall(match[0])))
        last = match.end()
    parts.append(body[last:])
    text = parts[0]
    for part in parts[1:]:
        if text[-1:] and text[-1] in _STOPS:
            part = part.lstrip(_STOPS + " \t")  # noqa: PLW2901
        joined = text[-1:].isascii() and text[-1:].isalnum() and part[:1].isalnum()
        text += f" {part}" if joined else part
    lead_in = _LEAD_IN.match(text)
    return Segment(lead, (text[lead_in.end() :] if lead_in else text).strip(), tuple(marks))
