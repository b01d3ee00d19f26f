"""The sentences from which a claim may follow."""

from collections.abc import Iterator

from rag.verifying.aligning import Slot, aligned
from rag.verifying.anchoring import anchored
from rag.verifying.claims import Claim
from rag.verifying.passages import Passage, Unit
from rag.verifying.polarity import opposed
from rag.verifying.quantities import claimed
from rag.verifying.words import content_words, is_figure, refers

_NEW = 0.3
"""The share of the words that a claim adds to its question that must stand beside its place."""
_ALL = 0.5
"""The same of all its words."""
_APART = 0.65
"""The same of the words of one of several facts."""
_NEARLY = 0.6
"""The share of the most that any unit tells, from which another one may be the place."""
_TOGETHER = 2
"""Units between which one quote may reach."""
_PART = 3
"""Words of a clause of a claim that are looked for by themselves."""


def place(passage: Passage, claim: Claim) -> range | None:
    """The units from which a claim may follow, at best the one that states what it adds to its
    question."""
    if not passage.units:
        return None
    near = _likely(passage, claim.words, claim)
    around = passage.around(near[0]).words
    if around.held(claim.words) < _ALL or around.held(claim.new) < _NEW:
        return None
    if not _figures_anchored(passage, claim):
        return None
    like = max(near, key=lambda i: aligned(claim.text, passage.units[i].text).followed)
    if any(slot.inner for slot in _exchanged(passage, like, claim.text, claim)):
        return None
    return _whole(passage, near, like, claim) or _in_parts(passage, claim)


def _whole(passage: Passage, near: list[int], like: int, claim: Claim) -> range | None:
    """A unit that may hold the whole of a claim. The one most like it decides whether it is denied,
    or told with something exchanged."""
    if opposed(claim.text, passage.units[like].text):
        return None
    if any(_exchanged(passage, like, claim.text, claim)):
        return None
    for index in near:
        if not _taken(passage, index, claim.text, claim):
            return range(index, index + 1)
    return None


def _likely(passage: Passage, words: list[str], claim: Claim) -> list[int]:
    """The units that tell nearly as much of ``words`` as any, best first: those that state what
    the claim adds to its question, and its figures."""
    units = range(len(passage.units))
    held = [passage.units[i].words.held(words) for i in units]
    new = [word for word in words if word not in claim.question.known]

    def worth(index: int) -> tuple[float, float, int]:
        unit = passage.units[index]
        figures = [unit.states(keys, passage.around(index).values) for keys in claim.values]
        stated = sum(figures) / len(figures) if figures else 0.0
        return held[index] + stated, unit.words.held(new), -index

    near = [i for i in units if held[i] >= _NEARLY * max(held)]
    return sorted(near, key=worth, reverse=True)


def _in_parts(passage: Passage, claim: Claim) -> range | None:
    """The units that may hold a claim of several facts: as many of its clauses as one of them holds
    together, then the others."""
    clauses = [c.text for c in Unit(passage.units[0].span, claim.text).clauses]
    found: list[int] = []
    while clauses:
        size, index = _longest(passage, clauses, claim)
        if not size:
            return None
        found.append(index)
        clauses = clauses[size:]
    if len(set(found)) < 2:  # one unit would hold the claim as a whole
        return None
    first, last = min(found), max(found)
    return range(first, last + 1) if last - first <= _TOGETHER else range(found[0], found[0] + 1)


def _longest(passage: Passage, clauses: list[str], claim: Claim) -> tuple[int, int]:
    """How many of the first ``clauses`` a unit holds together, and which; 0: not even one."""
    for size in range(len(clauses), 0, -1):
        text = ", ".join(clauses[:size])
        words = content_words(text)
        if len(words) >= _PART:
            index = max(
                _likely(passage, words, claim),
                key=lambda i: aligned(text, passage.units[i].text).followed,
            )
            if passage.units[index].words.held(words) >= _APART and not (
                _mixed(passage, index, text, claim) or opposed(text, passage.units[index].text)
            ):
                return size, index
    return 0, 0


def _mixed(passage: Passage, index: int, text: str, claim: Claim) -> bool:
    """Whether what ``text`` adds to the question is taken from elsewhere in the passage, or put
    in the place of something else."""
    return any(_exchanged(passage, index, text, claim)) or _taken(passage, index, text, claim)


def _taken(passage: Passage, index: int, text: str, claim: Claim) -> bool:
    """Whether a unit lacks a name, or most of the words, that ``text`` adds to the question, and
    the passage has them elsewhere."""
    unit, new = passage.units[index], _added(text, claim)
    taken = [
        word
        for word in new
        if not is_figure(word)
        and word not in unit.words
        and word not in passage.heading.words
        and word in passage.whole.words
    ]
    if refers(unit.text):
        above = passage.units[max(0, index - 1)].words
        taken = [word for word in taken if word not in above]
    names = claim.names.sure | claim.names.opening
    return any(word in names for word in taken) or 2 * len(taken) > len(new)


def _exchanged(passage: Passage, index: int, text: str, claim: Claim) -> Iterator[Slot]:
    """Where ``text`` is a unit but for what it adds to the question in the place of something
    else. What is named above may stand at an end instead of a word that refers to it."""
    unit, new = passage.units[index], _added(text, claim)
    far = new
    if refers(unit.text):
        above = passage.units[max(0, index - 1)].words
        far = [word for word in new if word in claim.names.sure or word not in above]
    for slot in aligned(text, unit.text).edited():
        if slot.holds_other(new if slot.inner else far, passage.whole.words):
            yield slot


def _added(text: str, claim: Claim) -> list[str]:
    return [word for word in content_words(text) if word not in claim.question.known]


def _figures_anchored(passage: Passage, claim: Claim) -> bool:
    """Whether each figure stands in a unit that tells the same of it."""
    if not claim.values:
        return True
    clauses = Unit(passage.units[0].span, claim.text).clauses
    for keys in claim.values:
        told = next((c.text for c in clauses if keys in claimed(c.text)), claim.text)
        if not any(
            anchored(passage, i, told, keys) or anchored(passage, i, claim.text, keys)
            for i in range(len(passage.units))
        ):
            return False
    return True
