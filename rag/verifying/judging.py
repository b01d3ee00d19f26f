"""Whether a passage holds a claim, and where."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag.steps import Steps
from rag.types import Support
from rag.verifying.claims import Claim
from rag.verifying.names import names_in
from rag.verifying.passages import Passage, Unit
from rag.verifying.polarity import opposed
from rag.verifying.quantities import claimed
from rag.verifying.words import content_words, is_figure

Check = Callable[[int, str], Steps[bool]]
"""Asks the chat model, or an entailment model, whether passage ``number`` states a claim."""

_NEW = 0.3
"""The share of the words that a claim adds to its question that must stand beside its place."""
_ALL = 0.5
"""The same of all its words."""
_SAID = 0.5
"""The share of what a claim says of a figure that must stand in the figure's own sentence."""
_ANSWERED = 0.4
"""The same of what the question asks, for a short answer with a figure."""
_TOGETHER = 0.5
"""The share of the question's words beside a short answer from which the model is not asked."""


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
    if claim.is_short:
        return (yield from _judge_short(passage, claim, check))
    if found := passage.find(claim.text):
        return Finding(passage.number, passage.quoted(passage.touched(found[0])), "verbatim")
    place = _place(passage, claim)
    if place is None or not (yield from check(passage.number, claim.text)):
        return None
    return Finding(passage.number, passage.quoted(range(place, place + 1)), "entailed")


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
    return all(name in known.words for name in names) and all(
        known.states(keys, beside) for keys in claim.values
    )


def _place(passage: Passage, claim: Claim) -> int | None:
    """The unit from which a claim may follow."""
    if not passage.units:
        return None
    best = max(
        range(len(passage.units)),
        key=lambda i: (passage.units[i].words.held(claim.words), -i),
    )
    around = passage.around(best).words
    if around.held(claim.words) < _ALL or around.held(claim.new) < _NEW:
        return None
    if opposed(claim.text, passage.units[best].text):
        return None
    clauses = Unit(passage.units[best].span, claim.text).clauses if claim.values else ()
    for keys in claim.values:
        told = next((c.text for c in clauses if keys in claimed(c.text)), claim.text)
        if not any(
            _anchored(passage, i, told, keys) or _anchored(passage, i, claim.text, keys)
            for i in range(len(passage.units))
        ):
            return None
    return best


def _anchored(passage: Passage, index: int, told: str, keys: frozenset[str]) -> bool:
    """Whether a unit states a figure, and what the claim tells of it."""
    unit, beside = passage.units[index], passage.around(index)
    if not unit.states(keys, beside.values):
        return False
    names = names_in(told)
    words = _telling(content_words(told), names.sure | names.opening, passage)
    return _says(passage, index, words, keys) and _same_subject(passage, index, names.sure, keys)


def _telling(words: Sequence[str], names: frozenset[str], passage: Passage) -> list[str]:
    """The words that say something of a subject: neither names, figures nor in the headings."""
    return [
        word
        for word in words
        if word not in names and word not in passage.heading.words and not is_figure(word)
    ]


def _says(
    passage: Passage,
    index: int,
    words: Sequence[str],
    keys: frozenset[str],
    share: float = _SAID,
) -> bool:
    """Whether a unit with a figure says enough of ``words``, and says them of no other figure."""
    unit = passage.units[index]
    known = passage.around(index).words if unit.span.kind == "row" else unit.words
    ours = rival = 0.0
    for clause in unit.clauses:
        said = clause.words.held(words)
        if clause.states(keys, unit.values):
            ours = max(ours, said)
        elif clause.values:
            rival = max(rival, said)
    return known.held(words) >= share and ours >= rival


def _same_subject(
    passage: Passage, index: int, names: frozenset[str], keys: frozenset[str]
) -> bool:
    """Whether the clause with the figure is about one of ``names``: it names one, or nothing else
    and one is named beside it."""
    unit, beside = passage.units[index], passage.around(index).words
    near = passage.whole.words if unit.span.kind != "row" else beside
    known = [n for n in names if n in passage.whole.words and n not in passage.heading.words]
    for clause in unit.clauses:
        if known and clause.states(keys, unit.values):
            if any(name in clause.words for name in known):
                return True
            others = clause.names.sure | clause.names.opening
            if not others and any(name in near for name in known):
                return True
    return not known


def _judge_short(passage: Passage, claim: Claim, check: Check) -> Steps[Finding | None]:
    """A short answer is a claim only together with its question: both must stand in one place."""
    question = claim.question
    found = [passage.touched(span) for span in passage.find(claim.text)]
    whole = [r for r in found if _is_unit(passage, r, claim)]
    if whole and not claim.values:
        return Finding(passage.number, passage.quoted(whole[0]), "verbatim")
    places = found or [
        range(i, i + 1)
        for i in _likely(passage, claim)
        if passage.around(i).words.held(claim.words) >= _ALL
        and not opposed(claim.text, passage.units[i].text)
    ]
    if claim.values:
        places = [r for r in places if _answers(passage, r[0], claim)]
    if not places:
        return None
    asked = [word for word in question.words if word not in claim.words]

    def beside(place: range) -> float:
        unit, near = passage.units[place[0]], passage.around(place[0])
        return near.words.held(asked) + unit.words.held(asked) / 10

    best = max(places, key=lambda place: (beside(place), -place[0]))
    span = passage.quoted(best)
    if found and asked and passage.around(best[0]).words.held(asked) >= _TOGETHER:
        return Finding(passage.number, span, "verbatim")
    if (yield from check(passage.number, claim.with_question)):
        return Finding(passage.number, span, "entailed")
    return None


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
    words = _telling([*question.words, *claim.words], names, passage)
    return all(
        _says(passage, index, words, keys, _ANSWERED) and _same_subject(passage, index, names, keys)
        for keys in claim.values
    )
