"""A run as spans of OpenTelemetry, with the names of its conventions for generative AI
(https://opentelemetry.io/docs/specs/semconv/gen-ai/).

Without a provider of spans all of this does nothing. What was said goes into them only where
``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` asks for it.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final

from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.errors import GraphBubbleUp
from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, StatusCode

from agents.loop.observing import extras, usage_of
from agents.loop.types import Run
from indexes.i18n import t
from rag.models.chat import model_name
from rag.tracing import Values, content, failed, said, server_values, spent

if TYPE_CHECKING:
    from langchain.agents.middleware.types import ModelRequest, ModelResponse
    from langchain_core.language_models import BaseChatModel
    from langgraph.prebuilt.tool_node import ToolCallRequest
    from langgraph.types import Command

AGENT: Final = "waggle"
_EXPORTERS: Final = "OTEL_TRACES_EXPORTER"
_RESOURCE: Final = "OTEL_RESOURCE_ATTRIBUTES"
_PROTOCOL: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_ENDPOINT: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Tracing(AgentMiddleware[Any, Any, Any]):
    """Spans for the calls of a run's model and tools, below that of the run."""

    def __init__(self, chat: "BaseChatModel", run_id: str) -> None:
        super().__init__()
        self._tracer = trace.get_tracer("waggle")
        self._server, self._model = server_values(chat), model_name(chat)
        self._shared: Values = {"gen_ai.conversation.id": run_id}
        self._parent = context.get_current()

    @contextmanager
    def run(self, goal: str) -> "Iterator[Callable[[Run], None]]":
        """The span of a run, which the others are below; it is told how the run ended. The span is
        not the current one of the caller, who may do other things between two steps."""
        values: Values = {
            **self._shared, **self._server, "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": AGENT, "gen_ai.request.model": self._model,
            **content("gen_ai.input.messages", said("user", goal)),
        }  # fmt: skip
        span = self._tracer.start_span(f"invoke_agent {AGENT}", attributes=values)
        self._parent = trace.set_span_in_context(span)
        try:
            yield lambda run: _ended(span, run)
        except GeneratorExit:
            span.set_attribute("waggle.run.status", "interrupted")
            raise
        except BaseException as error:
            failed(span, error)
            raise
        finally:
            span.end()

    def wrap_model_call(
        self,
        request: "ModelRequest[Any]",
        handler: "Callable[[ModelRequest[Any]], ModelResponse[Any]]",
    ) -> "ModelResponse[Any]":
        """A span over what becomes a reply: retries and repairs are in it."""
        values = {**self._server, "gen_ai.operation.name": "chat",
                  "gen_ai.request.model": self._model, "gen_ai.output.type": "text"}  # fmt: skip
        with self._span(f"chat {self._model}", SpanKind.CLIENT, values) as span:
            response = handler(request)
            if span.is_recording():
                _replied(span, [m for m in response.result if isinstance(m, AIMessage)])
            return response

    def wrap_tool_call(
        self,
        request: "ToolCallRequest",
        handler: "Callable[[ToolCallRequest], ToolMessage | Command[Any]]",
    ) -> "ToolMessage | Command[Any]":
        """A span over a tool; one that waits for a decision ends there, and begins anew."""
        call = request.tool_call
        values = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": call["name"],
                  "gen_ai.tool.call.id": call["id"] or "", "gen_ai.tool.type": "function",
                  **content("gen_ai.tool.call.arguments", _json(call["args"]))}  # fmt: skip
        with self._span(f"execute_tool {call['name']}", SpanKind.INTERNAL, values) as span:
            message = handler(request)
            if isinstance(message, ToolMessage):
                _returned(span, message)
            return message

    @contextmanager
    def _span(self, name: str, kind: SpanKind, values: Values) -> Iterator[Span]:
        span = self._tracer.start_span(
            name, self._parent, kind, attributes={**self._shared, **values}
        )
        with trace.use_span(
            span, end_on_exit=True, record_exception=False, set_status_on_exception=False
        ):
            try:
                yield span
            except GraphBubbleUp:
                span.set_attribute("waggle.waiting", True)
                raise
            except BaseException as error:
                failed(span, error)
                raise


def export_spans(notice: Callable[[str], None]) -> None:
    """Send the spans of this process where OpenTelemetry's variables say, unless a provider of
    spans is set up already; ``notice`` is told what is missing for it."""
    wanted = _exporters()
    if not wanted or not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporters = [_exporter(name) for name in wanted]
    except ImportError:
        notice(
            t(
                "OpenTelemetry is to be told of this run, but what sends it is not installed. "
                "Install it: pip install opentelemetry-sdk opentelemetry-exporter-otlp"
            )
        )
        return
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name" in os.environ.get(_RESOURCE, "")
    provider = TracerProvider(resource=Resource.create(None if named else {"service.name": AGENT}))
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def _exporters() -> list[str]:
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return []
    named = os.environ.get(_EXPORTERS) or ("otlp" if _variable(_ENDPOINT) else "none")
    return [name for part in named.split(",") if (name := part.strip()) != "none"]


def _exporter(name: str) -> Any:
    """Raises `ImportError` where there is none of that name."""
    names = [name]
    if name == "otlp":
        names = ["otlp_proto_http", "otlp_proto_grpc"]
        if _variable(_PROTOCOL) == "grpc":
            names.reverse()
    known: dict[str, EntryPoint] = {
        entry.name: entry for entry in entry_points(group="opentelemetry_traces_exporter")
    }
    for one in names:
        if one in known:
            return known[one].load()()
    raise ImportError(name)


def _variable(names: Sequence[str]) -> str:
    return next((value for name in names if (value := os.environ.get(name))), "")


def _replied(span: Span, messages: Sequence[AIMessage]) -> None:
    usage = usage_of(messages)
    spent(span, usage)
    for message in messages:
        span.set_attributes(
            {f"waggle.{name}": value for name in ("mode", "attempts")
             if (value := extras(message).get(name))}
        )  # fmt: skip
        if model := message.response_metadata.get("model_name"):
            span.set_attribute("gen_ai.response.model", str(model))
        if message.id:
            span.set_attribute("gen_ai.response.id", message.id)
        reason = "tool_calls" if message.tool_calls else "stop"
        span.set_attribute("gen_ai.response.finish_reasons", [reason])
        span.set_attributes(content("gen_ai.output.messages", said("assistant", message.text)))


def _returned(span: Span, message: ToolMessage) -> None:
    told = extras(message)
    for name in ("effect", "tainted"):
        if name in told:
            span.set_attribute(f"waggle.tool.{name}", told[name])
    span.set_attributes(content("gen_ai.tool.call.result", message.text))
    if told.get("error") or message.status == "error":
        span.set_attribute("error.type", "tool_error")
        span.set_status(StatusCode.ERROR)


def _ended(span: Span, run: Run) -> None:
    spent(span, run.usage)
    span.set_attribute("waggle.run.status", run.status)
    span.set_attribute("waggle.run.steps", len(run.steps))
    span.set_attributes(content("gen_ai.output.messages", said("assistant", run.answer)))
    if run.status == "failed":
        span.set_attribute("error.type", "failed")
        span.set_status(StatusCode.ERROR)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
