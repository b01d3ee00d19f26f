"""``waggle/NAME/agent``: the tool loop behind OpenAI's API."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.http.chatting import ChatServer
from tests.http.serving import Running

GOAL: list[Any] = [{"role": "user", "content": "What does the waggle run point to?"}]
MODEL = "waggle/bees/agent"


@pytest.fixture
def api(server: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as api:
        yield api


def call(name: str, **arguments: object) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    calls = [{"id": "call_1", "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def searching(body: dict[str, Any]) -> dict[str, Any] | None:
    """A model that searches, and then answers from what it found."""
    names = [tool["function"]["name"] for tool in body.get("tools") or ()]
    if "add_numbers" in names:  # whether it can call tools
        return call("add_numbers", numbers=[20.5, 22, 7])
    if not any(message["role"] == "tool" for message in body["messages"]):
        return call("search_documents", query="waggle run flowers")
    return {"role": "assistant", "content": "The waggle run points to the flowers [1]."}


def noting(body: dict[str, Any]) -> dict[str, Any] | None:
    """A model that wants to remember something for ever, which needs a decision."""
    names = [tool["function"]["name"] for tool in body.get("tools") or ()]
    if "add_numbers" in names:
        return call("add_numbers", numbers=[20.5, 22, 7])
    return call("remember_fact", text="I like honey.")


def test_an_agent_acts_and_answers(api: openai.OpenAI, chat_server: ChatServer) -> None:
    chat_server.message = searching
    choice = api.chat.completions.create(model=MODEL, messages=GOAL).choices[0]
    assert choice.message.content == "The waggle run points to the flowers. [1]"
    details = choice.model_dump()["waggle"]
    assert details["status"] == "done"
    assert details["run_id"]
    (note,) = choice.message.model_dump()["annotations"]
    assert note["filename"] == "dance.md"


def test_its_steps_are_seen_as_they_come(api: openai.OpenAI, chat_server: ChatServer) -> None:
    chat_server.message = searching
    chunks = list(api.chat.completions.create(model=MODEL, messages=GOAL, stream=True))
    told = [chunk.choices[0].model_dump().get("waggle") for chunk in chunks]
    events = [one["event"] for one in told if one and "event" in one]
    assert events[0] == "began"
    assert "acting" in events
    assert "stepped" in events
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "The waggle run points to the flowers. [1]"
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_response_of_an_agent(api: openai.OpenAI, chat_server: ChatServer) -> None:
    chat_server.message = searching
    events = list(api.responses.create(model=MODEL, input=GOAL[0]["content"], stream=True))
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "The waggle run points to the flowers. [1]"


def test_a_run_that_waits_says_where_to_decide(api: openai.OpenAI, chat_server: ChatServer) -> None:
    chat_server.message = noting
    wish: list[Any] = [{"role": "user", "content": "Remember that I like honey."}]
    choice = api.chat.completions.create(model=MODEL, messages=wish).choices[0]
    details = choice.model_dump()["waggle"]
    assert details["status"] == "waiting_for_approval"
    assert details["pending"]
    assert f"POST /api/agent/runs/{details['run_id']}/decisions" in str(choice.message.content)
    assert choice.finish_reason == "stop"


def test_an_agent_works_once(api: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        api.chat.completions.create(model=MODEL, messages=GOAL, n=2)
