"""The prompts of the default answer, for callers who need no library: see `rag.prompting`.

Instructions first, then the passages, then the question: calls about the same passages share a
prefix, which the model server keeps in its cache.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from indexes.language import detect_language
from indexes.types import SearchResult
from rag.prompting.fencing import as_data
from rag.prompting.library import SHARED, built_in
from rag.prompting.rendering import messages_of, prefix
from rag.prompting.types import ALONE, MAIN

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

ANSWER = "answer"
"""The name of the default prompt."""
CHECK = "check"
"""The name of the prompt that asks whether a passage states a claim."""

_UNKNOWN = {"en": "I don't know: the documents do not say.", "zh": "不知道：文档里没有写。"}
YES = {"en": ("yes",), "zh": ("是", "yes")}
NO = {"en": ("no",), "zh": ("否", "不", "没", "no")}
_REFUSALS = (
    "i don't know", "i don’t know", "i do not know", "the passages do not", "the documents do not",
    "there is no information", "不知道", "我不知道", "资料里没有", "资料中没有", "文档里没有",
    "文档中没有", "无法回答", "无法确定", "没有提供", "资料没有",
)  # fmt: skip


def prompt_language(question: str) -> str:
    """The language whose prompt fits the question: Chinese, else English."""
    return "zh" if detect_language(question) == "zh" else "en"


def shared_prefix(contexts: Sequence[SearchResult], lang: str) -> tuple[str, str]:
    """The system message, and how the user's message begins, in every prompt about these passages
    (`rag.prompting.rendering.prefix`)."""
    return prefix(built_in().get(SHARED, lang), contexts)


def task_messages(contexts: Sequence[SearchResult], lang: str, task: str) -> "list[BaseMessage]":
    """The messages that set ``task`` about the passages, behind the prefix that all tasks share."""
    from langchain_core.messages import HumanMessage, SystemMessage

    instructions, passages = shared_prefix(contexts, lang)
    return [SystemMessage(instructions), HumanMessage(passages + task)]


def answer_messages(question: str, contexts: Sequence[SearchResult]) -> "list[BaseMessage]":
    """The messages that ask for a cited answer to ``question``, of which nothing is known yet."""
    prompt = built_in().get(ANSWER, prompt_language(question))
    return messages_of(prompt, {"question": question}, contexts, ALONE)


def check_messages(
    asked: "Sequence[BaseMessage]", draft: str, number: int, claim: str, lang: str
) -> "list[BaseMessage]":
    """The same conversation, continued by the question whether a passage states a claim."""
    from langchain_core.messages import AIMessage, HumanMessage

    values = {"number": str(number), "claim": as_data(claim)}
    question = built_in().get(CHECK, lang).steps[MAIN].render(values)
    return [*asked, AIMessage(as_data(draft)), HumanMessage(question)]


def is_yes(reply: str, lang: str) -> bool:
    """Whether a reply to `check_messages` affirms."""
    return reply.strip().lower().startswith(YES[lang])


def is_refusal(reply: str) -> bool:
    """Whether the model said that the passages do not hold the answer."""
    start = reply.strip().lower().lstrip("\"'“”「»«").strip()
    return not start or start.startswith(_REFUSALS)


def unknown(question: str) -> str:
    """That the documents do not say, in the language of the question."""
    return _UNKNOWN[prompt_language(question)]
