"""What the lines of a whole PDF are: running heads, headings, paragraphs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from indexes.loaders.lines import SENTENCE_END, rejoin_lines, starts_item, units
from indexes.loaders.pdf_layout import MARGIN, Line

_LARGER = 1.18  # than the text, from which on a line is a heading
_LEVELS = 4
_LONGEST_HEADING = 120
_DIGITS = re.compile(r"\d+|\b[ivxlc]+$")
_NOT_WORD = re.compile(r"[\W_]+")
_TRAILING_PAGE = re.compile(r"(?:[.·…] ?){3,}\s*\S{0,6}$|\s\d{1,4}$")
_MARKUP = re.compile(r" {0,3}(?:#{1,6}(?:\s|$)|(?:=+|-+)\s*$|`{3}|~{3})")


@dataclass(frozen=True, slots=True)
class Page:
    """Lines in reading order, between ``top`` and ``bottom`` of the page."""

    lines: list[Line]
    top: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A bookmark: its title, its depth from 1, and its page from 0."""

    title: str
    level: int
    page: int


Levels = dict[int, int]
"""Heading level (1 is the top) by the ``id`` of a line."""


def drop_running_heads(pages: Sequence[Page]) -> list[Page]:
    """Without the lines that pages near each other have in one place of their margins, page numbers
    aside.

    Each stays where it stands first: it may be the only place that names the document.
    """
    places: dict[str, list[int]] = {}
    for number, page in enumerate(pages):
        for key in {_running_key(page, line) for line in page.lines} - {""}:
            places.setdefault(key, []).append(number)
    common = {key for key, numbers in places.items() if _runs_on(key, numbers)}
    seen: set[str] = set()
    kept = []
    for page in pages:
        keys = [_running_key(page, line) for line in page.lines]
        alone = all(key in common for key in keys)
        lines = [
            line
            for line, key in zip(page.lines, keys, strict=True)
            if alone or key not in common or (key not in seen and not key.endswith(":#"))
        ]
        seen.update(keys)
        kept.append(Page(lines, page.top, page.bottom))
    return kept


def _runs_on(key: str, numbers: list[int]) -> bool:
    """Whether the pages lie near each other; left and right ones may have different heads."""
    # "Chapter 1", "Chapter 2", "Chapter 3" may be titles; five of them are hardly.
    needed = 5 if "#" in key and any(map(str.isalpha, key)) else 3
    return any(
        b - a <= 2 * (needed - 1) for a, b in zip(numbers, numbers[needed - 1 :], strict=False)
    )


def _running_key(page: Page, line: Line) -> str:
    height = page.bottom - page.top
    low, high = page.top + MARGIN * height, page.bottom - MARGIN * height
    if line.table or not (line.bottom < low or line.top > high):
        return ""
    return f"{round((line.top - page.top) / 6)}:{_DIGITS.sub('#', line.text.strip())}"


def heading_levels(pages: Sequence[Page], outline: Sequence[Entry]) -> Levels:
    """Which lines are headings: those that the bookmarks name, else larger or bold ones."""
    found = _from_outline(pages, outline)
    return found if 2 * len(found) >= len(outline) > 0 else _from_type(pages)


def _from_outline(pages: Sequence[Page], outline: Sequence[Entry]) -> Levels:
    found: Levels = {}
    for entry in outline:
        wanted = _key(entry.title)
        for page in pages[entry.page : entry.page + 1] if wanted else ():
            named = (li for li in page.lines if id(li) not in found and _names(li, wanted))
            if (line := next(named, None)) is not None:
                found[id(line)] = min(entry.level, 6)
    return found


def _names(line: Line, wanted: str) -> bool:
    """Whether the line is the title, give or take a section number before it."""
    if line.table or len(line.text) > 2 * _LONGEST_HEADING or _TRAILING_PAGE.search(line.text):
        return False
    here = _key(line.text)
    longer, shorter = (here, wanted) if len(here) >= len(wanted) else (wanted, here)
    rest = len(longer) - len(shorter)
    if not shorter or rest > 8:
        return False
    return longer.endswith(shorter) and (rest == 0 or not longer[:rest].isalpha())


def _key(text: str) -> str:
    return _NOT_WORD.sub("", text).casefold()


def _from_type(pages: Sequence[Page]) -> Levels:
    lines = [line for page in pages for line in page.lines if not line.table]
    weights: Counter[float] = Counter()
    for line in lines:
        weights[_size(line)] += units(line.text)
    if not weights:
        return {}
    body = weights.most_common(1)[0][0]
    larger = [li for li in lines if _size(li) >= _LARGER * body and _may_be_heading(li.text)]
    if len(larger) > 0.4 * len(lines):
        return {}  # a poster or slides: size says little
    steps: list[float] = []
    for size in sorted({_size(line) for line in larger}, reverse=True):
        if not steps or size < 0.93 * steps[-1]:
            steps.append(size)
    levels = {id(li): min(sum(step >= _size(li) for step in steps), _LEVELS) for li in larger}
    below = min(len(steps), _LEVELS) + 1
    if sum(line.face.bold for line in lines) < 0.3 * len(lines):
        for page in pages:
            levels.update((id(line), below) for line in _bold_lines(page, body, levels))
    return levels


