"""The chat client. Importing this module imports LangChain and OpenAI's client (about 2 s)."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import openai
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import Field

from rag.models.chat import as_endpoint_error

CONNECT_SECONDS = 5.0

_NOT_PROTOCOL = (ValueError, LookupError, TypeError, AttributeError)
"""How LangChain meets an answer that is JSON and yet not the protocol's."""

_FAILURES = (openai.OpenAIError, httpx.HTTPError, OSError, *_NOT_PROTOCOL)


class EndpointChat(ChatOpenAI):
    """Chat with vLLM, llama.cpp or another server that speaks OpenAI's protocol.

    What a reasoning model thinks is kept out of the answer, in
    ``additional_kwargs["reasoning_content"]``, where `langchain_core` looks for it. vLLM sends it
    as ``reasoning`` (earlier ``reasoning_content``), llama.cpp as ``reasoning_content``
    (https://docs.vllm.ai/en/latest/features/reasoning_outputs.html); ``ChatOpenAI`` drops both.
    """

    whole_answer_seconds: float = Field(default=600.0, exclude=True)
    """How long an answer that is not streamed may take: nothing arrives before it is complete."""

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
        return result

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with self._own_errors():
            return super()._generate(messages, stop, run_manager, **kwargs)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with self._own_errors():
            return await super()._agenerate(messages, stop, run_manager, **kwargs)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with self._own_errors():
            empty = True
            for chunk in super()._stream(messages, stop, run_manager, **kwargs):
                empty = False
                yield chunk
            if empty:
                raise ValueError("an empty stream")

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        with self._own_errors():
            empty = True
            async for chunk in super()._astream(messages, stop, run_manager, **kwargs):
                empty = False
                yield chunk
            if empty:
                raise ValueError("an empty stream")

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            raise as_endpoint_error(error, self.openai_api_base or "") from error


def _keep_reasoning(kept: dict[str, Any], sent: dict[str, Any] | None) -> None:
    for name in ("reasoning_content", "reasoning"):
        text = (sent or {}).get(name)
        if isinstance(text, str) and text:
            kept["reasoning_content"] = text
            return
