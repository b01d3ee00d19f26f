"""Undoing the line breaks of a page layout.

A PDF breaks a line where the column ends. Such a break inside a Chinese sentence would hide every
word that it cuts, so lines that were broken by the layout are joined again; lines that end
early (headings, list items, ends of paragraphs, rows of a table) are left.
"""

import re
from collections.abc import Sequence

_IDEOGRAPH = re.compile("[\u3001-\u303f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")
_WIDE = re.compile("[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff01-\uff60]")
SENTENCE_END = re.compile(r"[.!?。！？…][\"'”’」』）)]*$")
_STARTS_ITEM = re.compile(
    r"(?:[•·●○▪■◦‣➢✓*\-–—]\s|\(?\d{1,3}(?:\.\d{1,3})*[.、)）](?!\d)|[（(]?[一二三四五六七八九十]{1,3}[、）)]"
    r"|第[一二三四五六七八九十百\d]{1,4}[章节節条條部篇]|[（(][a-z\d]{1,2}[)）]|#|表\s?\d|图\s?\d|圖\s?\d)"
)
# What PDFium writes for a hyphen that only the end of the line has caused.
_SOFT_HYPHENS = ("\ufffe", "\x02", "\xad")
_DOT_LEADER = re.compile(r" ?(?:[.·…] ?){5,}")
_SPACED = re.compile(r"[\u4e00-\u9fff] [A-Za-z\d]|[A-Za-z\d] [\u4e00-\u9fff]")
_UNSPACED = re.compile(r"[\u4e00-\u9fff][A-Za-z\d]|[A-Za-z\d][\u4e00-\u9fff]")


def rejoin(page: str) -> str:
    """The page with its paragraphs on one line each, as far as the widths of its lines tell."""
    lines = page.split("\n")
    full = _full_width(lines)
    return "\n".join(rejoin_lines(lines, [units(line) / full for line in lines]))


def rejoin_lines(lines: Sequence[str], shares: Sequence[float]) -> list[str]:
    """Paragraphs of ``lines``; ``shares`` tells how much of its column each fills (0 to 1)."""
    lines = [_DOT_LEADER.sub(" ... ", line).rstrip() for line in lines]
    page = "\n".join(lines)
    # Whether this page's author sets Latin words and figures off from Chinese by a space.
    mixed = " " if len(_SPACED.findall(page)) > len(_UNSPACED.findall(page)) else ""
    joined: list[str] = []
    last, share = "", 0.0  # the layout's line that joined[-1] ends with
    for line, following in zip(lines, shares, strict=True):
        glue = _glue(last, line, share, mixed) if joined else None
        if glue is None:
            joined.append(line)
        else:
            head = joined[-1]
            if glue == "-":
                head, glue = head[:-1], ""
            joined[-1] = head + glue + line.lstrip()
        last, share = line, following
    return joined


def units(line: str) -> int:
    """The width of a line in half-width characters."""
    return len(line) + len(_WIDE.findall(line))


def _full_width(lines: list[str]) -> int:
    """The width of an unbroken line of this page: nine tenths of its lines are no wider."""
    widths = sorted(units(line) for line in lines if len(line) > 10)
    return max(30, widths[len(widths) * 9 // 10]) if widths else 30


def _glue(last: str, line: str, share: float, mixed: str) -> str | None:
    """What stands between two lines of one paragraph; ``"-"`` drops a hyphen, None keeps them."""
    start = line.lstrip()
    if not last.strip() or not start:
        return None
    if last.endswith(_SOFT_HYPHENS):
        return "-"
    if _STARTS_ITEM.match(start) or " ... " in last or (_row(last) and _row(start)):
        return None
    if last[-1] == "-" and last[-2:-1].isalpha() and start[0].islower() and share >= 0.5:
        return "-"
    if SENTENCE_END.search(last):
        needed = 0.95
    elif start[0].islower():
        needed = 0.5
    else:
        needed = 0.75
    if share < needed:
        return None
    ideographs = [bool(_IDEOGRAPH.match(c)) for c in (last[-1], start[0])]
    if all(ideographs):
        return ""
    if any(ideographs):
        return mixed
    cut_number = mixed == "" and last[-1].isdigit() and start[0].isdigit() and _chinese(last)
    return "" if cut_number else " "


def starts_item(line: str) -> bool:
    """Whether the line begins as the items of lists and numbered headings do."""
    return bool(_STARTS_ITEM.match(line))


def _chinese(line: str) -> bool:
    return len(_IDEOGRAPH.findall(line)) * 2 > len(line)


def _row(line: str) -> bool:
    """Whether the line looks like a row of figures."""
    fields = line.split()
    figures = sum(any(c.isdigit() for c in field) for field in fields)
    return len(fields) >= 3 and figures >= 2 and figures * 5 >= len(fields) * 2