def _bold_lines(page: Page, body: float, levels: Levels) -> list[Line]:
    """Short lines of bold type that stand apart."""
    pitch = _pitch(page.lines)
    found: list[Line] = []
    lines: list[Line | None] = [None, *page.lines, None]
    for last, line, following in zip(lines, page.lines, lines[2:], strict=False):
        apart = last is None or last.table or not 0 < line.top - last.top < 1.15 * pitch
        goes_on = following is not None and following.face.bold and following.size == line.size
        if (
            apart
            and not goes_on
            and line.face.bold
            and not line.split
            and id(line) not in levels
            and line.size >= 0.95 * body
            and _may_be_heading(line.text)
            and not SENTENCE_END.search(line.text)
        ):
            found.append(line)
    return found


def _size(line: Line) -> float:
    return round(line.size * 2) / 2


def _may_be_heading(text: str) -> bool:
    return units(text) <= _LONGEST_HEADING and sum(map(str.isalpha, text)) >= 2


def page_text(page: Page, levels: Levels, listings: bool) -> str:
    """A page as Markdown: headings, tables, paragraphs with the layout's line breaks undone, and,
    where ``listings`` says that fixed-pitch type means code, that as it stands."""
    parts: list[str] = []
    for block in _blocks(page.lines, levels):
        level = levels.get(id(block[0]), 0)
        lines = [line.text for line in block]
        if block[0].table:
            parts.append(lines[0])
        elif level:
            parts.append("#" * level + " " + " ".join(rejoin_lines(lines, [1.0] * len(lines))))
        elif listings and len(block) > 1 and all(line.face.mono for line in block):
            parts.append("\n".join(["~~~", *lines, "~~~"]))
        else:
            shares = [_share(line) for line in block]
            parts.append("\n".join(map(_plain, rejoin_lines(lines, shares))))
    return "\n\n".join(part for part in parts if part.strip())


def has_listings(pages: Sequence[Page]) -> bool:
    """Whether fixed-pitch type is the exception."""
    faces = [line.face for page in pages for line in page.lines]
    return 0 < sum(face.mono for face in faces) < 0.5 * len(faces)


def _plain(line: str) -> str:
    """Indented where Markdown would take a line of a listing for a heading or a fence."""
    return "    " + line.lstrip() if _MARKUP.match(line) else line


def _share(line: Line) -> float:
    width = line.right - line.left
    return min(1.0, (line.x1 - line.left) / width) if width > 0 else 1.0


def _blocks(lines: Sequence[Line], levels: Levels) -> Iterable[list[Line]]:
    pitch = _pitch(lines)
    block: list[Line] = []
    for index, line in enumerate(lines):
        if block:
            following = lines[index + 1] if index + 1 < len(lines) else None
            if _outdented(block, line) or _begins(block[-1], line, following, pitch, levels):
                yield block
                block = []
        block.append(line)
    if block:
        yield block


def _pitch(lines: Sequence[Line]) -> float:
    """The usual distance from line to line."""
    steps = [
        b.top - a.top
        for a, b in pairwise(lines)
        if 0 < b.top - a.top < 3 * max(a.size, 1) and not a.table and not b.table
    ]
    return median(steps) if steps else 0.0


def _outdented(block: list[Line], line: Line) -> bool:
    """Whether the line goes back to the left after a list item or another indented block."""
    last = block[-1]
    back = line.left == last.left and last.x0 - line.x0 > 1.2 * line.size
    return back and (len(block) > 1 or starts_item(last.text))


def _begins(last: Line, line: Line, following: Line | None, pitch: float, levels: Levels) -> bool:
    """Whether a new paragraph, heading or table begins with ``line``."""
    if last.table or line.table or last.split or line.split:
        return True
    if levels.get(id(last)) != levels.get(id(line)):
        return True
    if abs(last.size - line.size) > 0.12 * max(last.size, line.size):
        return True
    if line.left != last.left or line.top <= last.top:
        return False  # the text goes on in the next column
    ended = bool(SENTENCE_END.search(last.text)) or _share(last) < 0.9
    if ended and last.face.mono != line.face.mono:
        return True
    if pitch and line.top - last.top > (1.4 if ended else 2.2) * pitch:
        return True
    indented = line.x0 - last.x0 > 1.2 * line.size
    returns = following is None or following.x0 < line.x0 - 0.8 * line.size
    return indented and returns and ended
