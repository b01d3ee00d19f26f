"""Where Chinese and English prose may be cut: paragraphs, sentences, clauses, words."""

import re
import unicodedata
from collections.abc import Iterator

from indexes.splitting.outline import (
    CLAUSE,
    LINE,
    PARAGRAPH,
    SEMICOLON,
    SENTENCE,
    WORD,
    Cut,
)

_CJK = "\u2e80-\u303f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
_CLOSING = "[”’」』）】》〉〕\"')\\]*_]*+"
_BLANK_LINES = re.compile(r"\n[ \t\r\f\v]*\n\s*")
_END = re.compile(
    rf"(?P<full>[。｡！？．]++{_CLOSING})\s*"
    rf"|(?P<half>；|…++){_CLOSING}\s*"
    rf"|(?P<ascii>(?<![.!?])[.!?]++{_CLOSING})(?:\s+|(?=[{_CJK}]))"
)
# A full stop after these ends no sentence; nor does one after a single capital letter.
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Gen|Col|Sgt|Rev|Hon|vs|cf|al|etc|e\.g|i\.e|No|Nos|Fig|Figs"
    r"|Eq|Sec|Art|Vol|pp|p|ca|approx|Inc|Ltd|Co|Corp|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)"
    r"|\b[A-Z])\.$"
)
_LINE_END = re.compile(r"\n\s*")
_CLAUSE_END = re.compile(rf"[，、；：,;:|—](?:\s+|(?=[{_CJK}])|(?<=[，、；：—]))")
_WORD_START = re.compile(rf"(?<=\s)(?=\S)|(?<=[{_CJK}])(?=\S)|(?=[{_CJK}])(?<=\S)")
_FINER = ((_LINE_END, LINE), (_CLAUSE_END, CLAUSE), (_WORD_START, WORD))


def prose_cuts(text: str, start: int, end: int) -> list[Cut]:
    """Cuts at the paragraphs and sentences of ``text[start:end]``, the first at ``start``."""
    cuts = [Cut(start, PARAGRAPH)]
    for paragraph_start, paragraph_end in _paragraphs(text, start, end):
        if paragraph_start > start:
            cuts.append(Cut(paragraph_start, PARAGRAPH))
        cuts.extend(_sentence_cuts(text, paragraph_start, paragraph_end))
    return cuts


def finer_cuts(text: str, start: int, end: int, level: int) -> list[Cut] | None:
    """Cuts inside one sentence: ``level`` 0 at lines, 1 at clauses, 2 at words; beyond, None."""
    if level >= len(_FINER):
        return None
    pattern, cost = _FINER[level]
    inside = (match.end() for match in pattern.finditer(text, start, end))
    return [Cut(start, cost), *(Cut(place, cost) for place in inside if start < place < end)]


def keeps_characters_whole(text: str, place: int) -> bool:
    """Whether a cut before ``place`` leaves accents and joined emoji with their base."""
    following = text[place]
    joined = following in "\u200d\ufe0e\ufe0f" or "\U0001f3fb" <= following <= "\U0001f3ff"
    return not joined and not unicodedata.combining(following) and text[place - 1] != "\u200d"


def _paragraphs(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    begin = start
    for match in _BLANK_LINES.finditer(text, start, end):
        if match.end() < end:
            yield begin, match.end()
            begin = match.end()
    yield begin, end


def _sentence_cuts(text: str, start: int, end: int) -> Iterator[Cut]:
    for match in _END.finditer(text, start, end):
        place = match.end()
        if place >= end or (match["ascii"] and not _ends_sentence(text, match, start)):
            continue
        yield Cut(place, SEMICOLON if match["half"] else SENTENCE)


def _ends_sentence(text: str, match: "re.Match[str]", start: int) -> bool:
    if text[match.end()].islower():
        return False
    before = text[max(start, match.start() - 12) : match.start() + 1]
    return match["ascii"] != "." or not _ABBREVIATION.search(before)
