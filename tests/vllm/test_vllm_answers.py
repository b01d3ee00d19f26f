"""What one client gets from a real vLLM: answers, streams, objects, tool calls, refusals."""

from typing import Annotated, Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel, ConfigDict, Field

from indexes.collection import Collection
from indexes.errors import ContextOverflowError, EndpointError
from rag import RAG
from rag.attribution import attributed
from rag.models.chat import context_window, list_models
from rag.models.structured import ask_object
from rag.models.tokens import PromptBudget
from rag.serving.status import server_status
from rag.steps import run
from tests.rag import leaning
from tests.vllm.vllm_server import ADAPTER, CONTEXT, Server

QUESTION = "How much water is left in honey when the bees cap the cell?"


class Bee(BaseModel):
    """What a model that is held to a schema cannot get wrong."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=12)
    legs: int = Field(ge=0, le=9)


def test_the_server_is_known(server: Server) -> None:
    status = server_status(server.url, model=server.model)
    assert (status.state, status.error, status.problem(model=server.model)) == ("ready", "", "")
    assert status.models[0] == server.model
    assert status.context == context_window(server.url) == CONTEXT
    assert (status.version or "").count(".") == 2
    assert (status.metrics.running, status.metrics.waiting) == (0, 0)
    assert "does not serve ant" in status.problem(model="ant")
    assert "passages will be left out" in status.problem(needed=CONTEXT + 1)


def test_what_an_answer_leans_on_is_not_asked_of_a_server_with_adapters(server: Server) -> None:
    chat = server.chat()
    found = run(attributed(chat, leaning.ASKED, leaning.ANSWER, PromptBudget.of(chat)))
    # With adapters vLLM would die of what it would be asked.
    assert found.attributions == ()
    assert len(found.notices) == 1
    assert chat.invoke("Hello").text


def test_a_question_is_answered_from_passages(server: Server, bees: Collection) -> None:
    answer = RAG(bees, server.chat(max_tokens=32)).ask(QUESTION, k=2)
    assert answer.model == server.model
    assert answer.usage.prompt_tokens > 100
    assert answer.usage.completion_tokens > 0
    assert (answer.status == "answered") == bool(answer.citations)
    for citation in answer.citations:
        text = bees.document(citation.source).text
        assert text[citation.start : citation.end] == citation.quote != ""


def test_a_stream_comes_in_pieces_and_tells_its_tokens(server: Server) -> None:
    chunks = list(server.chat(max_tokens=12).stream(QUESTION, extra_body={"ignore_eos": True}))
    assert sum(bool(chunk.text) for chunk in chunks) >= 4
    (usage,) = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    assert usage["output_tokens"] == 12
    assert usage["input_tokens"] > 10


def test_an_object_obeys_its_schema(server: Server) -> None:
    asked = [HumanMessage("Describe a bee.")]
    found = ask_object(server.chat(max_tokens=64), asked, Bee, max_retries=0, explain=False)
    assert 0 <= found.value.legs <= 9
    assert (found.way, found.attempts) == ("json_schema", 1)


@tool
def search(
    query: Annotated[str, Field(max_length=24)], limit: Annotated[int, Field(ge=1, le=9)]
) -> str:
    """Search the documents."""
    return query * limit


def test_a_forced_tool_call_has_the_arguments_of_the_tool(server: Server) -> None:
    chat = server.chat(max_tokens=96).bind_tools([search], tool_choice="search", strict=True)
    reply = chat.invoke("Search the documents for honey, three results.")
    (call,) = reply.tool_calls
    assert call["name"] == "search"
    assert {name: type(value) for name, value in call["args"].items()} == {
        "query": str,
        "limit": int,
    }


def test_an_adapter_answers_under_its_own_name(server: Server) -> None:
    if ADAPTER not in list_models(server.url):
        pytest.skip("the server was started without an adapter")
    options: dict[str, Any] = {"extra_body": {"ignore_eos": True}}
    plain = server.chat(max_tokens=8).invoke(QUESTION, **options)
    adapted = server.chat(model=ADAPTER, max_tokens=8).invoke(QUESTION, **options)
    assert adapted.response_metadata["model_name"] == ADAPTER
    assert adapted.text != plain.text


def test_a_prompt_too_long_is_refused_with_a_sentence(server: Server) -> None:
    with pytest.raises(ContextOverflowError, match="too long for the model"):
        server.chat().invoke("honey " * CONTEXT)


def test_passages_that_the_model_cannot_read_are_left_out(server: Server, bees: Collection) -> None:
    rag = RAG(bees, server.chat(max_tokens=16))
    answer = rag.ask("Which honey is made by the bees in the hive?", k=40)
    (notice,) = answer.notices
    assert str(CONTEXT) in notice.replace(",", "")
    assert 2 <= len(answer.contexts) < 40
    assert answer.usage.prompt_tokens > CONTEXT / 2


def test_the_context_of_an_adapter_is_known(server: Server) -> None:
    if ADAPTER not in list_models(server.url):
        pytest.skip("the server was started without an adapter")
    budget = PromptBudget.of(server.chat(model=ADAPTER))
    assert budget is not None
    assert budget.window() == CONTEXT


def test_a_model_that_is_not_served_is_a_sentence(server: Server) -> None:
    with pytest.raises(EndpointError, match="does not know that model"):
        server.chat(model="ant").invoke(QUESTION)
