"""The sentence of a passage that is shown in the place of a claim."""

import re
from typing import Final

from rag.verifying.claims import Claim
from rag.verifying.following import follows
from rag.verifying.judging import Finding
from rag.verifying.passages import Passage, Unit
from rag.verifying.spans import Span
from rag.verifying.words import line_of, refers

_LONGEST: Final = 300
"""Characters of a sentence that may be shown."""
_BEGINNING: Final = 20
"""Characters in which a word for something that was named before makes a sentence hard to read by
itself."""
_HELD: Final = 0.65
"""The share of what a claim adds to its question that the sentence must hold to take its place."""
_SHAPE: Final = re.compile(r"\A\s*(?:(?:[-*•>]|\d{1,2}[.)、])\s+)+")
# Marks of its own, code, markup, a word cut at the end of a line, more than one item or line of a
# quotation.
_NO_SENTENCE: Final = re.compile(r"[\[［【<>|`]|-\n|\n\s*(?:[-*•#]|\d{1,2}[.)、])\s")
_ENDED: Final = re.compile(r"[.!?。！？…][”’」』）)\"'»]*\s*\Z")
_LEANS: Final = re.compile(
    r"其中|此外|此后|此前|前者|后者|後者|上述|同年|当时|當時|\b(?:the (?:latter|former)|my|our)\b"
    r"|\A\W*(?:however|therefore|both|also|then)\b",
    re.IGNORECASE,
)
"""What is only to be understood behind another sentence, or by whose sentence it is."""
_PAIRS: Final = (
    ("“", "”"),
    ("「", "」"),
    ("『", "』"),
    ("«", "»"),
    ("（", "）"),
    ("(", ")"),
    ("《", "》"),
)
_YES_OR_NO: Final = re.compile(
    r"\W*(?:(?:yes|no|correct|not)\b|是的|是[,，]|否|不是|对|不对|没有|有|不?可以|不?会|不?能|不?需要)",
    re.IGNORECASE,
)


def quote_for(claim: Claim, passage: Passage, finding: Finding) -> str:
    """The sentence, on one line, in which the model alone finds a claim that does not follow it.
    Empty where the claim stays: it follows, or what would be shown is no sentence by itself."""
    text = _SHAPE.sub("", passage.text[slice(*finding.span)], count=1)
    prose = all(passage.units[i].span.kind == "prose" for i in passage.touched(finding.span))
    if finding.support == "verbatim" or not prose or not _stands_alone(text):
        return ""
    if claim.question.yes_no and _YES_OR_NO.match(claim.text):
        return ""
    sentence = Unit(Span(*finding.span, "prose"), text)
    if not _holds(sentence, claim) or follows(claim, sentence):
        return ""
    return line_of(text)


def _stands_alone(text: str) -> bool:
    """Whether a text reads as a sentence by itself. Lines without an end are fields of a form."""
    if len(text) > _LONGEST or _NO_SENTENCE.search(text) or _LEANS.search(text):
        return False
    if "\n" in text.strip() and not _ENDED.search(text):
        return False
    paired = all(text.count(opening) == text.count(closing) for opening, closing in _PAIRS)
    return paired and text.count('"') % 2 == 0 and not refers(text[:_BEGINNING])


def _holds(sentence: Unit, claim: Claim) -> bool:
    """Whether nothing of a claim would be lost: a claim of two facts is more than one of them."""
    return (
        all(keys & sentence.values for keys in claim.values)
        and all(name in sentence.words for name in claim.names.sure)
        and sentence.words.held(claim.new) >= _HELD
    )
