"""The chat client. Importing this module imports LangChain and OpenAI's client (about 2 s)."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing, closing
from typing import Any, Self, cast

import httpx
import openai
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import Field, model_validator

from rag.models.completions import AsyncCompletions, Completions
from rag.models.nested import Nested
from rag.models.patience import Patience, Waiting
from rag.models.thinking import ThinkSplitter, split_thoughts
from rag.models.wire import CONNECT_SECONDS

_NOT_PROTOCOL = (ValueError, LookupError, TypeError, AttributeError)
"""How LangChain meets an answer that is JSON and yet not the protocol's."""

_FAILURES = (openai.OpenAIError, httpx.HTTPError, OSError, *_NOT_PROTOCOL)


class EndpointChat(ChatOpenAI):
    """Chat with vLLM, llama.cpp or another server that speaks OpenAI's protocol.

    What a reasoning model thinks is kept out of the answer, in
    ``additional_kwargs["reasoning_content"]``, where `langchain_core` looks for it. vLLM sends it
    as ``reasoning`` (earlier ``reasoning_content``), llama.cpp as ``reasoning_content``
    (https://docs.vllm.ai/en/latest/features/reasoning_outputs.html); ``ChatOpenAI`` drops both.
    A ``<think>`` block that begins the text is moved there, too.

    An attempt that fails before anything has been handed out is repeated as `Patience` says. After
    that nothing is: the ``EndpointError`` holds in ``partial`` what had come.
    """

    whole_answer_seconds: float = Field(default=600.0, exclude=True)
    """How long an answer that is not streamed may take: nothing arrives before it is complete."""

    retry_seconds: float = Field(default=60.0, exclude=True)
    retries: int | None = Field(default=None, exclude=True)
    """How often an attempt is repeated; ``None`` for as often as fits into ``retry_seconds``."""

    waiting: Waiting | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _plain(self) -> Self:
        """Have answers come as plain dictionaries."""
        self.client = Completions(self.root_client)
        self.async_client = AsyncCompletions(self.root_async_client)
        return self

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        # The newer name is unknown to some servers, which then answer without a limit.
        if "max_completion_tokens" in payload:
            payload["max_tokens"] = payload.pop("max_completion_tokens")
        if not payload.get("stream"):
            payload.setdefault(
                "timeout", openai.Timeout(self.whole_answer_seconds, connect=CONNECT_SECONDS)
            )
        return payload

    def _convert_chunk_to_generation_chunk(
        self,
        chunk: dict[str, Any],
        default_chunk_class: type,
        base_generation_info: dict[str, Any] | None,
    ) -> ChatGenerationChunk | None:
        result = super()._convert_chunk_to_generation_chunk(
            chunk, default_chunk_class, base_generation_info
        )
        choices = chunk.get("choices") or (chunk.get("chunk") or {}).get("choices")
        if result is not None and choices:
            _keep_reasoning(result.message.additional_kwargs, choices[0].get("delta"))
        return result

    def _create_chat_result(
        self,
        response: dict[str, Any] | openai.BaseModel,
        generation_info: dict[str, Any] | None = None,
    ) -> ChatResult:
        result = super()._create_chat_result(response, generation_info)
        if not result.generations:
            raise ValueError("no choices")
        raw = response if isinstance(response, dict) else response.model_dump(warnings=False)
        for generation, choice in zip(result.generations, raw["choices"], strict=True):
            _keep_reasoning(generation.message.additional_kwargs, choice["message"])
            if given := raw.get("prompt_logprobs"):  # vLLM's own, beside the choices
                generation.message.response_metadata["prompt_logprobs"] = given
        result.generations = [
            ChatGeneration(message=_split(g.message), generation_info=g.generation_info)
            for g in result.generations
        ]
        return result

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        patience = self._patience()
        while True:
            try:
                return super()._generate(messages, stop, run_manager, **kwargs)
            except _FAILURES as error:
                pause = patience.pause(error)
            time.sleep(pause)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        patience = self._patience()
        while True:
            try:
                return await super()._agenerate(messages, stop, run_manager, **kwargs)
            except _FAILURES as error:
                pause = patience.pause(error)
            await asyncio.sleep(pause)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        patience = self._patience()
        while True:
            reply = StreamedReply()
            try:
                stream = super()._stream(messages, stop, run_manager, **kwargs)
                with closing(cast("Generator[ChatGenerationChunk]", stream)) as chunks:
                    for chunk in chunks:
                        yield from reply.take(chunk)
                yield from reply.finish()
                return
            except _FAILURES as error:
                pause = patience.pause(error, reply.partial)
            time.sleep(pause)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        patience = self._patience()
        while True:
            reply = StreamedReply()
            try:
                stream = super()._astream(messages, stop, run_manager, **kwargs)
                inner = Nested(cast("AsyncGenerator[ChatGenerationChunk]", stream))
                async with aclosing(inner) as chunks:
                    async for chunk in chunks:
                        for ready in reply.take(chunk):
                            yield ready
                for ready in reply.finish():
                    yield ready
                return
            except _FAILURES as error:
                pause = patience.pause(error, reply.partial)
            await asyncio.sleep(pause)

    def _patience(self) -> Patience:
        return Patience(self.openai_api_base or "", self.retry_seconds, self.retries, self.waiting)


