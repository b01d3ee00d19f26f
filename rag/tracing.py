"""An answer as spans of OpenTelemetry: its stages, and below them the calls of the chat model, with
the names of the conventions for generative AI
(https://opentelemetry.io/docs/specs/semconv/gen-ai/).

Where nobody has set up OpenTelemetry it is not even imported. What was said goes into spans only
where ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` asks for it.
"""

import functools
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Protocol, TypeVar
from urllib.parse import urlsplit

from rag.steps import Ask, Read, Step, Steps, Write, through
from rag.types import Answer, Event, Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

T = TypeVar("T")
Values = Mapping[str, str | int | Sequence[str]]

_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_API: Final = "opentelemetry.trace"
_WORKFLOW: Final = "answer"


class Spans:
    """The spans of one answer, below the one that is current when this is made. None of them is
    ever the current one of the caller, who may do other things between two steps."""

    def __init__(self) -> None:
        self._parent: Context | None = None
        self._on = _API in sys.modules
        if self._on:
            from opentelemetry import context

            self._parent = context.get_current()

    def whole(self, question: str, way: Steps[Answer]) -> Steps[Answer]:
        """The way to an answer, below whose span those of its stages are."""
        if not self._on:
            return (yield from way)
        from opentelemetry.trace import set_span_in_context

        values = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": _WORKFLOW,
                  **content("gen_ai.input.messages", said("user", question))}  # fmt: skip
        span = _begun(f"invoke_workflow {_WORKFLOW}", self._parent, values)
        self._on = span.is_recording()
        self._parent = set_span_in_context(span, self._parent)
        answer = yield from _ended_by(span, way)
        return answer

    def stage(self, name: str, way: Steps[T], values: Values | None = None) -> Steps[T]:
        """A stage of it."""
        if not self._on:
            return (yield from way)
        span = _begun(name, self._parent, values or {})
        return (yield from _ended_by(span, _with_calls(span, self._parent, way)))


class Traced(Protocol):
    """What has `Spans`."""

    spans: Spans


Owner = TypeVar("Owner", bound=Traced)
P = ParamSpec("P")


def stage(
    name: str,
) -> Callable[
    [Callable[Concatenate[Owner, P], Steps[T]]], Callable[Concatenate[Owner, P], Steps[T]]
]:
    """Makes a method that is a way a stage of its object's `Spans`."""

    def decorated(
        method: Callable[Concatenate[Owner, P], Steps[T]],
    ) -> Callable[Concatenate[Owner, P], Steps[T]]:
        @functools.wraps(method)
        def staged(self: Owner, /, *arguments: P.args, **named: P.kwargs) -> Steps[T]:
            return self.spans.stage(name, method(self, *arguments, **named))

        return staged

    return decorated


def retrieval_values(collection: str, k: int, query: str) -> Values:
    """What is told of a search."""
    return {"gen_ai.operation.name": "retrieval", "gen_ai.data_source.id": collection,
            "gen_ai.request.top_k": k, **content("gen_ai.retrieval.query.text", query)}  # fmt: skip


def server_values(chat: "BaseChatModel") -> dict[str, str | int]:
    """Which protocol the model is reached by, and where."""
    from rag.models.chat import server_of

    values: dict[str, str | int] = {"gen_ai.provider.name": "openai"}
    url, _ = server_of(chat) or ("", "")
    if (parts := urlsplit(url)).hostname:
        values["server.address"] = parts.hostname
        values["server.port"] = parts.port or (443 if parts.scheme == "https" else 80)
    return values


def failed(span: "Span", error: BaseException) -> None:
    """The kind of a failure; its words may quote what was said."""
    from opentelemetry.trace import StatusCode

    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(StatusCode.ERROR)


def content(name: str, value: str) -> dict[str, str]:
    """An attribute with what was said, where it is asked for."""
    asked = os.environ.get(_CONTENT, "").lower() in ("true", "span_only", "span_and_event")
    return {name: value} if asked else {}


def said(role: str, text: str) -> str:
    """A message as the conventions write it."""
    whole = [{"role": role, "parts": [{"type": "text", "content": text}]}]
    return json.dumps(whole, ensure_ascii=False)


def _begun(name: str, parent: "Context | None", values: Values, *, call: bool = False) -> "Span":
    from opentelemetry import trace

    kind = trace.SpanKind.CLIENT if call else trace.SpanKind.INTERNAL
    return trace.get_tracer("waggle").start_span(name, parent, kind, attributes=dict(values))


def _ended_by(span: "Span", way: Steps[T]) -> Steps[T]:
    """The way; its span ends with it."""
    try:
        result = yield from way
        if isinstance(result, Answer):
            span.set_attribute("waggle.answer.status", result.status)
            spent(span, result.usage)
            span.set_attributes(content("gen_ai.output.messages", said("assistant", result.text)))
        return result
    except GeneratorExit:
        span.set_attribute("waggle.interrupted", True)
        raise
    except BaseException as error:
        failed(span, error)
        raise
    finally:
        span.end()


def _with_calls(stage: "Span", parent: "Context | None", way: Steps[T]) -> Steps[T]:
    """The way, whose calls of the chat model have spans below that of the stage. A written answer
    goes on while others are asked for."""
    from opentelemetry.trace import set_span_in_context

    within = set_span_in_context(stage, parent)
    writing: Span | None = None

    def end() -> None:
        nonlocal writing
        if writing is not None:
            writing.end()
            writing = None

    def taken(step: Step | Event) -> Steps[Any]:
        nonlocal writing
        if isinstance(step, Ask):
            return (yield from _asked(step, within))
        if isinstance(step, Write):
            end()
            writing = _call(step, within)
        try:
            came: Any = yield step
        except Exception as error:
            if writing is not None and isinstance(step, Write | Read):
                failed(writing, error)
                end()
            raise
        if isinstance(step, Read) and came is None:
            end()
        elif isinstance(step, Read) and writing is not None and Usage.of(came) != Usage():
            spent(writing, Usage.of(came))
        return came

    try:
        return (yield from through(way, taken))
    finally:
        end()


def _asked(step: Ask, parent: "Context") -> Steps[Any]:
    """The replies to what is asked, below a span of its own."""
    call = _call(step, parent)
    try:
        came: Any = yield step
        spent(call, sum((Usage.of(reply) for reply in came), Usage()))
    except Exception as error:
        failed(call, error)
        raise
    finally:
        call.end()
    return came


def _call(step: Ask | Write, parent: "Context") -> "Span":
    """The span of the call that a step begins."""
    from rag.models.chat import model_name

    model = model_name(step.chat)
    values = {**server_values(step.chat), "gen_ai.operation.name": "chat",
              "gen_ai.request.model": model, "gen_ai.output.type": "text"}  # fmt: skip
    return _begun(f"chat {model}", parent, values, call=True)


def spent(span: "Span", usage: Usage) -> None:
    """The tokens that what a span is about has cost."""
    span.set_attribute("gen_ai.usage.input_tokens", usage.prompt_tokens)
    span.set_attribute("gen_ai.usage.output_tokens", usage.completion_tokens)
