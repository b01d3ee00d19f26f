"""Whether a figure stands in the sentence that says of it what the claim says."""

from collections.abc import Sequence

from rag.verifying.measures import measures_otherwise
from rag.verifying.names import names_in
from rag.verifying.passages import Passage
from rag.verifying.words import content_words, is_figure

SAID = 0.5
"""The share of what a claim says of a figure that must stand in the figure's own sentence."""


def anchored(passage: Passage, index: int, told: str, keys: frozenset[str]) -> bool:
    """Whether a unit states a figure, in the same measure, and what ``told`` tells of it."""
    unit, beside = passage.units[index], passage.around(index)
    if not unit.states(keys, beside.values) or measures_otherwise(told, unit.text):
        return False
    names = names_in(told)
    words = telling(content_words(told), names.sure | names.opening, passage)
    return says(passage, index, words, keys, SAID) and same_subject(
        passage, index, names.sure, keys
    )


def telling(words: Sequence[str], names: frozenset[str], passage: Passage) -> list[str]:
    """The words that say something of a subject: neither names, figures nor in the headings."""
    return [
        word
        for word in words
        if word not in names and word not in passage.heading.words and not is_figure(word)
    ]


def says(
    passage: Passage, index: int, words: Sequence[str], keys: frozenset[str], share: float
) -> bool:
    """Whether a unit with a figure says enough of ``words``, and says them of no other figure. A
    figure by itself between commas, as in «…, on 3 May 1804, …», belongs to what is beside it."""
    unit = passage.units[index]
    known = passage.around(index).words if unit.span.kind == "row" else unit.words
    held = [clause.words.held(words) for clause in unit.clauses]
    ours = rival = 0.0
    for place, (clause, said) in enumerate(zip(unit.clauses, held, strict=True)):
        if clause.states(keys, unit.values):
            alone = all(is_figure(word) for word in content_words(clause.text))
            beside = held[max(0, place - 1) : place + 2] if alone else [said]
            ours = max(ours, *beside)
        elif clause.values:
            rival = max(rival, said)
    return known.held(words) >= share and ours >= rival


def same_subject(passage: Passage, index: int, names: frozenset[str], keys: frozenset[str]) -> bool:
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
