"""Whether a claim tells what a sentence tells, or only in its words.

That a passage entails a claim is what a model says; a small one says so of «the weight is
restrained by the lever», too, where the lever carries a weight that restrains the valve: all words
are there, and what relates them is another. A claim that follows the sentence in its order, its
clauses and its voice leaves little room for that. One that does not may well be true; it is then
told in the sentence's own words.
"""

import re
from typing import Final

from rag.verifying.aligning import keys_of
from rag.verifying.claims import Claim
from rag.verifying.passages import Unit
from rag.verifying.spans import Span

_IN_ORDER: Final = 0.8
"""The share of the words that both have which must follow the sentence's order."""
_PASSIVE: Final = r"\b(?:am|is|are|was|were|be|been|being|gets?|got) "
_SUFFERING: Final = re.compile(rf"{_PASSIVE}(\w+)(?: (\w+))?")
_DOING: Final = re.compile(
    r"\b(\w+) (?:the|an?|his|her|its|their|this|that|these|those|it|them|him|me|us|you)\b"
)
_BY: Final = re.compile(rf"{_PASSIVE}(?:\w+ )?(?P<deed>[a-z]+) by (?P<doer>[^,.;]*)", re.IGNORECASE)
_LONGEST: Final = 200
"""Words that are compared."""
_SUFFERED: Final = re.compile(r"被(?!称|稱|誉|譽|译|譯|认|認|视|視|叫|当作|當作|列|命名)")


def follows(claim: Claim, sentence: Unit) -> bool:
    """Whether ``claim`` says what it says as ``sentence`` does: its words in their order, both in
    the active voice where one is; what it adds to its question in a clause with something of what
    is asked; nobody's part turned round."""
    ours, theirs = _told(claim, sentence.span), sentence.text
    if bool(_BY.search(ours)) != bool(_BY.search(theirs)):
        ours, theirs = _active(ours), _active(theirs)
    return (
        _in_one_clause(claim, sentence)
        and _in_order(ours, theirs)
        and not _turned_round(ours, theirs)
    )


def _told(claim: Claim, span: Span) -> str:
    """A claim without the clauses that only repeat the question: «When bees swarm, …»."""
    known = claim.question
    clauses = [
        one.text
        for one in Unit(span, claim.text).clauses
        if any(word in one.words for word in claim.new) or one.values - known.values
    ]
    return ", ".join(clauses) or claim.text


def _active(text: str) -> str:
    """«The dance was decoded by Frisch» as «Frisch decoded the dance»."""
    found = _BY.search(text)
    if found is None:
        return text
    start = max(text.rfind(stop, 0, found.start()) for stop in ".;") + 1
    done, rest = text[start : found.start()], text[found.end() :]
    return f"{text[:start]} {found['doer']} {found['deed']} {done} {rest}"


def _in_order(claim: str, sentence: str) -> bool:
    theirs = [key for _, key in keys_of(sentence)[:_LONGEST]]
    both = [key for _, key in keys_of(claim)[:_LONGEST] if key in theirs]
    return _common(both, theirs) >= _IN_ORDER * len(both)


def _common(ours: list[str], theirs: list[str]) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(theirs) + 1)
    for word in ours:
        above = row[:]
        for at, other in enumerate(theirs, 1):
            row[at] = above[at - 1] + 1 if word == other else max(above[at], row[at - 1])
    return row[-1]


def _in_one_clause(claim: Claim, sentence: Unit) -> bool:
    names = claim.names.sure | claim.names.opening
    asked = [word for word in claim.words if word not in claim.new and word not in names]
    told = [one.words for one in sentence.clauses if any(w in one.words for w in claim.new)]
    return not asked or not told or any(word in words for words in told for word in asked)


def _turned_round(claim: str, sentence: str) -> bool:
    """Whether one of both suffers what it does in the other."""
    if bool(_SUFFERED.search(claim)) != bool(_SUFFERED.search(sentence)):
        return True
    (we_suffer, we_do), (they_suffer, they_do) = _parts(claim), _parts(sentence)
    return bool(we_suffer & they_do - they_suffer or they_suffer & we_do - we_suffer)


def _parts(text: str) -> tuple[set[str], set[str]]:
    """The words for what is suffered in a text, and for what is done to something."""
    folded = text.casefold()
    suffered = {word for found in _SUFFERING.finditer(folded) for word in found.groups() if word}
    return suffered, set(_DOING.findall(folded)) - suffered
