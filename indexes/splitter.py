"""Cutting a document into the passages that are embedded and cited."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from indexes.splitting.code import code_outline
from indexes.splitting.counting import Sizes
from indexes.splitting.markdown import markdown_outline
from indexes.splitting.outline import Outline, Scope, Section
from indexes.splitting.packing import Leaf, Span, divide, make_leaves, pack
from indexes.splitting.sentences import prose_cuts
from indexes.types import Chunk, Document, Extracted, page_at

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPLITTING_VERSION = "1"
"""Changes when the same text would be cut at other places."""
# A section below a quarter of the target may share a chunk with its neighbour.
_TINY = 4


def split(
    extracted: Extracted,
    tokenizer: "Tokenizer | Callable[[str], int]",
    max_tokens: int,
    target_tokens: int | None = None,
) -> list[Chunk]:
    """Passages of ``extracted`` in order, without overlap; only white space is left out.

    No passage has more than ``max_tokens`` tokens, the special tokens included; they are made
    about ``target_tokens`` long (default: ``max_tokens``). A callable counts the tokens of a text,
    the special ones included. Cuts are made at headings and definitions, then at paragraphs, then
    at sentences, and inside a sentence only if it is longer than ``max_tokens``.

    Raises ValueError when ``max_tokens`` leaves no room beside the special tokens.
    """
    sizes = Sizes(tokenizer)
    limit = max_tokens - sizes.special
    if limit < 1:
        raise ValueError(f"max_tokens must exceed the {sizes.special} special tokens")
    target = min(limit, max(1, (target_tokens or max_tokens) - sizes.special))
    text = extracted.text
    outline = outline_of(extracted)
    leaves = make_leaves(text, outline.cuts, sizes, limit)
    spans: list[Span] = []
    for group in _groups(leaves, outline.sections, target):
        spans.extend((chunk[0].start, chunk[-1].end) for chunk in pack(group, target))
    within = _within_limit(text, spans, sizes, limit, target)
    headings = _headings(outline, within)
    pages = extracted.page_starts
    return [
        Chunk(
            text=text[start:end],
            start=start,
            end=end,
            page=page_at(pages, start),
            heading=heading,
        )
        for (start, end), heading in zip(within, headings, strict=True)
    ]


def outline_of(extracted: Extracted | Document) -> Outline:
    """Where the text may be cut, and its titled stretches."""
    if extracted.kind == "markdown":
        return markdown_outline(extracted.text)
    found = None
    if extracted.kind == "code":
        found = code_outline(extracted.text, extracted.language)
    return found or Outline(prose_cuts(extracted.text, 0, len(extracted.text)))


def _groups(leaves: list[Leaf], sections: list[Section], target: int) -> Iterator[list[Leaf]]:
    """Leaves by section; tiny neighbours, and a tiny section above its subsection, together."""
    current: list[Leaf] = []
    last: Section | None = None
    for section, own in _by_section(leaves, sections):
        if last is not None and not _may_join(current, own, last, section, target):
            yield current
            current = []
        current = current + own
        last = section
    yield current


def _by_section(
    leaves: list[Leaf], sections: list[Section]
) -> Iterator[tuple[Section, list[Leaf]]]:
    sections = sections or [Section(0, 0, 0)]
    ends = [section.start for section in sections[1:]] + [leaves[-1].end if leaves else 0]
    position = 0
    for section, end in zip(sections, ends, strict=True):
        first = position
        while position < len(leaves) and leaves[position].start < end:
            position += 1
        yield section, leaves[first:position]


def _may_join(
    current: list[Leaf], own: list[Leaf], last: Section, section: Section, target: int
) -> bool:
    here, there = (sum(leaf.size for leaf in part) for part in (current, own))
    is_bare, comes_bare = _is_bare(current, last), _is_bare(own, section)
    is_below = section.depth > last.depth > 0
    if is_below and is_bare:
        return True
    if here + there > target or here * _TINY > target or (comes_bare and not is_bare):
        return False
    return is_below or there * _TINY <= target


def _is_bare(leaves: list[Leaf], section: Section) -> bool:
    """Whether ``leaves``, which end with ``section``, end with its heading alone."""
    return not leaves or leaves[-1].end <= section.body


def _within_limit(
    text: str, spans: list[Span], sizes: Sizes, limit: int, target: int
) -> list[Span]:
    """The spans without white space around them, those over the limit cut once more.

    The tokens of a chunk can be more than the sum over its leaves, so that each chunk is counted.
    """
    trimmed = [span for span in (_trimmed(text, *span) for span in spans) if span]
    counts = sizes.of([text[start:end] for start, end in trimmed])
    result: list[Span] = []
    for span, count in zip(trimmed, counts, strict=True):
        smaller = max(1, min(limit, target) - (count - limit))
        if count <= limit or span[1] - span[0] == 1:
            result.append(span)
        else:
            parts = divide(text, span, sizes, smaller, smaller)
            result.extend(_within_limit(text, parts, sizes, limit, smaller))
    return result


def _trimmed(text: str, start: int, end: int) -> Span | None:
    passage = text[start:end]
    start += len(passage) - len(passage.lstrip())
    length = len(passage.strip())
    return (start, start + length) if length else None


def _headings(outline: Outline, spans: list[Span]) -> Iterator[tuple[str, ...]]:
    """For each span the names of the scopes that hold all of it, its leading headings set aside."""
    bodies = {section.start: section.body for section in outline.sections}
    upcoming = deque(outline.scopes)
    opened: list[Scope] = []
    for start, end in spans:
        inner = start
        while bodies.get(inner, inner) > inner:
            inner = bodies[inner]
        inner = inner if inner < end else start
        while upcoming and upcoming[0].start <= inner:
            opened.append(upcoming.popleft())
        opened = [scope for scope in opened if scope.end > start]
        yield tuple(scope.name for scope in opened if scope.start <= inner and end <= scope.end)
