"""What else to search for: the question in other words, as the chat model writes them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag.models.thinking import without_thoughts
from rag.prompting.fencing import as_data
from rag.prompting.library import PromptLibrary
from rag.retrieval.prompting import language_of, messages_for, object_for
from rag.retrieval.replies import NextQuestion, OneQuestion, Rewordings, Sufficiency
from rag.retrieval.types import Outcome, Passages, Turn
from rag.steps import Steps, ask
from rag.types import Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_TURNS = 6
_LONGEST_ANSWER = 600
_LONGEST_QUERY = 1000
_SPEAKERS = {"en": ("Q: ", "A: "), "zh": ("问：", "答：")}


def condensed(
    chat: "BaseChatModel", prompts: PromptLibrary, question: str, history: Sequence[Turn]
) -> Steps[Outcome[str]]:
    """The question as it stands without the conversation."""
    asked, answered = _SPEAKERS[language_of(question)]
    lines = [
        line
        for turn in history[-_TURNS:]
        for line in (asked + turn.question, answered + turn.answer[:_LONGEST_ANSWER])
    ]
    values = {"conversation": as_data("\n".join(lines), "conversation>")}
    reply = yield from object_for(
        OneQuestion, "search-condense", chat, prompts, question, values=values
    )
    alone = _query(reply.value.question) or question
    return Outcome(alone, alone, usage=reply.usage)


def reworded(
    chat: "BaseChatModel", prompts: PromptLibrary, question: str, count: int
) -> Steps[Outcome[list[str]]]:
    """Multi-query retrieval, as in RAG-Fusion (Rackauckas 2024, https://arxiv.org/abs/2402.03367):
    up to ``count`` other wordings of the question."""
    values = {"count": str(count)}
    reply = yield from object_for(
        Rewordings, "search-reword", chat, prompts, question, values=values
    )
    queries = [query for query in map(_query, reply.value.questions) if query]
    others = [query for query in dict.fromkeys(queries) if query != question][:count]
    return Outcome(others, "\n".join(others), usage=reply.usage)


def hypothetical(
    chat: "BaseChatModel", prompts: PromptLibrary, question: str
) -> Steps[Outcome[list[str]]]:
    """HyDE (Gao et al. 2022, https://arxiv.org/abs/2212.10496): a passage as one that answers the
    question might be. What it claims is of no account, only what it resembles."""
    messages = messages_for("search-hypothetical", prompts, question)
    reply = yield from ask(chat, messages)
    passage = _query(without_thoughts(str(reply.text)))
    return Outcome([passage] if passage else [], passage, usage=Usage.of(reply))


def stepped_back(
    chat: "BaseChatModel", prompts: PromptLibrary, question: str
) -> Steps[Outcome[list[str]]]:
    """Step-back prompting (Zheng et al. 2023, https://arxiv.org/abs/2310.06117): the more general
    question whose answer the question rests on."""
    reply = yield from object_for(OneQuestion, "search-step-back", chat, prompts, question)
    general = _query(reply.value.question)
    return Outcome([general] if general else [], general, usage=reply.usage)


def next_question(
    chat: "BaseChatModel", prompts: PromptLibrary, question: str, found: Passages
) -> Steps[Outcome[str]]:
    """What to look for after ``found``, as in self-ask (Press et al. 2022,
    https://arxiv.org/abs/2210.03350); empty where nothing is missing."""
    reply = yield from object_for(NextQuestion, "search-next", chat, prompts, question, found=found)
    query = _query(reply.value.search)
    detail = "\n".join(filter(None, (_query(reply.value.known), query)))
    return Outcome(query, detail, usage=reply.usage)


def missing(
    chat: "BaseChatModel", prompts: PromptLibrary, question: str, found: Passages
) -> Steps[Outcome[str]]:
    """What ``found`` lacks for an answer; empty where it suffices."""
    reply = yield from object_for(
        Sufficiency, "search-suffice", chat, prompts, question, found=found
    )
    lacks = "" if reply.value.sufficient else _query(reply.value.missing) or question
    return Outcome(lacks, lacks, usage=reply.usage)


def _query(text: str) -> str:
    """One line to search with."""
    return " ".join(text.split())[:_LONGEST_QUERY]
