"""What ``/v1/chat/completions`` sends. Fields of ours stand beside OpenAI's: ``waggle``, and the
places of quotes in annotations."""

from typing import Literal, Self

from agents.http.openai.citing import AnnotationShape
from agents.http.openai.details import DetailsShape
from agents.shapes import Shape
from rag.types import Usage


class ChatUsageShape(Shape):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, usage: Usage) -> Self:
        """What answers cost, together."""
        prompt, completion = usage.prompt_tokens, usage.completion_tokens
        return cls(
            prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
        )


class MessageShape(Shape):
    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: tuple[AnnotationShape, ...]


class ChoiceShape(Shape):
    index: int
    message: MessageShape
    logprobs: None = None
    finish_reason: Literal["stop", "length"] = "stop"
    waggle: DetailsShape


class ChatCompletionShape(Shape):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: tuple[ChoiceShape, ...]
    usage: ChatUsageShape
    system_fingerprint: None = None
