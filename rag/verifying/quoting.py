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
_SHAPE: Final = re.compile(r"\A\s*(?:(?:[-*•>]|\d{1,2}[.)、])\s+)+")
# Marks of its own, code, markup, a word cut at the end of a line, more than one item or line of a
# quotation.
_NO_SENTENCE: Final = re.compile(r"[\[［【<>|`]|-\n|\n\s*(?:[-*•#]|\d{1,2}[.)、])\s")
_YES_OR_NO: Final = re.compile(
    r"\W*(?:(?:yes|no)\b|是的|不是|对|不对|没有|会|不会|能|不能)", re.IGNORECASE
)


def quote_for(claim: Claim, passage: Passage, finding: Finding) -> str:
    """The sentence, on one line, in which the model alone finds a claim that does not follow it.
    Empty where the claim stays: it follows, or what would be shown is no sentence by itself."""
    text = _SHAPE.sub("", passage.text[slice(*finding.span)], count=1)
    prose = all(passage.units[i].span.kind == "prose" for i in passage.touched(finding.span))
    if finding.support == "verbatim" or not prose or _NO_SENTENCE.search(text):
        return ""
    if len(text) > _LONGEST or refers(text[:_BEGINNING]):
        return ""
    if claim.question.yes_no and _YES_OR_NO.match(claim.text):
        return ""
    sentence = Unit(Span(*finding.span, "prose"), text)
    return "" if follows(claim, sentence) else line_of(text)
