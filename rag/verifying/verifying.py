"""An answer is shown sentence by sentence, each after it was looked up in the passages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from indexes.folding import fold
from indexes.types import SearchResult, page_at
from rag.steps import Steps
from rag.types import Citation
from rag.verifying.claims import Claim, Question
from rag.verifying.code import is_block
from rag.verifying.judging import Check, Finding, judge, nearness
from rag.verifying.listing import SourceList
from rag.verifying.passages import Passage
from rag.verifying.quoting import quote_for
from rag.verifying.segments import Segment, Segments

UNSUPPORTED = "[?]"
"""The mark behind a sentence that no passage holds."""
_CLEARLY = 0.2
"""How much more of a claim's words another passage must hold than the one that it names."""
_CLOSE = 0.3
"""Below this share of its words, a passage that a claim does not name is not looked at."""
_MOST_OTHERS = 2
"""Passages that a claim does not name, but that are looked at."""
_FULL_STOPS = "。！？｡．”’」』）》"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A whole answer, checked.

    ``text`` is all that may be shown of it, ``shown`` the part of it that was not given before.
    ``supported``: at least one claim stands in a passage; otherwise ``text`` is empty.
    ``precision`` is the share of the model's own citations whose passage holds their claim,
    ``recall`` the share of the claims that have a citation which holds them, after correction; each
    ``None`` where there is none to count (citation precision and recall after Gao et al.,
    «Enabling Large Language Models to Generate Text with Citations», EMNLP 2023, with each passage
    judged by itself). A claim without support has an ``unsupported`` citation of the place that is
    most like it. ``held`` is the whole answer, with its marks, where nothing supports it.
    """

    text: str
    shown: str
    citations: tuple[Citation, ...]
    supported: bool
    precision: float | None
    recall: float | None
    held: str = ""


class Verifying:
    """Takes an answer piece by piece and gives what may be shown of it.

    ``strict`` drops the sentences that no passage holds; else `UNSUPPORTED` marks them. A cited
    sentence that was said just before, word for word, is dropped: small models repeat themselves.
    So is a list of sources behind the answer.
    The first sentences wait until one is supported and the words ``awaited`` have been said, or
    until no more comes. A sentence that one of the first ``quoted`` passages holds by the model's
    word alone, and that does not follow it, is shown in the passage's own words, once.
    """

    def __init__(
        self,
        question: str,
        contexts: Sequence[SearchResult],
        check: Check,
        *,
        strict: bool = False,
        awaited: str = "",
        quoted: int = 0,
    ) -> None:
        self._question = Question(question)
        self._passages = [Passage(number, c) for number, c in enumerate(contexts, 1)]
        self._check, self._strict, self._awaited = check, strict, fold(awaited).text
        self._quoted, self._quotes = quoted, set[str]()
        self._segments, self._listing = Segments(), SourceList(question, contexts)
        self._held: list[str] = []
        self._text = ""
        self._said: tuple[str, tuple[int, ...]] | None = None
        self._supported = False
        self._citations: list[Citation] = []
        self._marks = self._marks_held = self._claims = self._claims_held = 0

    def take(self, piece: str) -> Steps[str]:
        """A piece of the answer comes; the whole, checked sentences that may be shown now."""
        shown = ""
        for segment in self._segments.feed(piece):
            shown += yield from self._show(segment)
        return shown

    def finish(self, *, cut: bool = False) -> Steps[Verdict]:
        """No more comes. Of an answer that was ``cut`` off, a sentence that is not whole is left
        out, unless it is all that there is."""
        rest = list(self._segments.close())
        if cut and rest and (self._said or rest[1:]) and not rest[-1].is_whole:
            del rest[-1]
        shown = ""
        for segment in rest:
            shown += yield from self._show(segment)
        self._awaited = ""
        shown += self._release()
        return Verdict(
            self._text,
            shown,
            tuple(self._citations),
            self._supported,
            self._marks_held / self._marks if self._marks else None,
            self._claims_held / self._claims if self._claims else None,
            "".join(self._held).strip(),
        )

    def _show(self, segment: Segment) -> Steps[str]:
        """What may be shown when ``segment`` has come."""
        for one in self._listing.rest(segment, begun=self._supported):
            text, supports = yield from self._checked(one)
            self._held.append(text)
            self._supported = self._supported or supports
        return self._release()

    def _release(self) -> str:
        """What has waited, if it need not wait any longer."""
        if not self._supported:
            return ""
        if self._awaited and self._awaited not in fold("".join(self._held)).text:
            return ""
        self._awaited = ""
        shown = "".join(self._held)
        self._held.clear()
        if not self._text:
            shown = shown.lstrip()
        self._text += shown
        return shown

    def _checked(self, segment: Segment) -> Steps[tuple[str, bool]]:
        """A segment with corrected marks, and whether a passage holds it."""
        if not segment.text:
            return "", False
        claim = Claim(segment.said, self._question)
        if not segment.is_claim:
            return segment.lead + segment.text, False
        before, self._said = self._said, (fold(segment.text).text, segment.marks)
        if segment.marks and self._said == before:
            return "", False
        findings: list[Finding] = []
        if not claim.says_nothing:
            findings = yield from self._findings(claim, segment)
            self._claims += 1
            self._claims_held += bool(findings)
        self._marks += len(segment.marks)
        self._marks_held += len({f.number for f in findings}.intersection(segment.marks))
        if findings:
            return self._shown(claim, segment, findings), True
        if self._strict:
            return "", False
        if claim.says_nothing:
            return segment.lead + segment.text, False
        self._citations.append(self._citation(claim.text, self._nearest(claim)))
        return f"{segment.lead}{_marked(segment.text, UNSUPPORTED)}", False

    def _shown(self, claim: Claim, segment: Segment, findings: list[Finding]) -> str:
        """A claim that passages hold, with their numbers."""
        text = segment.text
        quote = "" if segment.is_code else self._quote(claim, findings)
        if quote:
            if quote in self._quotes:
                return ""
            self._quotes.add(quote)
            text, findings = quote, [replace(findings[0], support="verbatim")]
        self._citations += [self._citation(text, finding) for finding in findings]
        marks = "".join(f"[{finding.number}]" for finding in findings)
        return f"{segment.lead}{_marked(text, marks)}"

    def _quote(self, claim: Claim, findings: list[Finding]) -> str:
        """What is shown of a passage instead of a claim, if anything. A row of a table would be
        none any more."""
        [first, *others] = findings
        if others or first.number > self._quoted or claim.text.startswith("|"):
            return ""
        return quote_for(claim, self._passages[first.number - 1], first)

    def _findings(self, claim: Claim, segment: Segment) -> Steps[list[Finding]]:
        """The passages that hold a claim: those it names, unless another that does is clearly
        nearer to it, for models copy numbers from elsewhere; else the nearest that does."""
        near = {p.number: nearness(p, claim) for p in self._passages}
        named = [n for n in segment.marks if n in near]
        others = sorted((n for n in near if n not in named), key=lambda n: (-near[n], n))
        found = []
        for number in named:
            finding = yield from judge(self._passages[number - 1], claim, self._check)
            found += [finding] if finding else []
        least = max((near[f.number] for f in found), default=_CLOSE - _CLEARLY) + _CLEARLY
        for number in [n for n in others if near[n] >= least][:_MOST_OTHERS]:
            if finding := (yield from judge(self._passages[number - 1], claim, self._check)):
                return [finding]
        return found

    def _nearest(self, claim: Claim) -> Finding:
        """The place most like a claim that no passage holds: what a reader may want to see."""
        passage = max(self._passages, key=lambda one: (nearness(one, claim), -one.number))
        units = range(len(passage.units))
        best = max(
            units, key=lambda i: (passage.units[i].words.held(claim.words), -i), default=None
        )
        span = (0, len(passage.text)) if best is None else passage.quoted(range(best, best + 1))
        return Finding(passage.number, span, "unsupported")

    def _citation(self, claim: str, finding: Finding) -> Citation:
        context = self._passages[finding.number - 1].context
        start, end = finding.span
        return Citation(
            number=finding.number,
            claim=claim,
            source=context.source,
            title=context.title,
            page=page_at(context.page_starts, context.start + start),
            start=context.start + start,
            end=context.start + end,
            quote=context.text[start:end],
            support=finding.support,
        )


def _marked(text: str, marks: str) -> str:
    """A text and its marks; those of a block of code stand below it."""
    if is_block(text):
        return f"{text}\n{marks}"
    return f"{text}{'' if text[-1:] in _FULL_STOPS else ' '}{marks}"
