"""How sure it is that the passages answer a question, told before an answer is written.

Three small tasks are set behind the passages, which the model server then has in its cache for the
answer: copy the words that answer (the prompt ``extract``), say whether the question can be
answered (``answerable``), and whether a sentence states exactly that (``stated``). What counts is
not what the model says but how probable it finds it: that a model knows when it does not know was
measured by Kadavath et al. 2022 (https://arxiv.org/abs/2207.05221).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from indexes.errors import ContextOverflowError, EndpointError
from indexes.types import SearchResult
from rag.models.chat import server_of
from rag.models.logprobs import token_logprobs, yes_probability
from rag.prompting.library import PromptLibrary
from rag.prompting.rendering import messages_of
from rag.prompting.replies import without_marks
from rag.prompts import NO, YES, is_refusal, prompt_language
from rag.steps import Steps, ask, ask_all
from rag.types import Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage

EXTRACT: Final = "extract"
SIGNS: Final = ("answerable", "stated")
"""The prompts of the questions to be affirmed or denied."""

_SHORT_TOKENS = 48
_TOLD: Final[Mapping[str, Any]] = {"logprobs": True, "top_logprobs": 20}
"""As many alternatives for each token as OpenAI's protocol allows."""
_SUREST = 1e-6
"""How near to certain a sign can be; further would outweigh all others."""
_REFUSALS = (400, 422, 501)


@dataclass(frozen=True, slots=True)
class Assessment:
    """``short`` are the words that answer, as the model copied them. ``confidence``, 0 to 1, grows
    with the probability that the passages answer the question with just these words; ``None``
    where the server gives no log-probabilities, and no short answer then either."""

    short: str = ""
    confidence: float | None = None
    usage: Usage = field(default_factory=Usage)


class Assessor:
    """Asks chat models of one server what they make of passages. One that gives no
    log-probabilities, or thinks before it replies, is not asked again."""

    def __init__(self) -> None:
        self._silent = False

    def assess(
        self,
        chat: "BaseChatModel",
        prompts: PromptLibrary,
        question: str,
        contexts: Sequence[SearchResult],
    ) -> Steps[Assessment]:
        """Whether the passages answer the question. Raises `EndpointError` where the server
        fails."""
        if self._silent or server_of(chat) is None:
            return Assessment()
        lang = prompt_language(question)

        def task(name: str) -> "list[BaseMessage]":
            return messages_of(prompts.get(name, lang), {"question": question}, contexts)

        try:
            short = yield from ask(chat, task(EXTRACT), max_tokens=_SHORT_TOKENS, **_TOLD)
            if token_logprobs(short) is None or _thought(short):
                self._silent = True
                return Assessment(usage=Usage.of(short))
            tasks = [task(name) for name in SIGNS]
            signs = yield from ask_all(chat, tasks, max_tokens=1, **_TOLD)
        except ContextOverflowError:
            return Assessment()
        except EndpointError as error:
            if getattr(error.__cause__, "status_code", None) not in _REFUSALS:
                raise
            self._silent = True
            return Assessment()
        words = without_marks(str(short.text))
        usage = sum(map(Usage.of, signs), Usage.of(short))
        if is_refusal(words):
            return Assessment("", 0.0, usage)
        return Assessment(words, confidence_of(short, signs, lang), usage)


def confidence_of(short: "AIMessage", signs: "Sequence[AIMessage]", lang: str) -> float | None:
    """The signs together: the mean of their log-odds, as a probability. The short answer's is the
    probability of the whole of it. ``None`` where a sign cannot be read."""
    tokens = token_logprobs(short)
    read = [yes_probability(sign, YES[lang], NO[lang]) for sign in signs]
    known = [probability for probability in read if probability is not None]
    if tokens is None or len(known) < len(read):
        return None
    written = math.exp(sum(token.logprob for token in tokens))
    return 1 / (1 + math.exp(-fmean(map(_log_odds, [*known, written]))))


def _thought(reply: "AIMessage") -> bool:
    """Whether the model thinks first, for which these tasks leave no room."""
    return bool(reply.additional_kwargs.get("reasoning_content"))


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, _SUREST), 1 - _SUREST)
    return math.log(bounded / (1 - bounded))
