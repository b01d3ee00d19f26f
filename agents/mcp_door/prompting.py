"""The prompt library as prompts of the server: each asks for an answer from passages that are found
and put into it."""

from typing import TYPE_CHECKING, Final

from mcp.types import (
    GetPromptResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
)

from agents.mcp_door.access import Access
from agents.mcp_door.reading import found
from agents.mcp_door.shapes import SearchArguments
from indexes.errors import UsageError
from indexes.i18n import t
from rag.prompting.library import PromptLibrary
from rag.prompting.techniques import first_messages
from rag.prompts import prompt_language

if TYPE_CHECKING:
    from rag.prompting.types import Prompt as LibraryPrompt
    from rag.prompting.types import TechniqueName

PASSAGES: Final = 5
_WHOLE: Final[frozenset["TechniqueName"]] = frozenset(
    {"once", "short-first", "brief", "reason", "sample", "revise"}
)
"""Techniques whose first message asks for the whole answer. The others ask several times, and
search between."""


def listed(access: Access, lang: str) -> list[Prompt]:
    """The prompts, each once, described in the language ``lang`` where it has that. The collection
    must be named where there are several."""
    by_name: dict[str, LibraryPrompt] = {}
    for prompt in PromptLibrary.of(access.shelf.home).shelf().prompts:
        if _whole(prompt) and (prompt.name not in by_name or prompt.language == lang):
            by_name[prompt.name] = prompt
    arguments = [PromptArgument(name="question", description="The question", required=True)]
    if len(access.names()) > 1:
        which = PromptArgument(
            name="collection", description="The collection that is asked", required=True
        )
        arguments.append(which)
    return [
        Prompt(name=name, description=prompt.description, arguments=arguments)
        for name, prompt in by_name.items()
    ]


def filled(access: Access, name: str, arguments: dict[str, str]) -> GetPromptResult:
    """The prompt with the passages for its question. Raises `UsageError` for a prompt that is not
    listed and for a question that is missing, `WaggleError` where nothing can be searched."""
    question = arguments.get("question", "").strip()
    if not question:
        raise UsageError(t("The question is empty."))
    rag = access.shelf.rag(access.caller, access.single(arguments.get("collection", "")))
    prompt = rag.prompts.get(name, prompt_language(question))
    if not _whole(prompt):
        raise UsageError(t("The prompt «{name}» needs several turns: use «ask».", name=name))
    passages = found(rag, SearchArguments(query=question, k=PASSAGES))
    messages = first_messages(prompt, question, passages, rag.collection.embedder)
    text = "\n\n".join(str(message.text) for message in messages)
    content = TextContent(type="text", text=text)
    return GetPromptResult(
        description=prompt.description, messages=[PromptMessage(role="user", content=content)]
    )


def _whole(prompt: "LibraryPrompt") -> bool:
    return prompt.task == "answer" and prompt.technique in _WHOLE