class StreamedReply:
    """One streamed answer on its way: thoughts are taken out of it, and it knows what was given.

    Chunks that carry nothing are held until one does, because an attempt that has handed out
    nothing can be repeated without anybody noticing.
    """

    def __init__(self) -> None:
        self._splitter = ThinkSplitter()
        self._held: list[ChatGenerationChunk] = []
        self._answer: str | None = None

    @property
    def partial(self) -> str | None:
        """The answer so far; ``None`` until something has been handed out."""
        return None if self._answer is None else self._answer + self._splitter.finish()[1]

    def take(self, chunk: ChatGenerationChunk) -> list[ChatGenerationChunk]:
        """What can be handed out now that ``chunk`` has come."""
        message = chunk.message
        if isinstance(message.content, str):
            chunk = _rewritten(chunk, *self._splitter.feed(message.content))
        self._held.append(chunk)
        if self._answer is None and not _carries(chunk):
            return []
        return self._release()

    def finish(self) -> list[ChatGenerationChunk]:
        """What is left at the end of the stream. Raises ``ValueError`` if nothing came at all."""
        thought, answer = self._splitter.finish()
        if thought or answer:
            last = ChatGenerationChunk(message=AIMessageChunk(content=""))
            self._held.append(_rewritten(last, thought, answer))
        if self._answer is None and not self._held:
            raise ValueError("an empty stream")
        return self._release()

    def _release(self) -> list[ChatGenerationChunk]:
        released, self._held = self._held, []
        self._answer = (self._answer or "") + "".join(chunk.text for chunk in released)
        return released


def _carries(chunk: ChatGenerationChunk) -> bool:
    message = chunk.message
    return bool(
        message.content or message.additional_kwargs or getattr(message, "tool_call_chunks", None)
    )


def _rewritten(chunk: ChatGenerationChunk, thought: str, answer: str) -> ChatGenerationChunk:
    """The chunk with that text; its own ``text`` is only computed when it is made."""
    if not thought and answer == chunk.message.content:
        return chunk
    message = chunk.message
    message.content = answer
    _add_thought(message, thought)
    return ChatGenerationChunk(message=message, generation_info=chunk.generation_info)


def _split(message: BaseMessage) -> BaseMessage:
    if isinstance(message.content, str):
        thought, message.content = split_thoughts(message.content)
        _add_thought(message, thought)
    return message


def _add_thought(message: BaseMessage, thought: str) -> None:
    if thought:
        before = message.additional_kwargs.get("reasoning_content", "")
        message.additional_kwargs["reasoning_content"] = before + thought


def _keep_reasoning(kept: dict[str, Any], sent: dict[str, Any] | None) -> None:
    for name in ("reasoning_content", "reasoning"):
        text = (sent or {}).get(name)
        if isinstance(text, str) and text:
            kept["reasoning_content"] = text
            return
