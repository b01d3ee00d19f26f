"""New instructions, as the chat model writes them, and what is wrong with those that are refused.

Large language models as optimizers (Yang et al. 2023, https://arxiv.org/abs/2309.03409) and as
prompt engineers (Zhou et al. 2022, https://arxiv.org/abs/2211.01910): the model sees the current
instruction, what it got wrong, and the scores of others.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict

from indexes.errors import ContextOverflowError, StructuredOutputError
from indexes.folding import is_han
from indexes.i18n import t
from rag.evaluation.prompt_lessons import told
from rag.evaluation.records import Outcome
from rag.prompting.fencing import as_data
from rag.prompting.library import PromptLibrary
from rag.prompting.schemas import SCHEMAS
from rag.prompting.types import Prompt

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

PROMPT: Final = "improve"
"""The prompt that asks for an instruction."""
LONGEST: Final = 900
"""Characters of an instruction: it is read with every question."""
_TEMPERATURE = 0.8
_TOKENS = 512
_SHORTEST_ANSWER = 4
_SPACE = re.compile(r"\s+")


class Proposal(BaseModel):
    """What the mistakes have in common comes before what is concluded from it."""

    model_config = ConfigDict(extra="forbid")

    fault: str
    instruction: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A proposal that cannot be used, and why."""

    instruction: str
    reason: str


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a proposal is made from: the prompt, its instruction, some of its mistakes, and the
    instructions that were tried, with their scores."""

    prompt: Prompt
    instruction: str
    mistakes: Sequence[Outcome]
    tried: Sequence[tuple[str, float]]


def proposed(
    chat: "BaseChatModel", library: PromptLibrary, grounds: Grounds, seed: int
) -> str | Refused:
    """An instruction, or why what the model wrote is none. Raises `EndpointError` where the server
    fails."""
    from rag.models.structured import ask_object
    from rag.prompting.rendering import messages_of

    lang = grounds.prompt.language
    mistakes = "\n\n".join(told(outcome, lang) for outcome in grounds.mistakes)
    tried = [f"{score:.2f}: {_one_line(text) or '–'}" for text, score in grounds.tried]
    values = {
        "instruction": as_data(grounds.instruction or "–", "instruction>"),
        "mistakes": as_data(mistakes or "–", "mistakes>"),
        "tried": as_data("\n".join(tried), "tried>"),
    }
    messages = messages_of(library.get(PROMPT, lang), values)
    try:
        reply = ask_object(
            _varied(chat, seed), messages, Proposal, max_retries=1, max_tokens=_TOKENS,
            explain=False,
        )  # fmt: skip
    except (StructuredOutputError, ContextOverflowError) as error:
        return Refused("", str(error))
    text = reply.value.instruction.strip()
    reason = objection(text, grounds)
    return Refused(text, reason) if reason else text


def _varied(chat: "BaseChatModel", seed: int) -> "BaseChatModel":
    """A copy over the same connections that writes something else for each seed, where its kind of
    server knows of one."""
    wanted: dict[str, Any] = {"temperature": _TEMPERATURE, "seed": seed}
    known = type(chat).model_fields
    return chat.model_copy(update={name: wanted[name] for name in wanted if name in known})


def objection(text: str, grounds: Grounds) -> str:
    """Why ``text`` cannot be the prompt's instruction; empty where it can."""
    from rag.prompts import prompt_language

    prompt = grounds.prompt
    fields = SCHEMAS[prompt.output].model_fields if prompt.output else ()
    if not text:
        return t("It is empty.")
    if len(text) > max(LONGEST, 2 * len(grounds.instruction)):
        return t("It is too long: {length} characters.", length=len(text))
    if prompt_language(text) != prompt.language:
        return t("It is in another language.")
    if "{" in text or "}" in text:
        return t("It has variables of its own.")
    if as_data(text) != text or "<!--" in text:
        return t("It has characters that are no part of an instruction.")
    if missing := [name for name in fields if f'"{name}"' not in text]:
        return t("It does not ask for the field «{name}».", name=missing[0])
    if _one_line(text) in {_one_line(tried) for tried, _ in grounds.tried}:
        return t("It was tried already.")
    if _gives_away(text, grounds.mistakes):
        return t("It gives away an answer.")
    return ""


def _gives_away(text: str, mistakes: Sequence[Outcome]) -> bool:
    answers = {
        answer
        for o in mistakes
        for answer in (*o.question.answers, *(form for fact in o.question.facts for form in fact))
    }
    long = (a for a in answers if len(a.encode()) >= _SHORTEST_ANSWER)
    return any(_stands_in(answer, text) for answer in long)


def _stands_in(answer: str, text: str) -> bool:
    """Where words are written apart, as a word of its own."""
    if any(map(is_han, answer)):
        return answer in text
    return re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text, re.IGNORECASE) is not None


def _one_line(text: str) -> str:
    return _SPACE.sub(" ", text).strip()
