"""An answer as spans: its stages, the calls below them, what is told of them and what is not."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from indexes.collection import Collection
from indexes.errors import EndpointError
from rag import RAG
from rag.models.chat import chat_model
from rag.types import Token
from tests.rag.scripted_server import reply, scripted_server

Make = Callable[..., Any]
QUESTION = "Which prize did the decoder of the dance win?"
DRAFT = "He shared a Nobel Prize in 1973. [1]"
CHECKED = "The man who decoded the dance, Karl von Frisch, won a Nobel Prize. [1] "
"""A sentence that the model is asked about while the answer still comes."""


class Begun(SpanProcessor):
    """The names of the spans that have begun and not ended."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.all: list[str] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.open.append(span.name)
        self.all.append(span.name)

    def on_end(self, span: ReadableSpan) -> None:
        self.open.remove(span.name)


@pytest.fixture
def notes(collection: Collection) -> Collection:
    collection.add_texts(["Karl von Frisch decoded it. He shared a Nobel Prize in 1973."], None,
                         ["/notes/dance.md"])  # fmt: skip
    return collection


@pytest.fixture
def begun() -> Begun:
    return Begun()


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch, begun: Begun) -> InMemorySpanExporter:
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    provider.add_span_processor(begun)
    monkeypatch.setattr("opentelemetry.trace.get_tracer", provider.get_tracer)
    return memory


def named(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def below(span: ReadableSpan, parent: ReadableSpan) -> bool:
    assert parent.context is not None
    return span.parent is not None and span.parent.span_id == parent.context.span_id


def test_an_answer_is_a_tree_of_spans(
    notes: Collection, scripted: Make, exporter: InMemorySpanExporter
) -> None:
    answer = RAG(notes, scripted(draft=DRAFT)).ask(QUESTION, k=2)
    spans = named(exporter)
    whole, generate = spans["invoke_workflow answer"], spans["generate"]
    assert whole.attributes is not None
    assert whole.attributes["waggle.answer.status"] == answer.status == "answered"
    assert whole.attributes["gen_ai.usage.input_tokens"] == answer.usage.prompt_tokens == 11
    search = spans["retrieval test"]
    assert search.attributes is not None
    assert search.attributes["gen_ai.data_source.id"] == "test"
    assert search.attributes["gen_ai.request.top_k"] == 2
    for stage in ("retrieval test", "assess", "generate", "verify"):
        assert below(spans[stage], whole), stage
    calls = [span for span in exporter.get_finished_spans() if span.name == "chat scripted"]
    (written,) = [span for span in calls if below(span, generate)]
    assert written.kind is SpanKind.CLIENT
    assert written.attributes is not None
    assert written.attributes["gen_ai.operation.name"] == "chat"
    assert written.attributes["gen_ai.usage.output_tokens"] == 7
    told = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert not any(words in told for words in ("Nobel", "decoder", "dance.md"))


def test_a_sentence_checked_while_the_answer_is_written(
    notes: Collection, scripted: Make, exporter: InMemorySpanExporter, begun: Begun
) -> None:
    chat = scripted(draft=CHECKED + DRAFT, checks=["Yes"] * 9)
    RAG(notes, chat).ask(QUESTION)
    generate = named(exporter)["generate"]
    calls = [span for span in exporter.get_finished_spans() if below(span, generate)]
    spent = [(span.attributes or {})["gen_ai.usage.output_tokens"] for span in calls]
    assert begun.open == []
    assert sorted(map(str, spent)) == ["1", "7"]


def test_what_was_said_is_told_where_it_is_asked_for(
    notes: Collection, scripted: Make, exporter: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    RAG(notes, scripted(draft=DRAFT)).ask(QUESTION)
    spans = named(exporter)
    assert QUESTION in spans["invoke_workflow answer"].to_json()
    assert "Nobel Prize" in spans["invoke_workflow answer"].to_json()
    assert QUESTION in spans["retrieval test"].to_json()


def test_a_server_that_fails(notes: Collection, exporter: InMemorySpanExporter) -> None:
    with scripted_server() as server:
        server.answers(reply(400, {"error": {"message": "no"}}))
        chat = chat_model(server.url, "scripted", retry_seconds=0)
        with pytest.raises(EndpointError):
            RAG(notes, chat).ask(QUESTION)
    spans = named(exporter)
    assert spans["invoke_workflow answer"].status.status_code is StatusCode.ERROR
    assert any(span.name == "chat scripted" and span.status.status_code is StatusCode.ERROR
               for span in exporter.get_finished_spans())  # fmt: skip


@pytest.mark.anyio
async def test_a_stream_that_is_closed_ends_its_spans(
    notes: Collection, scripted: Make, exporter: InMemorySpanExporter, begun: Begun
) -> None:
    chat = scripted(draft=CHECKED + DRAFT * 3, checks=["Yes"] * 9)
    async with aclosing(RAG(notes, chat).astream(QUESTION)) as events:
        async for event in events:
            if isinstance(event, Token) and len(chat.asked) > 1:
                break
    spans = named(exporter)
    whole = spans["invoke_workflow answer"]
    assert whole.attributes is not None
    assert whole.attributes["waggle.interrupted"] is True
    assert whole.status.status_code is StatusCode.UNSET
    assert begun.all.count("chat scripted") == 2
    assert begun.open == []
    assert "retrieval test" in spans


def test_nobody_who_has_not_set_it_up_loads_it() -> None:
    code = (
        "import sys; from rag.tracing import Spans; spans = Spans()\n"
        "def way():\n    return 1\n    yield\n"
        "from rag.steps import run\n"
        "assert run(spans.stage('x', way())) == 1\n"
        "assert not any(name.startswith('opentelemetry') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
