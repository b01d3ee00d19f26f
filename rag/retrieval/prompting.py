"""How a technique puts its prompt to the chat model."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rag.models.structured_json import ModelT
from rag.prompting.fencing import as_data
from rag.prompting.library import PromptLibrary
from rag.retrieval.types import Passages
from rag.steps import Steps

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

    from rag.models.structured import Structured


def messages_for(
    name: str,
    prompts: PromptLibrary,
    question: str,
    values: Mapping[str, str] | None = None,
    found: Passages = (),
) -> "list[BaseMessage]":
    """The prompt ``name`` in the language of the question, about the passages ``found``. Question
    and ``values`` are data; the question cannot close the markers that it stands between."""
    from rag.prompting.rendering import messages_of

    given = {**(values or {}), "question": as_data(question, "question>")}
    return messages_of(prompts.get(name, language_of(question)), given, found)


def object_for(
    schema: type[ModelT],
    name: str,
    chat: "BaseChatModel",
    prompts: PromptLibrary,
    question: str,
    *,
    values: Mapping[str, str] | None = None,
    found: Passages = (),
) -> "Steps[Structured[ModelT]]":
    """The ``schema`` that the chat model writes for that prompt, which says what each field is."""
    from rag.models.structured import object_of

    messages = messages_for(name, prompts, question, values, found)
    return (yield from object_of(chat, messages, schema, explain=False))


def language_of(question: str) -> str:
    """The language whose prompt fits the question."""
    from rag.prompts import prompt_language

    return prompt_language(question)
