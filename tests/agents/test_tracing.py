"""A run as spans, with the names of OpenTelemetry's conventions for generative AI."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from agents.loop.acting import RagAgent
from indexes.collection import Collection
from indexes.errors import EndpointError
from rag.answering import RAG
from tests.agents.scripted_agent import ScriptedAgent, call, say

ROOT = Path(__file__).resolve().parents[2]
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    trace.set_tracer_provider(provider)
    return memory


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    exporter.clear()
    yield exporter
    exporter.clear()


def agent(collection: Collection, *moves: object, **options: object) -> RagAgent:
    chat = ScriptedAgent(moves=list(moves))
    return RagAgent(RAG(collection, chat), **options)  # type: ignore[arg-type]


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def test_a_run_is_a_tree_of_spans(collection: Collection, spans: InMemorySpanExporter) -> None:
    run = agent(collection, call("calculate", expression="6*7"), say("It is forty-two.")).run(
        "6*7?"
    )
    (root,) = named(spans, "invoke_agent waggle")
    asked = named(spans, "chat scripted")
    (tool,) = named(spans, "execute_tool calculate")
    assert len(asked) == 2
    for span in (*asked, tool):
        assert span.parent is not None
        assert root.context is not None
        assert span.parent.span_id == root.context.span_id
        assert attributes(span)["gen_ai.conversation.id"] == run.run_id
    assert attributes(root)["gen_ai.operation.name"] == "invoke_agent"
    assert attributes(root)["waggle.run.status"] == run.status == "done"
    assert attributes(root)["gen_ai.usage.input_tokens"] == run.usage.prompt_tokens
    assert attributes(asked[0])["gen_ai.operation.name"] == "chat"
    assert attributes(asked[0])["gen_ai.usage.input_tokens"] == 100
    assert attributes(asked[0])["gen_ai.usage.output_tokens"] == 10
    assert attributes(asked[0])["gen_ai.response.finish_reasons"] == ("tool_calls",)
    assert attributes(asked[1])["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes(tool)["gen_ai.operation.name"] == "execute_tool"
    assert attributes(tool)["gen_ai.tool.name"] == "calculate"
    assert attributes(tool)["waggle.tool.effect"] == "read"
    told = "".join(span.to_json() for span in spans.get_finished_spans())
    assert not any(words in told for words in ("6*7", "forty-two"))


def test_what_was_said_is_told_where_it_is_asked_for(
    collection: Collection, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONTENT, "true")
    agent(collection, call("calculate", expression="6*7"), say("It is 42.")).run("How much?")
    (root,) = named(spans, "invoke_agent waggle")
    (tool,) = named(spans, "execute_tool calculate")
    said = json.loads(attributes(root)["gen_ai.input.messages"])
    assert said == [{"role": "user", "parts": [{"type": "text", "content": "How much?"}]}]
    assert "It is 42." in attributes(root)["gen_ai.output.messages"]
    assert json.loads(attributes(tool)["gen_ai.tool.call.arguments"]) == {"expression": "6*7"}
    assert "42" in attributes(tool)["gen_ai.tool.call.result"]


def test_a_tool_that_fails_and_one_that_waits(
    collection: Collection, spans: InMemorySpanExporter
) -> None:
    moves = [call("calculate", expression="6*"), call("write_note", name="a", text="b"), say("Ok.")]
    run = agent(collection, *moves).run("Write it down.")
    assert run.status == "waiting_for_approval"
    (failed,) = named(spans, "execute_tool calculate")
    assert failed.status.status_code is StatusCode.ERROR
    assert attributes(failed)["error.type"] == "tool_error"
    (waits,) = named(spans, "execute_tool write_note")
    assert attributes(waits)["waggle.waiting"] is True
    assert waits.status.status_code is StatusCode.UNSET
    (root,) = named(spans, "invoke_agent waggle")
    assert attributes(root)["waggle.run.status"] == "waiting_for_approval"
    assert root.status.status_code is StatusCode.UNSET


def test_a_server_that_fails(collection: Collection, spans: InMemorySpanExporter) -> None:
    run = agent(collection, EndpointError("It is gone.")).run("6*7?")
    assert run.status == "failed"
    (asked,) = named(spans, "chat scripted")
    assert attributes(asked)["error.type"] == "EndpointError"
    (root,) = named(spans, "invoke_agent waggle")
    assert root.status.status_code is StatusCode.ERROR
    assert "gone" not in asked.to_json()


def test_a_stream_that_is_closed(collection: Collection, spans: InMemorySpanExporter) -> None:
    events = agent(collection, call("calculate", expression="1+1"), say("2")).stream("1+1?")
    next(events)
    events.close()
    (root,) = named(spans, "invoke_agent waggle")
    assert attributes(root)["waggle.run.status"] == "interrupted"
    assert root.status.status_code is StatusCode.UNSET


def exported(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a process of its own writes that is set up by OpenTelemetry's variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    lines = ["from agents.loop.tracing import export_spans", "export_spans(print)",
             "from opentelemetry import trace", code]  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True,
        env={**kept, "PYTHONPATH": str(ROOT), "WAGGLE_LANG": "en", **variables}, timeout=120,
    )  # fmt: skip


SPAN = 'trace.get_tracer("t").start_span("a span").end()'


def test_the_variables_say_where_spans_go() -> None:
    told = exported(SPAN, OTEL_TRACES_EXPORTER="console").stdout
    assert '"name": "a span"' in told
    assert '"service.name": "waggle"' in told
    named = exported(SPAN, OTEL_TRACES_EXPORTER="console", OTEL_SERVICE_NAME="mine").stdout
    assert '"service.name": "mine"' in named


@pytest.mark.parametrize(
    "variables",
    [{}, {"OTEL_TRACES_EXPORTER": "none"},
     {"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"}],
)  # fmt: skip
def test_nothing_is_told_unless_it_is_wanted(variables: dict[str, str]) -> None:
    assert exported(SPAN, **variables).stdout == ""


def test_what_is_missing_is_attributes() -> None:
    told = exported(SPAN, OTEL_TRACES_EXPORTER="nowhere").stdout
    assert told.startswith("OpenTelemetry is to be told of this run")
    assert told.endswith("pip install opentelemetry-sdk opentelemetry-exporter-otlp\n")
