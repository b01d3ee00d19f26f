"""How sure it is that the passages answer a question, told before an answer is written.

First the model copies the words that answer (the prompt ``extract``), which are then put as the
passages have them. Then it judges three times:
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
from rag.models.failures import is_refused
from rag.models.logprobs import token_logprobs, yes_probability
from rag.prompting.fencing import place
from rag.prompting.library import PromptLibrary
from rag.prompting.rendering import messages_of, turns_of
from rag.prompting.replies import bare, split_reply
from rag.prompts import NO, YES, is_refusal, prompt_language
from rag.steps import Steps, ask, ask_all, work
from rag.types import Usage
from rag.verifying.passages import Passage
from rag.verifying.wording import as_written
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
_SUREST = 1e-2
"""How near to certain a judgement can be; further would outweigh the two others."""
_SIGN_TOKENS = 3
"""Some models begin with a blank."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """``short`` are the words that answer, as the passages have them. ``confidence``, 0 to 1, grows
    with the probability that the passages answer the question with just these words. There are no
    such words where the model found none or too many, and neither is there where the server gives
    no log-probabilities."""

    short: str = ""
    confidence: float | None = None
    usage: Usage = field(default_factory=Usage)


class Assessor:
    """Asks chat models of one server what they make of passages. One that from the first gives no
    log-probabilities, or thinks before it replies, is not asked again."""

    def __init__(self) -> None:
        self._tells: bool | None = None

    def assess(
        self,
        chat: "BaseChatModel",
        prompts: PromptLibrary,
        question: str,
        contexts: Sequence[SearchResult],
    ) -> Steps[Assessment]:
        """Whether the passages answer the question. Raises `EndpointError` where the server
        fails."""
        if self._tells is False or server_of(chat) is None:
            return Assessment()
        usage = Usage()
        try:
            tasks = yield from work(lambda: _tasks(prompts, question, contexts))
            reply = yield from ask(chat, tasks[EXTRACT], max_tokens=_SHORT_TOKENS, **_TOLD)
            usage += Usage.of(reply)
            if token_logprobs(reply) is None or _thought(reply):
                self._tells = bool(self._tells)
                return Assessment(usage=usage)
            self._tells = True
            words = " ".join(bare(split_reply(reply.text).answer).split())
            if is_refusal(words):
                return Assessment("", 0.0, usage)
            words, exact = yield from work(lambda: _exact(prompts, question, words, contexts))
            judgements = [*(tasks[name] for name in ABOUT_PASSAGES), exact]
            signs = yield from ask_all(chat, judgements, max_tokens=_SIGN_TOKENS, **_TOLD)
        except ContextOverflowError:
            return Assessment(usage=usage)
        except EndpointError as error:
            if not is_refused(error):
                raise
            self._tells = bool(self._tells)
            return Assessment(usage=usage)
        usage = sum(map(Usage.of, signs), usage)
        confidence = confidence_of(signs, prompt_language(question))
        whole = reply.response_metadata.get("finish_reason") != "length"
        return Assessment(words if whole and confidence is not None else "", confidence, usage)


def confidence_of(signs: "Sequence[AIMessage]", lang: str) -> float | None:
    """The judgements together: the mean of their log-odds, as a probability. One that cannot be
    read tells nothing either way; ``None`` where none can."""
    read = [yes_probability(sign, YES[lang], NO[lang]) for sign in signs]
    if all(probability is None for probability in read):
        return None
    odds = [_log_odds(0.5 if probability is None else probability) for probability in read]
    return 1 / (1 + math.exp(-fmean(odds)))


def text_beside(words: str, question: str, passages: Sequence[Passage]) -> str:
    """The sentence that holds ``words``, of several the one nearest to the question, with its
    neighbours and headings; where none does, the sentence most like the question. On one line: a
    document shall not write the lines of the prompt that it stands in."""
    asked = asked_words(question)
    places = [(p, p.touched(span)[0]) for p in passages for span in p.find(words) if p.units]
    if places:
        passage, index = max(places, key=lambda at: at[0].around(at[1]).words.held(asked))
    else:
        units = [(p, index) for p in passages for index in range(len(p.units))]
        if not units:
            return ""
        passage, index = max(units, key=lambda at: at[0].units[at[1]].words.held(asked))
    text = " ".join(" ".join(passage.units[i].text for i in passage.beside(index)).split())
    start = max(0, text.find(words) - _LONGEST // 2)
    return f"{' '.join(place(passage.context).split())}. {text[start : start + _LONGEST]}"


def _tasks(
    prompts: PromptLibrary, question: str, contexts: Sequence[SearchResult]
) -> "dict[str, list[BaseMessage]]":
    """The messages of the prompts about the passages."""
    lang = prompt_language(question)
    return {
        name: messages_of(prompts.get(name, lang), {"question": question}, contexts)
        for name in (EXTRACT, *ABOUT_PASSAGES)
    }


def _exact(
    prompts: PromptLibrary, question: str, words: str, contexts: Sequence[SearchResult]
) -> "tuple[str, list[BaseMessage]]":
    """The words that were copied as the passages have them, and the messages of the last
    judgement about them."""
    passages = [Passage(number, context) for number, context in enumerate(contexts, 1)]
    words = as_written(words, question, passages)
    text = text_beside(words, question, passages)
    values = {"text": text, "question": " ".join(question.split()), "short": words}
    return words, turns_of(prompts.get(EXACT, prompt_language(question)), values)


def _thought(reply: "AIMessage") -> bool:
    """Whether the model thinks first, for which these tasks leave no room."""
    return bool(reply.additional_kwargs.get("reasoning_content"))


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, _SUREST), 1 - _SUREST)
    return math.log(bounded / (1 - bounded))
