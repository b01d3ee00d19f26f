"""The answer path as a LangChain chat model: for an app that has one, and wants cited answers."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import asdict
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field

from indexes.errors import UsageError
from indexes.i18n import t
from rag.answering import RAG, AskOptions
from rag.conversing import Role, Said, conversation_of
from rag.types import Answer, Event, Finished, Token

_ROLES: Mapping[str, Role] = {"system": "system", "human": "user", "ai": "assistant"}


class AnsweringModel(BaseChatModel):
    """Answers the last message from the documents of ``rag``; ``options`` are those of `RAG.ask`.

    The messages before it are the conversation. What the system wants stands behind the rules of
    the library's prompt. Citations and status stand in ``response_metadata``, as in the JSON of
    ``waggle ask``. Raises `UsageError` where the last message is not a question in words.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    rag: RAG
    options: dict[str, Any] = Field(default_factory=dict)

    @property
    def _llm_type(self) -> str:
        return "waggle"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"collection": self.rag.collection.name, **self.options}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> ChatResult:
        del run_manager
        _refuse_stop(stop)
        question, asking = self._asked(messages)
        return _result(self.rag.ask(question, **asking))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> ChatResult:
        del run_manager
        _refuse_stop(stop)
        question, asking = self._asked(messages)
        return _result(await self.rag.aask(question, **asking))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> Iterator[ChatGenerationChunk]:
        _refuse_stop(stop)
        question, asking = self._asked(messages)
        with closing(self.rag.stream(question, **asking)) as events:
            for event in events:
                if (chunk := _chunk(event)) is not None:
                    if run_manager and chunk.text:
                        run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        _refuse_stop(stop)
        question, asking = self._asked(messages)
        async with aclosing(self.rag.astream(question, **asking)) as events:
            async for event in events:
                if (chunk := _chunk(event)) is not None:
                    if run_manager and chunk.text:
                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk

    def _asked(self, messages: Sequence[BaseMessage]) -> tuple[str, AskOptions]:
        talk = conversation_of(_said(messages))
        said = {"history": talk.history, "instructions": talk.instructions}
        return talk.question, cast("AskOptions", {**self.options, **said})


def _said(messages: Sequence[BaseMessage]) -> list[Said]:
    """What was said; not what tools brought. Raises `UsageError` where it does not end with a
    question."""
    spoken = [Said(_ROLES[one.type], one.text) for one in messages if one.type in _ROLES]
    if [one.role for one in spoken if one.role != "system"][-1:] != ["user"]:
        raise UsageError(t("The last message must be the question."))
    return spoken


def _refuse_stop(stop: Sequence[str] | None) -> None:
    if stop:
        raise UsageError(t("An answer is checked as a whole: «stop» cannot cut it."))


def _result(answer: Answer) -> ChatResult:
    message = AIMessage(
        answer.text, response_metadata=_metadata(answer), usage_metadata=_usage(answer)
    )
    return ChatResult(generations=[ChatGeneration(message=message)])


def _chunk(event: Event) -> ChatGenerationChunk | None:
    if isinstance(event, Token):
        return ChatGenerationChunk(message=AIMessageChunk(content=event.text))
    if isinstance(event, Finished):
        return ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                response_metadata=_metadata(event.answer),
                usage_metadata=_usage(event.answer),
                chunk_position="last",
            )
        )
    return None


def _metadata(answer: Answer) -> dict[str, Any]:
    return {
        "model_name": answer.model,
        "status": answer.status,
        "citations": [asdict(citation) for citation in answer.citations],
    }


def _usage(answer: Answer) -> UsageMetadata:
    used = answer.usage
    return UsageMetadata(
        input_tokens=used.prompt_tokens,
        output_tokens=used.completion_tokens,
        total_tokens=used.prompt_tokens + used.completion_tokens,
    )
