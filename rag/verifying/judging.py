"""Whether a passage holds a claim, and where."""

from collections.abc import Callable
from dataclasses import dataclass

from indexes.folding import fold
from rag.steps import Steps
from rag.types import Support
from rag.verifying.anchoring import same_subject, says, telling
from rag.verifying.asking import fits
from rag.verifying.claims import Claim
from rag.verifying.measures import measures_otherwise
from rag.verifying.names import initials
from rag.verifying.passages import Passage
from rag.verifying.placing import place
from rag.verifying.polarity import opposed
from rag.verifying.words import is_figure

Check = Callable[[int, str], Steps[bool]]
"""Asks the chat model, or an entailment model, whether passage ``number`` states a claim."""

_ALL = 0.6
"""The share of a short answer's words that must stand beside its place."""
_ANSWERED = 0.4
"""The share of what the question asks that must stand in the sentence of a short answer's
figure."""
_TOGETHER = 0.5
"""The share of the question's words in the sentence of a short answer from which the model is not
asked."""
_SEVERAL = 2
"""Words of the question, from which the model need not be asked for an answer in words."""
_RIVAL = 0.7
"""The share of what the best sentence tells of the question that the one with the answer must."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A passage holds a claim: the span of whole units of its text, and how."""

    number: int
    span: tuple[int, int]
    support: Support


def judge(passage: Passage, claim: Claim, check: Check) -> Steps[Finding | None]:
    """Where ``passage`` holds ``claim``. The model is asked last, and only where names, figures
    and words leave it open: a small one says yes to almost anything."""
    if not _names_held(passage, claim):
        return None
    found = passage.find(claim.text)
    repeats = len(claim.new) < len(claim.words)  # with words of its question it is a statement
    if claim.is_short and (found or not repeats):
        return (yield from _judge_short(passage, claim, check))
    if found:
        return Finding(passage.number, passage.quoted(passage.touched(found[0])), "verbatim")
    found_in = place(passage, claim)
    if found_in is None or not (yield from check(passage.number, claim.text)):
        return None
    return Finding(passage.number, passage.quoted(found_in), "entailed")


def nearness(passage: Passage, claim: Claim) -> float:
    """How much of a claim's words a passage holds, 0..1; above 1 where it stands there whole."""
    words = claim.words or claim.question.words
    return passage.whole.words.held(words) + (2.0 if passage.find(claim.text) else 0.0)


def _names_held(passage: Passage, claim: Claim) -> bool:
    """Every name and figure of a claim must stand in the passage or its headings."""
    known = passage.whole
    names = set(claim.names.sure)
    names |= {word for word in claim.names.opening if word not in claim.question.known}
    beside = known.values
    short = initials(known.text)
    return all(name in known.words or name in short for name in names) and all(
        known.states(keys, beside) for keys in claim.values
    )


def _judge_short(passage: Passage, claim: Claim, check: Check) -> Steps[Finding | None]:
    """A short answer is a claim only together with its question: both must stand in one place."""
    found = [passage.touched(span) for span in passage.find(claim.text)]
    whole = [r for r in found if _is_unit(passage, r, claim)]
    if whole:
        return Finding(passage.number, passage.quoted(whole[0]), "verbatim")
    if not _fits(claim):
        return None
    asked = [word for word in claim.question.words if word not in claim.words]
    asked = [word for word in asked if word not in passage.heading.words] or asked
    best = _asked_for(passage, _places(passage, claim, found), asked)
    if best is None:
        return None
    span = passage.quoted(best)
    if found and asked and _said_together(passage, best[0], claim, asked):
        return Finding(passage.number, span, "verbatim")
    if (yield from check(passage.number, claim.with_question)):
        return Finding(passage.number, span, "entailed")
    return None


def _places(passage: Passage, claim: Claim, found: list[range]) -> list[range]:
    """Where a short answer may stand."""
    places = found or [
        range(i, i + 1)
        for i in _likely(passage, claim)
        if passage.around(i).words.held(claim.words) >= _ALL
        and not opposed(claim.text, passage.units[i].text)
    ]
    if claim.values:
        return [r for r in places if _answers(passage, r[0], claim)]
    return places


def _asked_for(passage: Passage, places: list[range], asked: list[str]) -> range | None:
    """The place that tells most of what is asked, unless a sentence without the answer tells
    clearly more: then that one answers the question, and otherwise."""
    best = max(places, key=lambda at: (passage.tells(at[0], asked), -at[0]), default=None)
    if best is None or not asked:
        return best
    most = max(passage.tells(index, asked) for index in range(len(passage.units)))
    return best if passage.tells(best[0], asked) >= _RIVAL * most else None


def _said_together(passage: Passage, index: int, claim: Claim, asked: list[str]) -> bool:
    """Whether a short answer stands in the very clause that tells most of what is asked, of all
    passage: then the model need not be asked."""
    unit = passage.units[index]
    if len(asked) < _SEVERAL and not claim.values:
        return False
    most = max(other.words.held(asked) for other in passage.units)
    if unit.words.held(asked) < max(most, _TOGETHER):
        return False
    answer = fold(claim.text).text
    said = [(clause.words.held(asked), clause) for clause in unit.clauses]
    best = max((share for share, _ in said), default=0.0)
    return any(share == best and answer in fold(clause.text).text for share, clause in said)


def _fits(claim: Claim) -> bool:
    """Whether a short answer is of the kind that its question wants."""
    rest = [word for word in claim.words if not is_figure(word)]
    return fits(
        claim.question.text, claim.text, figures=bool(claim.values),
        only_figures=bool(claim.values) and not rest,
    )  # fmt: skip


def _is_unit(passage: Passage, place: range, claim: Claim) -> bool:
    """Whether a claim is a whole sentence of the passage: that needs no question."""
    start, end = passage.quoted(place)
    return len(claim.words) > 1 and len(claim.text) >= 0.8 * (end - start)


def _likely(passage: Passage, claim: Claim) -> list[int]:
    """Where a short answer in other words may stand."""
    words = claim.new or claim.question.words
    units = range(len(passage.units))
    held = {i: passage.units[i].words.held(words) for i in units}
    if claim.values:
        return [
            i
            for i in units
            if all(passage.units[i].states(k, passage.around(i).values) for k in claim.values)
        ]
    best = max(held.values(), default=0.0)
    return [i for i in units if held[i] == best and best >= _ALL]


def _answers(passage: Passage, index: int, claim: Claim) -> bool:
    """Whether the figures of a short answer stand in the sentence that the question asks for."""
    question = claim.question
    names = question.names.sure | claim.names.sure
    words = telling([*question.words, *claim.words], names, passage)
    if measures_otherwise(claim.text, passage.units[index].text):
        return False
    return all(
        says(passage, index, words, keys, _ANSWERED) and same_subject(passage, index, names, keys)
        for keys in claim.values
    )
