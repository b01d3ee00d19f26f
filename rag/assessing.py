"""How sure it is that the passages answer a question, told before an answer is written.

First the model copies the words that answer (the prompt ``extract``). Then it judges three times:
whether the passages can answer the question (``answerable``), whether a sentence of theirs states
just that (``stated``), and, shown nothing but the words' own sentence and cases like it, whether
it states exactly this answer to exactly this question (``exact``). What counts is not what it says
but how probable it finds it: that a model knows when it does not know was measured by Kadavath et
al. 2022 (https://arxiv.org/abs/2207.05221).

All but the last are asked behind the same passages, which the server then has in its cache for the
answer.
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
from rag.prompting.rendering import messages_of, turns_of
from rag.prompting.replies import without_marks
from rag.prompts import NO, YES, is_refusal, prompt_language
from rag.steps import Steps, ask, ask_all
from rag.types import Usage
from rag.verifying.passages import Passage
from rag.verifying.words import asked_words

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage

EXTRACT: Final = "extract"
ABOUT_PASSAGES: Final = ("answerable", "stated")
EXACT: Final = "exact"
PROMPTS: Final = (EXTRACT, *ABOUT_PASSAGES, EXACT)
"""The names of all prompts that are asked."""

_SHORT_TOKENS = 48
_TOLD: Final[Mapping[str, Any]] = {"logprobs": True, "top_logprobs": 20}
"""As many alternatives for each token as OpenAI's protocol allows."""
_LONGEST = 1200
"""Characters of the text around the words: a unit of code has no bounds."""
_SUREST = 1e-6
"""How near to certain a judgement can be; further would outweigh all others."""
_REFUSALS = (400, 422, 501)


@dataclass(frozen=True, slots=True)
class Assessment:
    """``short`` are the words that answer, as the model copied them. ``confidence``, 0 to 1, grows
    with the probability that the passages answer the question with just these words. ``None``
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
        try:
            return (yield from self._assessed(chat, prompts, question, contexts))
        except ContextOverflowError:
            return Assessment()
        except EndpointError as error:
            if getattr(error.__cause__, "status_code", None) not in _REFUSALS:
                raise
            self._silent = True
            return Assessment()

    def _assessed(
        self,
        chat: "BaseChatModel",
        prompts: PromptLibrary,
        question: str,
        contexts: Sequence[SearchResult],
    ) -> Steps[Assessment]:
        lang = prompt_language(question)

        def task(name: str) -> "list[BaseMessage]":
            return messages_of(prompts.get(name, lang), {"question": question}, contexts)

        short = yield from ask(chat, task(EXTRACT), max_tokens=_SHORT_TOKENS, **_TOLD)
        if token_logprobs(short) is None or _thought(short):
            self._silent = True
            return Assessment(usage=Usage.of(short))
        words = without_marks(str(short.text))
        text = text_beside(words, question, contexts)
        exact = {"text": text, "question": question, "short": words}
        judgements = [task(name) for name in ABOUT_PASSAGES]
        judgements.append(turns_of(prompts.get(EXACT, lang), exact))
        signs = yield from ask_all(chat, judgements, max_tokens=1, **_TOLD)
        usage = sum(map(Usage.of, signs), Usage.of(short))
        if is_refusal(words):
            return Assessment("", 0.0, usage)
        return Assessment(words, confidence_of(signs, lang), usage)


def confidence_of(signs: "Sequence[AIMessage]", lang: str) -> float | None:
    """The judgements together: the mean of their log-odds, as a probability. ``None`` where one
    cannot be read."""
    read = [yes_probability(sign, YES[lang], NO[lang]) for sign in signs]
    known = [probability for probability in read if probability is not None]
    if len(known) < len(read):
        return None
    return 1 / (1 + math.exp(-fmean(map(_log_odds, known))))


def text_beside(words: str, question: str, contexts: Sequence[SearchResult]) -> str:
    """The sentence that holds ``words``, of several the one nearest to the question, with its
    neighbours and the document's title; where none does, the sentence most like the question."""
    asked = asked_words(question)
    passages = [Passage(number, context) for number, context in enumerate(contexts, 1)]
    places = [(p, p.touched(span)[0]) for p in passages for span in p.find(words) if p.units]
    if places:
        passage, index = max(places, key=lambda at: at[0].around(at[1]).words.held(asked))
    else:
        units = [(p, index) for p in passages for index in range(len(p.units))]
        if not units:
            return ""
        passage, index = max(units, key=lambda at: at[0].units[at[1]].words.held(asked))
    near = range(max(0, index - 1), min(len(passage.units), index + 2))
    start, end = passage.quoted(near)
    return f"{passage.context.title}. {passage.text[start:end][:_LONGEST]}"


def _thought(reply: "AIMessage") -> bool:
    """Whether the model thinks first, for which these tasks leave no room."""
    return bool(reply.additional_kwargs.get("reasoning_content"))


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, _SUREST), 1 - _SUREST)
    return math.log(bounded / (1 - bounded))
