"""Where Markdown may be cut: headings, blocks, list items, table rows, sentences."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from indexes.splitting.outline import ITEM, LINE, PARAGRAPH, Cut, Outline, Scope, Section
from indexes.splitting.sentences import prose_cuts

_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_BLANK_LINES = re.compile(r"(?:[ \t]*+\n)*+")
_FRONT_MATTER = re.compile(r"---[ \t]*\n(?:[^\n]+\n)+?(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s|\s*\|")
_LONGEST_TITLE = 500
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_ANCHOR = re.compile(r"\s*\{#[^}]*\}\s*$")
_MARKUP = re.compile(r"[*`]|(?<!\w)_+|_+(?!\w)")


@dataclass(slots=True)
class _Heading:
    start: int
    body: int
    depth: int
    name: str


@dataclass(slots=True)
class _Scan:
    """State of the line scanner: ``block`` is the start of the open paragraph, if any."""

    text: str
    cuts: list[Cut] = field(default_factory=list)
    headings: list[_Heading] = field(default_factory=list)
    block: int | None = None
    fence: str = ""

    def close(self, end: int) -> None:
        if self.block is not None:
            self.cuts.extend(_block_cuts(self.text, self.block, end))
            self.block = None

    def add_heading(self, start: int, body: int, depth: int, title: str) -> None:
        self.cuts.append(Cut(start, PARAGRAPH))
        self.headings.append(_Heading(start, body, depth, _plain(title)))


def markdown_outline(text: str) -> Outline:
    """Cuts, sections and heading scopes of a Markdown text.

    Headings are ATX (``# A``) and setext (underlined), outside fenced code and front matter
    (CommonMark 0.31, sections 4.2, 4.3 and 4.5).
    """
    scan = _Scan(text)
    front = _FRONT_MATTER.match(text)
    body = front.end() if front else 0
    scan.cuts.extend(Cut(start, ITEM) for start, _ in _lines(text, 0, body))
    for start, end in _lines(text, body, len(text)):
        _scan_line(scan, start, end)
    scan.close(len(text))
    if not scan.cuts or scan.cuts[0].start > 0:
        scan.cuts.insert(0, Cut(0, PARAGRAPH))
    return Outline(scan.cuts, _scopes(scan.headings, len(text)), _sections(text, scan.headings))


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    return (match.span() for match in _LINES.finditer(text, start, end))


def _scan_line(scan: _Scan, start: int, end: int) -> None:
    line = scan.text[start:end].rstrip("\r\n")
    fence = _FENCE.match(line)
    if scan.fence:
        scan.cuts.append(Cut(start, ITEM))
        if fence and fence[1].startswith(scan.fence) and not line.strip("`~ \t"):
            scan.fence = ""
    elif fence:
        scan.close(start)
        scan.cuts.append(Cut(start, PARAGRAPH))
        scan.fence = fence[1]
    elif atx := _ATX.match(line):
        scan.close(start)
        scan.add_heading(start, end, len(atx[1]), line[atx.end() :])
    elif scan.block is not None and _SETEXT.match(line) and _may_be_title(scan, start):
        title_start, scan.block = scan.block, None
        depth = 1 if "=" in line else 2
        scan.add_heading(title_start, end, depth, scan.text[title_start:start])
    elif not line.strip():
        scan.close(start)
    elif scan.block is None or _ITEM.match(line):
        scan.close(start)
        scan.block = start


def _block_cuts(text: str, start: int, end: int) -> list[Cut]:
    """Cuts of a paragraph, of a list item (hardly inside it), or of a table row (none inside)."""
    item = _ITEM.match(text, start)
    if item is None:
        return prose_cuts(text, start, end)
    below_blank = text[max(0, start - 2) : start] in ("", "\n", "\n\n")
    first = Cut(start, PARAGRAPH if below_blank else ITEM)
    if item[0].endswith("|"):
        return [first]
    inside = prose_cuts(text, start, end)[1:]
    return [first, *(Cut(cut.start, max(cut.cost, LINE)) for cut in inside)]


def _may_be_title(scan: _Scan, end: int) -> bool:
    """Whether the open paragraph, right above an underline, is text and not a list or table."""
    if scan.block is None or end - scan.block > _LONGEST_TITLE:
        return False
    return not _ITEM.match(scan.text, scan.block) and scan.text[scan.block] != ">"


def _plain(title: str) -> str:
    """``title`` without marks of emphasis, link targets, anchors and closing ``#`` signs."""
    title = title.strip()[:_LONGEST_TITLE]
    without_closing = title.rstrip("#")
    if without_closing.endswith((" ", "\t")):
        title = without_closing
    without_links = _LINK.sub(r"\1", _ANCHOR.sub("", title))
    return " ".join(_MARKUP.sub("", without_links).split())


def _scopes(headings: list[_Heading], length: int) -> list[Scope]:
    scopes: list[Scope] = []
    ends: dict[int, int] = {}  # by depth: where the next heading of that depth or above begins
    for heading in reversed(headings):
        end = min((ends[depth] for depth in ends if depth <= heading.depth), default=length)
        ends[heading.depth] = heading.start
        if heading.name:
            scopes.append(Scope(heading.start, end, heading.name))
    return scopes[::-1]


def _sections(text: str, headings: list[_Heading]) -> list[Section]:
    sections = []
    for heading in headings:
        blank = _BLANK_LINES.match(text, heading.body)
        body = blank.end() if blank else heading.body
        sections.append(Section(heading.start, heading.depth, body))
    if not sections or sections[0].start > 0:
        sections.insert(0, Section(0, 0, 0))
    return sections
