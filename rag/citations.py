"""From a drafted answer to claims, each with the exact span of the source it leans on."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from indexes.types import SearchResult, page_at
from rag.matching import content_words, find_verbatim, held, numbers, sentences
from rag.types import Citation, Support

Check = Callable[[int, str], bool]
"""Asks the chat model whether passage ``number`` states a claim."""

_MARK = re.compile(r"\s*[\[［【]\s*(\d{1,3}(?:\s*[,，、;；]\s*\d{1,3})*)\s*[\]］】]")
_MARKS = re.compile(rf"(?:{_MARK.pattern})*")
_NUMBER = re.compile(r"\d{1,3}")
_LEAD_IN = re.compile(r"^(?:根据|依据|按照)(?:以上|上述)?(?:资料|文档|段落)[\s和与及、,，]*(?=\S)")
_LIST_ITEM = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)、])\s+")
_NEW_WORDS = 0.3
"""The share of the words a claim adds to its question that must stand in the passage."""
_CLOSE = 0.3
"""Below this overlap no passage is named for a claim without a mark."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of the answer without its marks, and the passages it names."""

    text: str
    marks: tuple[int, ...]


def claims(answer: str, passages: int) -> list[Claim]:
    """The sentences of an answer. A mark belongs to the sentence it stands in or follows; marks
    beyond the number of ``passages`` are dropped."""
    return [
        claim
        for line in answer.splitlines()
        for claim in _line_claims(_LIST_ITEM.sub("", line), passages)
    ]


def _line_claims(line: str, passages: int) -> list[Claim]:
    plain, marks = _without_marks(line)
    found = []
    for start, end in sentences(plain):
        named = [
            n for at, numbers in marks if start < at <= end for n in numbers if 0 < n <= passages
        ]
        text = _LEAD_IN.sub("", plain[start:end].strip())
        if any(char.isalnum() for char in text):
            found.append(Claim(text, tuple(dict.fromkeys(named))))
    return found


def _without_marks(line: str) -> tuple[str, list[tuple[int, list[int]]]]:
    """The text alone, and each mark's numbers with the offset in that text after which it stood."""
    plain = ""
    marks = []
    last = 0
    for match in _MARK.finditer(line):
        plain += line[last : match.start()]
        marks.append((len(plain.rstrip()), [int(n) for n in _NUMBER.findall(match.group(1))]))
        last = match.end()
    return plain + line[last:], marks


def cite(
    question: str, answer: str, contexts: Sequence[SearchResult], check: Check
) -> tuple[Citation, ...]:
    """One citation for each claim and each passage it leans on, in the order of the answer."""
    return tuple(
        citation
        for claim in claims(answer, len(contexts))
        for citation in _cite_claim(question, claim, contexts, check)
    )


def with_marks(answer: str, citations: Sequence[Citation]) -> str:
    """The answer with each sentence that is supported marked by the passages that support it; the
    marks of the other sentences stay as the model set them."""
    supported: dict[str, list[int]] = {}
    for citation in citations:
        if citation.support != "unsupported":
            supported.setdefault(citation.claim, []).append(citation.number)
    text = answer
    for claim, passages in supported.items():
        at = text.find(claim)
        if at >= 0:
            end = at + len(claim)
            after = _MARKS.match(text, end)
            rest = text[after.end() if after else end :]
            text = text[:end] + "".join(f" [{number}]" for number in passages) + rest
    return text


def _cite_claim(
    question: str, claim: Claim, contexts: Sequence[SearchResult], check: Check
) -> list[Citation]:
    """Against the passages it names; where none of them supports it, against the nearest, which
    then takes their place if it does."""
    cited = [_citation(n, claim.text, contexts[n - 1], question, check) for n in claim.marks]
    if any(citation.support != "unsupported" for citation in cited):
        return cited
    nearest = [n for n in _nearest(claim.text, contexts) if n not in claim.marks]
    found = [_citation(n, claim.text, contexts[n - 1], question, check) for n in nearest]
    if any(citation.support != "unsupported" for citation in found):
        return found
    return cited or found


def _nearest(claim: str, contexts: Sequence[SearchResult]) -> tuple[int, ...]:
    """The passage that a claim most likely comes from, if any is near."""
    words = content_words(claim)
    scored = [
        (find_verbatim(claim, c.text) is not None, held(words, c.text), -number)
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
        page=page_at(context.page_starts, context.start + start),
        start=context.start + start,
        end=context.start + end,
        quote=context.text[start:end],
        support=support,
    )


def _plausible(claim: str, question: str, passage: str) -> bool:
    """Every number of the claim, and most words that it adds to the question, must stand in the
    passage; where it only repeats the question, all of them. A small chat model asked alone says
    yes too easily: to a wrong year, or to a name from its memory."""
    if not numbers(claim) <= numbers(passage):
        return False
    asked = set(content_words(question))
    words = content_words(claim)
    new = [word for word in words if word not in asked]
    return held(new, passage) >= _NEW_WORDS if new else held(words, passage) == 1


def _best_sentence(claim: str, text: str) -> tuple[int, int]:
    words = content_words(claim)
    spans = sentences(text)
    return max(spans, key=lambda span: (held(words, text[span[0] : span[1]]), -span[0]))


def _whole_sentences(text: str, span: tuple[int, int]) -> tuple[int, int]:
    """The sentences that ``span`` touches, without white space around them."""
    spans = sentences(text)
    start = max((s for s, _ in spans if s <= span[0]), default=span[0])
    end = min((e for _, e in spans if e >= span[1]), default=span[1])
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    return start, start + len(piece.strip())
