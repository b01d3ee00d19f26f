"""What ``/v1/responses`` sends. Fields of ours stand beside OpenAI's: ``waggle``, and the places of
quotes in annotations."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from agents.http.openai.citing import AnnotationShape
from agents.http.openai.details import DetailsShape
from agents.shapes import Shape
from rag.types import Usage

Progress = Literal["in_progress", "completed", "incomplete"]


class OutputTextShape(Shape):
    type: Literal["output_text"] = "output_text"
    text: str
    annotations: tuple[AnnotationShape, ...] = ()
    logprobs: tuple[()] = ()


class OutputMessageShape(Shape):
    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    status: Progress
    content: tuple[OutputTextShape, ...]


class FoundShape(Shape):
    file_id: str
    filename: str
    score: float
    text: str
    attributes: Mapping[str, str | float | bool]


class FileSearchShape(Shape):
    """``results`` come where the request includes ``file_search_call.results``."""

    id: str
    type: Literal["file_search_call"] = "file_search_call"
    status: Literal["in_progress", "searching", "completed"]
    queries: tuple[str, ...]
    results: tuple[FoundShape, ...] | None = None


class InputDetailsShape(Shape):
    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputDetailsShape(Shape):
    reasoning_tokens: int = 0


class ResponseUsageShape(Shape):
    input_tokens: int
    input_tokens_details: InputDetailsShape = InputDetailsShape()
    output_tokens: int
    output_tokens_details: OutputDetailsShape = OutputDetailsShape()
    total_tokens: int

    @classmethod
    def of(cls, usage: Usage) -> Self:
        """What an answer cost."""
        taken, given = usage.prompt_tokens, usage.completion_tokens
        return cls(input_tokens=taken, output_tokens=given, total_tokens=taken + given)


class ErrorShape(Shape):
    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    message: str


class IncompleteShape(Shape):
    reason: Literal["max_output_tokens"] = "max_output_tokens"


class ReasoningShape(Shape):
    effort: None = None
    summary: None = None


class TextFormatShape(Shape):
    type: Literal["text"] = "text"


class TextConfigShape(Shape):
    format: TextFormatShape = TextFormatShape()


class ResponseShape(Shape):
    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None = None
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    background: Literal[False] = False
    error: ErrorShape | None = None
    incomplete_details: IncompleteShape | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    metadata: Mapping[str, str]
    model: str
    output: tuple[OutputMessageShape | FileSearchShape, ...] = ()
    parallel_tool_calls: bool = True
    previous_response_id: str | None = None
    reasoning: ReasoningShape = ReasoningShape()
    store: bool
    temperature: float | None = None
    text: TextConfigShape = TextConfigShape()
    tool_choice: Literal["auto", "none"] = "auto"
    tools: tuple[Mapping[str, Any], ...] = ()
    top_p: float | None = None
    truncation: Literal["disabled"] = "disabled"
    usage: ResponseUsageShape | None = None
    user: None = None
    waggle: DetailsShape | None = None


class DeletedShape(Shape):
    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True


class InputTextShape(Shape):
    type: Literal["input_text", "output_text"]
    text: str


class InputItemShape(Shape):
    id: str
    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    status: Literal["completed"] = "completed"
    content: tuple[InputTextShape, ...]


class InputItemsShape(Shape):
    object: Literal["list"] = "list"
    data: tuple[InputItemShape, ...]
    first_id: str
    last_id: str
    has_more: Literal[False] = False
