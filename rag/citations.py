"""From a drafted answer to claims, each with the exact span of the source it leans on."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from indexes.types import SearchResult
from indexes.words import terms
from rag.matching import find_verbatim, numbers, overlap, sentences
from rag.types import Citation, Support

Check = Callable[[int, str], bool]
"""Asks the chat model whether passage ``number`` states a claim."""

_MARK = re.compile(r"\s*[\[［【]\s*(\d{1,3}(?:\s*[,，、;；]\s*\d{1,3})*)\s*[\]］】]")
_NUMBER = re.compile(r"\d{1,3}")
_LIST_ITEM = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)、])\s+")
_NEW_WORDS = 0.6
"""The share of the words a claim adds to its question that must stand in the passage."""
_CLOSE = 0.3
"""Below this overlap no passage is named for a claim without a mark."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of the answer without its marks, and the passages it names."""

    text: str
    marks: tuple[int, ...]


def claims(answer: str, passages: int) -> list[Claim]:
    """The sentences of an answer. A mark belongs to the sentence before it; marks beyond the
    number of ``passages`` are dropped."""
    found: list[Claim] = []
    for line in (_LIST_ITEM.sub("", line) for line in answer.splitlines()):
        for start, end in _sentences_with_marks(line):
            piece = line[start:end]
            text = _MARK.sub("", piece).strip()
            marks = _marks(piece, passages)
            if any(char.isalnum() for char in text):
                found.append(Claim(text, marks))
            elif found and marks:
                found[-1] = replace(found[-1], marks=tuple(dict.fromkeys(found[-1].marks + marks)))
    return found


def _marks(text: str, passages: int) -> tuple[int, ...]:
    named = (int(n) for m in _MARK.finditer(text) for n in _NUMBER.findall(m.group(1)))
    return tuple(dict.fromkeys(n for n in named if 1 <= n <= passages))


def _sentences_with_marks(line: str) -> list[tuple[int, int]]:
    """Sentence spans, each stretched over the marks that follow its full stop."""
    spans: list[tuple[int, int]] = []
    for start, end in sentences(line):
        begin = max(start, spans[-1][1]) if spans else start
        stop = max(end, begin)
        while mark := _MARK.match(line, stop):
            stop = mark.end()
        if stop > begin:
            spans.append((begin, stop))
    return spans


def cite(
    question: str, answer: str, contexts: Sequence[SearchResult], check: Check
) -> tuple[Citation, ...]:
    """One citation for each claim and each passage it leans on, in the order of the answer."""
    return tuple(
        citation
        for claim in claims(answer, len(contexts))
        for citation in _cite_claim(question, claim, contexts, check)
    )


def _cite_claim(
    question: str, claim: Claim, contexts: Sequence[SearchResult], check: Check
) -> list[Citation]:
    named = claim.marks or _nearest(claim.text, contexts)
    return [
        _citation(number, claim.text, contexts[number - 1], question, check) for number in named
    ]


def _nearest(claim: str, contexts: Sequence[SearchResult]) -> tuple[int, ...]:
    """The passage that a claim without a mark most likely comes from, if any is near."""
    scored = [
        (find_verbatim(claim, c.text) is not None, overlap(claim, c.text), -number)
        for number, c in enumerate(contexts, 1)
    ]
    best = max(scored, default=(False, 0.0, 0))
    return (-best[2],) if best[0] or best[1] >= _CLOSE else ()


def _citation(
    number: int, claim: str, context: SearchResult, question: str, check: Check
) -> Citation:
    span = find_verbatim(claim, context.text)
    support: Support = "verbatim" if span else "unsupported"
    if span is None and _plausible(claim, question, context.text) and check(number, claim):
        support = "entailed"
    start, end = _whole_sentences(context.text, span or _best_sentence(claim, context.text))
    return Citation(
        number=number,
        claim=claim,
        source=context.source,
        title=context.title,
        page=context.page,
        start=context.start + start,
        end=context.start + end,
        quote=context.text[start:end],
        support=support,
    )


def _plausible(claim: str, question: str, passage: str) -> bool:
    """Every number of the claim, and most words that it does not share with the question, must
    stand in the passage. A small chat model asked alone says yes too easily: to a wrong year, or
    to a name from its memory."""
    if not numbers(claim) <= numbers(passage):
        return False
    return _share_of_new_words(claim, question, passage) >= _NEW_WORDS


def _share_of_new_words(claim: str, question: str, passage: str) -> float:
    asked = set(terms(question))
    new = [term for term in dict.fromkeys(terms(claim)) if term not in asked]
    known = set(terms(passage))
    return sum(term in known for term in new) / len(new) if new else 1.0


def _best_sentence(claim: str, text: str) -> tuple[int, int]:
    spans = sentences(text) or [(0, len(text))]
    return max(spans, key=lambda span: (overlap(claim, text[span[0] : span[1]]), -span[0]))


def _whole_sentences(text: str, span: tuple[int, int]) -> tuple[int, int]:
    """The sentences that ``span`` touches, without white space around them."""
    spans = sentences(text)
    start = max((s for s, _ in spans if s <= span[0]), default=span[0])
    end = min((e for _, e in spans if e >= span[1]), default=span[1])
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    return start, start + len(piece.strip())
