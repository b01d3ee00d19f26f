"""Who says whether a passage states a claim: an entailment model, else the chat model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from indexes.errors import ContextOverflowError
from indexes.types import SearchResult
from rag.models.thinking import without_thoughts
from rag.prompts import is_yes
from rag.settings import load_verify_settings
from rag.steps import Steps
from rag.verifying.judging import Check

_SHORT: Final[Mapping[str, Any]] = {"max_tokens": 4}

Saying = Callable[[int, str, Mapping[str, Any]], Steps[str | None]]
"""The chat model's reply to `rag.prompts.check_messages` about passage ``number`` and a claim,
asked for with options; ``None`` where it is not to be asked."""


def checker(
    contexts: Sequence[SearchResult],
    saying: Saying,
    lang: str,
    too_long: Callable[[], None] = lambda: None,
) -> Check:
    """Asks the entailment model of the settings about ``contexts``, and where they name none the
    chat model. A claim about which nothing can be asked is not stated; ``too_long`` is told where
    the prompt is the reason."""
    if named := load_verify_settings().nli:
        from rag.verifying.nli import Entailment

        return Entailment(named).check(contexts)

    def check(number: int, claim: str) -> Steps[bool]:
        try:
            said = yield from saying(number, claim, _SHORT)
            if said is not None and not without_thoughts(said).strip():
                # A model that thinks first needs its whole room for that, or never says yes.
                said = yield from saying(number, claim, {})
        except ContextOverflowError:
            too_long()
            return False
        return is_yes(without_thoughts(said or ""), lang)

    return check
