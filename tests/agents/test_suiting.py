"""Whether the chosen tool suits, judged by how probable the model finds its «yes»."""

import json
import math
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from langchain.agents.middleware.types import ModelRequest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import ToolCall
from langchain_core.tools import BaseTool, tool

from agents.loop.calling import Calling
from agents.loop.modes import Modes
from agents.toolbox.adapting import as_tool
from agents.toolbox.calculator import calculator_tool
from rag.models.chat import chat_model
from tests.rag.scripted_server import Script, reply, scripted_server, whole


@tool
def book_hotel(city: str) -> str:
    """Books a hotel room."""
    return city


@tool
def moons_of(city: str) -> str:
    """Counts the moons of a planet."""
    return city


@tool
def plan_diet(city: str) -> str:
    """Makes a diet plan."""
    return city


@pytest.fixture
def script() -> Iterator[Script]:
    """Its model calls the first tool that the grammar names, and answers where it names none."""
    with scripted_server() as script:

        def respond(handler: BaseHTTPRequestHandler) -> None:
            action = choices(script.bodies[-1])[0]
            made = {"answer": "I can't."} if action == "answer" else called(action)
            reply(200, whole(content=json.dumps({"thought": "hm", "action": made})))(handler)

        script.answers(respond)
        yield script


def called(name: str) -> dict[str, Any]:
    return {"tool": name, "arguments": {"city": "Oslo"}}


def choices(body: dict[str, Any]) -> list[str]:
    """The tools that the grammar of a step lets the model call, and then the answer."""
    action = body["response_format"]["json_schema"]["schema"]["properties"]["action"]
    return [
        one["properties"]["tool"]["enum"][0] if "tool" in one["properties"] else "answer"
        for one in action.get("anyOf", [action])
    ]


def judgements(script: Script) -> list[str]:
    """The ends of the prompts that ask whether a tool suits."""
    return [one["messages"][-1]["content"] for one in script.bodies if one.get("logprobs")]


def steps(script: Script) -> list[list[str]]:
    return [choices(one) for one in script.bodies if not one.get("logprobs")]


def judges(script: Script, *yes: float, words: tuple[str, str] = ("yes", "no")) -> None:
    """How probable the model finds its yes, one time after the other; then for ever the last."""
    left = list(yes)

    def respond(handler: BaseHTTPRequestHandler) -> None:
        probability = left.pop(0) if len(left) > 1 else left[0]
        top = [
            {"token": word, "logprob": math.log(p), "bytes": None}
            for word, p in zip(words, (probability, 1 - probability), strict=True)
        ]
        answer: Any = whole(content="?")
        answer["choices"][0]["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
        reply(200, answer)(handler)

    script.probabilities = respond


def asked(script: Script, *messages: BaseMessage, tools: list[BaseTool] | None = None) -> AIMessage:
    chat = chat_model(script.url, "suiting", "key", max_retries=0)
    request: ModelRequest[Any] = ModelRequest(
        model=chat,
        messages=list(messages) or [HumanMessage("How many moons has Mars?")],  # type: ignore[arg-type]
        tools=list(tools or [book_hotel]),
    )
    [message] = Calling(chat, Modes(), "json").wrap_model_call(request, lambda _: None).result  # type: ignore[arg-type,return-value]
    assert isinstance(message, AIMessage)
    return message


def test_a_tool_that_does_not_suit_is_taken_away(script: Script) -> None:
    judges(script, 0.2)
    message = asked(script)
    [judged] = judgements(script)
    assert judged.startswith("Request: How many moons has Mars?")
    assert judged.endswith("book_hotel(city: string): Books a hotel room.")
    assert steps(script) == [["book_hotel", "answer"], ["answer"]]
    assert "book_hotel" not in json.dumps(script.bodies[-1])
    assert (message.tool_calls, message.text) == ([], "I can't.")
    assert message.usage_metadata == {"input_tokens": 9, "output_tokens": 6, "total_tokens": 15}
    assert message.additional_kwargs["waggle"]["attempts"] == 1


def test_another_tool_is_looked_for(script: Script) -> None:
    judges(script, 0.84, 0.9)
    message = asked(script, tools=[book_hotel, moons_of, plan_diet])
    assert [call["name"] for call in message.tool_calls] == ["moons_of"]
    assert steps(script)[1] == ["moons_of", "plan_diet", "answer"]
    assert "moons_of(" in judgements(script)[1]


def test_after_two_that_do_not_suit_none_is_offered(script: Script) -> None:
    judges(script, 0.2)
    assert asked(script, tools=[book_hotel, moons_of, plan_diet]).text == "I can't."
    assert len(judgements(script)) == 2
    assert steps(script)[-1] == ["answer"]


@pytest.mark.parametrize("yes", [0.86, 0.99])
def test_one_that_suits_is_called(script: Script, yes: float) -> None:
    judges(script, yes)
    assert asked(script).tool_calls[0]["args"] == {"city": "Oslo"}
    assert len(script.bodies) == 2


def test_a_goal_in_chinese_is_judged_in_chinese(script: Script) -> None:
    judges(script, 0.1, words=("是", "否"))
    assert asked(script, HumanMessage("火星有几颗卫星？")).tool_calls == []
    assert judgements(script)[0].startswith("请求：火星有几颗卫星？")


def test_a_server_without_probabilities_goes_on_as_before(script: Script) -> None:
    assert asked(script).tool_calls
    script.probabilities = reply(200, whole(content="no"))
    assert asked(script).tool_calls


@pytest.mark.parametrize("own", [calculator_tool(), as_tool(calculator_tool())])
def test_beside_tools_for_anything_none_is_judged(script: Script, own: BaseTool) -> None:
    judges(script, 0.1)
    assert asked(script, tools=[book_hotel, own]).tool_calls
    assert judgements(script) == []


def test_none_is_judged_once_a_tool_has_worked(script: Script) -> None:
    judges(script, 0.1)
    message = asked(
        script,
        HumanMessage("Book Oslo"),
        AIMessage("", tool_calls=[ToolCall(name="book_hotel", args={"city": "Oslo"}, id="1")]),
        ToolMessage("booked", tool_call_id="1"),
    )
    assert message.tool_calls
    assert judgements(script) == []
