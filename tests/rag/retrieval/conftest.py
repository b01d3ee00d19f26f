"""Finding passages in a real collection, with a chat model that says what a test wrote for it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel

from indexes.collection import Collection
from rag.prompting.library import PromptLibrary
from rag.retrieval.plan import RetrievalPlan
from rag.retrieval.retrieving import Retrieval, Tools, retrieve
from rag.steps import run
from tests.rag.conftest import ScriptedChat

Find = Callable[..., Retrieval]


def thinker(*says: str | dict[str, Any]) -> ScriptedChat:
    """Says one after the other, texts or objects."""
    written = [said if isinstance(said, str) else json.dumps(said) for said in says]
    return ScriptedChat(checks=written)


@pytest.fixture
def find(collection: Collection) -> Find:
    """``find(question, plan, chat, k=…, …)``, performed at once."""

    def find(
        question: str,
        plan: RetrievalPlan,
        chat: BaseChatModel | None = None,
        *,
        k: int = 2,
        reranker: Any = None,
        **options: Any,
    ) -> Retrieval:
        prompts = PromptLibrary.of(collection.home)
        tools = Tools(collection, lambda: chat, prompts, reranker)
        return run(retrieve(tools, question, plan, k=k, **options))

    return find


def fill(collection: Collection, texts: dict[str, str]) -> None:
    """One document for each text, named by its key."""
    collection.add_texts(list(texts.values()), None, list(texts))


def sources(retrieval: Retrieval) -> list[str]:
    """Where the passages stand, best first."""
    return [context.source for context in retrieval.contexts]


def steps_of(retrieval: Retrieval) -> list[str]:
    """The names of the steps that were taken."""
    return [trace.step for trace in retrieval.traces]
