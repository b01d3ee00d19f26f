"""A chat model that says what a test wrote for it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field

from indexes.collection import Collection
from tests.rag.asking import good_server
from tests.rag.scripted_server import Script


class ScriptedChat(BaseChatModel):
    """Answers the question with ``draft``, piece by piece, and each later check with the next of
    ``checks``; keeps every conversation."""

    draft: str = ""
    checks: list[str] = Field(default_factory=list)
    asked: list[list[BaseMessage]] = Field(default_factory=list)
    failure: Exception | None = None

    model_config = ConfigDict(arbitrary_types_allowed=True)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> Iterator[ChatGenerationChunk]:
        self.asked.append(messages)
        for at in range(0, len(self.draft), 7):
            yield ChatGenerationChunk(message=AIMessageChunk(content=self.draft[at : at + 7]))
        if self.failure is not None:
            raise self.failure
        yield ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                usage_metadata={"input_tokens": 11, "output_tokens": 7, "total_tokens": 18},
            )
        )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> ChatResult:
        self.asked.append(messages)
        reply = AIMessage(
            self.checks.pop(0),
            usage_metadata={"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
        )
        return ChatResult(generations=[ChatGeneration(message=reply)])


@pytest.fixture
def scripted() -> Callable[..., ScriptedChat]:
    """Makes a `ScriptedChat`."""
    return ScriptedChat


@pytest.fixture
def server() -> Iterator[Script]:
    """A chat server that answers as it should."""
    with good_server() as script:
        yield script


@pytest.fixture
def mites(collection: Collection) -> Collection:
    """Three documents of two years and languages, to be counted."""
    collection.add_texts(
        ["Varroa mites kill hives.", "A hive without VARROA.", "瓦螨与蜂螨，產量低。"],
        [{"year": 2023}, {"year": 2024}, {"year": 2024}],
        ["/n/reports/mites.txt", "/n/hive.txt", "/n/螨.txt"],
    )
    return collection
