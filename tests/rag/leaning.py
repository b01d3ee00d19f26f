"""An answer whose passage is known, to be weighed by real models."""

from indexes.types import SearchResult
from rag.prompts import answer_messages
from rag.types import Answer, Citation, Usage

QUESTION = "Who decoded the waggle dance?"
CLAIM = "Karl von Frisch decoded the waggle dance."
TEXTS = (
    "Honey keeps for years. Lime honey sets to fine white crystals.",
    f"{CLAIM} He shared a Nobel Prize in 1973.",
    "Drones have no sting and are driven out in autumn.",
)
LEANS_ON = 2
CONTEXTS = tuple(
    SearchResult(n, 1.0, f"c{n}", f"/{n}.md", f"note {n}", None, (), 0, len(text), text, {})
    for n, text in enumerate(TEXTS, 1)
)
ASKED = answer_messages(QUESTION, CONTEXTS)
ANSWER = Answer(
    QUESTION, f"{CLAIM} [2]", "answered",
    (Citation(2, CLAIM, "/2.md", "", None, 0, len(CLAIM), CLAIM, "verbatim"),),
    CONTEXTS, "m", "p", "c", 1, Usage(), {},
)  # fmt: skip


def check(weighed: Answer) -> None:
    """What holds for any model that reads its passages."""
    assert weighed.notices == ()
    assert [one.number for one in weighed.attributions] == [1, 2, 3]
    best = weighed.attributions[LEANS_ON - 1]
    assert best.share > 0.9
    assert best.difference > 8
    assert weighed.weighed is not None
    assert weighed.weighed.tokens == 12
    assert weighed.weighed.with_all - weighed.weighed.with_none > 8
    assert all(abs(one.difference) < 4 for one in weighed.attributions if one is not best)
