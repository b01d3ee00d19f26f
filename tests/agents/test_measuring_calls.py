"""Which calls are right, and how a model's are got at in both ways."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from agents.measuring.calls import ACEBENCH_EN, ACEBENCH_ZH, BFCL
from agents.measuring.matching import are_expected, exactly, is_expected
from agents.measuring.offering import TODAY, day_in, json_schema, spoken, tools_of
from agents.measuring.types import Bench, Case, Done, TaskSet, Way
from rag.evaluation.datasets import data_folder
from rag.models.chat import chat_model
from tests.rag.scripted_server import Script, reply, scripted_server, whole

PLAY: dict[str, Any] = {
    "name": "radio.play",
    "description": "Plays a song.",
    "parameters": {
        "type": "dict",
        "properties": {
            "artist": {"type": "string", "description": "who"},
            "minutes": {"type": "integer"},
            "volume": {"type": "float"},
            "loud": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "place": {"type": "dict", "properties": {"room": {"type": "string"}}},
        },
        "required": ["artist"],
    },
}
WANTED = {
    "radio.play": {
        "artist": ["Nina Simone", "N. Simone"], "minutes": ["", 5], "volume": ["", 2.0],
        "loud": ["", True], "tags": ["", ["jazz", "live"]], "place": ["", {"room": ["hall", ""]}],
    }
}  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        {"artist": "Nina Simone"},
        {"artist": "nina-simone", "minutes": 5},
        {"artist": "n simone", "volume": 2},
        {"artist": "Nina Simone", "loud": True, "tags": ["Jazz", "live"]},
        {"artist": "Nina Simone", "place": {"room": "Hall"}},
        {"artist": "Nina Simone", "place": {}},
    ],
)
def test_calls_that_are_right(arguments: dict[str, Any]) -> None:
    assert is_expected("radio_play", arguments, WANTED, PLAY)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"minutes": 5},
        {"artist": "Simone"},
        {"artist": ["Nina Simone"]},
        {"artist": "Nina Simone", "minutes": 5.0},
        {"artist": "Nina Simone", "minutes": "5"},
        {"artist": "Nina Simone", "minutes": 6},
        {"artist": "Nina Simone", "loud": 1},
        {"artist": "Nina Simone", "tags": ["live", "jazz"]},
        {"artist": "Nina Simone", "tags": ["jazz"]},
        {"artist": "Nina Simone", "place": {"room": "hall", "floor": 2}},
        {"artist": "Nina Simone", "place": {"room": "kitchen"}},
        {"artist": "Nina Simone", "colour": "red"},
    ],
)
def test_calls_that_are_wrong(arguments: dict[str, Any]) -> None:
    assert not is_expected("radio_play", arguments, WANTED, PLAY)


def test_the_name_and_what_must_be_said() -> None:
    assert not is_expected("radio_stop", {"artist": "Nina Simone"}, WANTED, PLAY)
    needed = {"radio.play": {"artist": ["Nina Simone"], "minutes": [5]}}
    assert not is_expected("radio_play", {"artist": "Nina Simone"}, needed, PLAY)


def test_several_calls_in_any_order_and_no_other() -> None:
    one, two = ({"radio.play": {"artist": [name]}} for name in ("Bach", "Arne"))
    functions = {"radio_play": PLAY}
    calls = [("radio_play", {"artist": name}) for name in ("Arne", "Bach")]
    assert are_expected(calls, [one, two], functions)
    assert not are_expected(calls[:1], [one, two], functions)
    assert not are_expected([*calls, calls[0]], [one, two], functions)
    assert not are_expected([calls[0], calls[0]], [one, two], functions)
    assert not are_expected([("radio_play", {})], [], functions)


json_values = st.recursive(
    st.booleans() | st.integers(-99, 99) | st.text("ab c", min_size=1),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text("xyz", min_size=1), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text("pqr", min_size=1), json_values, max_size=4))
def test_a_single_answer_allows_just_itself(given_values: dict[str, Any]) -> None:
    function = {"name": "f", "parameters": {"properties": {name: {} for name in given_values}}}
    wanted = {"f": {name: [exactly(value)] for name, value in given_values.items()}}
    assert is_expected("f", given_values, wanted, function)
    for name in given_values:
        less = {key: value for key, value in given_values.items() if key != name}
        assert not is_expected("f", less, wanted, function)
        assert not is_expected("f", {**given_values, name: "something else"}, wanted, function)


# -- cases ---------------------------------------------------------------------------------------


def test_types_have_their_names_in_json() -> None:
    made = json_schema(PLAY["parameters"])
    assert made["type"] == "object"
    assert made["properties"]["volume"] == {"type": "number"}
    assert made["properties"]["tags"] == {"type": "array", "items": {"type": "string"}}
    assert json_schema({"type": "any", "description": "x"}) == {"description": "x"}
    assert json_schema({"type": ["string", "null"]}) == {"type": ["string", "null"]}
    named = {"properties": {"type": {"type": "float"}}, "default": {"type": "dict"}}
    made = json_schema(named)
    assert made == {**named, "properties": {"type": {"type": "number"}}}


def test_conversations_and_days_are_read() -> None:
    turns = spoken("user: 你好\nsystem: 请问日期？\nsystem: 再说\nuser: 明天\n")
    assert [(type(one), one.text) for one in turns] == [
        (HumanMessage, "你好"), (AIMessage, "请问日期？\n再说"), (HumanMessage, "明天"),
    ]  # fmt: skip
    assert day_in("The current time is November 17, 2022, Thursday。") == date(2022, 11, 17)
    assert day_in("今天是2024年07月15日，星期一。") == date(2024, 7, 15)
    assert day_in("") == TODAY


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted_server() as script:
        yield script


def tried(script: Script, case: Case, way: Way) -> Done:
    chat = chat_model(script.url, "calls", "key", max_retries=0)
    bench = Bench(chat, Path(), Path(), way)
    with BFCL.trials(bench) as [trial]:
        assert trial.name == way
        return trial.do(case)


def case_of(group: str, truth: Any, *functions: dict[str, Any]) -> Case:
    messages = [{"role": "user", "content": "Play Nina Simone"}]
    data = {"messages": messages, "functions": list(functions or (PLAY,)), "ground_truth": truth,
            "category": group}  # fmt: skip
    return Case(f"{group}_1", data, group)


def step(**action: Any) -> dict[str, object]:
    return whole(content=json.dumps({"thought": "hm", "action": action}))


def play(**arguments: Any) -> dict[str, object]:
    return step(tool="radio_play", arguments=arguments)


def native(name: str, **arguments: Any) -> dict[str, object]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return whole(content=None, tool_calls=[{"id": "1", "type": "function", "function": function}])


def answering(script: Script, *answers: dict[str, object]) -> None:
    left = list(answers)
    script.answers(lambda h: reply(200, left.pop(0) if len(left) > 1 else left[0])(h))


def test_a_step_is_scored(script: Script) -> None:
    answering(script, play(artist="nina simone", minutes="5"))
    came = tried(script, case_of("simple", [WANTED]), "json")
    assert came.figures == {"right call": 1, "valid at first": 1, "valid": 1}
    assert came.usage.prompt_tokens == 3
    assert came.detail["calls"] == [
        {"tool": "radio_play", "arguments": {"artist": "nina simone", "minutes": 5}}
    ]
    answering(script, play(minutes="often"), play(artist="Arne"))
    came = tried(script, case_of("simple", [WANTED]), "json")
    assert came.figures == {"right call": 0, "valid at first": 0, "valid": 1}
    answering(script, play(minutes="often"))
    came = tried(script, case_of("simple", [WANTED]), "json")
    assert came.figures == {"right call": 0, "valid at first": 0, "valid": 0}
    answering(script, whole(content="{"))
    came = tried(script, case_of("simple", [WANTED]), "json")
    assert came.figures == {"right call": 0, "valid at first": 0, "valid": 0}
    assert came.error


def test_native_calls_are_taken_as_they_come(script: Script) -> None:
    answering(script, native("radio_play", artist="Nina Simone"))
    came = tried(script, case_of("simple", [WANTED]), "native")
    right = {"right call": 1, "right in text": 1, "valid at first": 1, "valid": 1}
    assert came.figures == right
    [body] = [body for body in script.bodies if "messages" in body]
    assert body["tools"][0]["function"]["parameters"]["properties"]["volume"] == {"type": "number"}
    assert [one["role"] for one in body["messages"]] == ["user"]
    answering(script, native("radio_play", artist="Nina Simone", minutes="5"))
    assert tried(script, case_of("simple", [WANTED]), "native").figures["valid"] == 0
    written = json.dumps({"name": "radio_play", "arguments": {"artist": "Nina Simone"}})
    answering(script, whole(content=f"```json\n{written}\n```"))
    came = tried(script, case_of("simple", [WANTED]), "native")
    assert came.figures == {"right call": 0, "right in text": 1, "valid at first": 0, "valid": 0}
    answering(script, whole(content=written.replace("Nina", "Tina")))
    assert tried(script, case_of("simple", [WANTED]), "native").figures["right in text"] == 0


@pytest.mark.parametrize("way", ["json", "native"])
def test_where_no_tool_suits(script: Script, way: Way) -> None:
    answering(script, step(answer="I can't.") if way == "json" else whole(content="I can't."))
    silent = tried(script, case_of("irrelevance", None), way)
    assert silent.figures == {"no call": 1, "nothing tried": 1}
    answering(script, play(artist="A") if way == "json" else native("radio_play", artist="A"))
    called = tried(script, case_of("irrelevance", None), way)
    assert (called.figures["no call"], called.figures["nothing tried"]) == (0, 0)
    assert tried(script, case_of("live_relevance", None), way).figures["any call"] == 1


def test_a_call_that_the_server_missed_is_no_call_but_tried(script: Script) -> None:
    written = json.dumps({"name": "radio_play", "arguments": {"artist": "Nina Simone"}})
    answering(script, whole(content=f"```json\n{written}\n```"))
    came = tried(script, case_of("irrelevance", None), "native")
    assert (came.figures["no call"], came.figures["nothing tried"]) == (1, 0)


def test_parallel_calls_are_made_one_after_the_other(script: Script) -> None:
    truth = [{"radio.play": {"artist": [name]}} for name in ("Bach", "Arne")]
    answering(script, play(artist="Arne"), play(artist="Bach"), step(answer="Done."))
    assert tried(script, case_of("parallel", truth), "json").figures["right call"] == 1
    answering(script, play(artist="Arne"), play(artist="Arne"))
    came = tried(script, case_of("parallel", truth), "json")
    assert came.figures["right call"] == 0
    assert len(came.detail["calls"]) == 1


@pytest.mark.sets
@pytest.mark.parametrize("measured", [BFCL, ACEBENCH_EN, ACEBENCH_ZH])
def test_the_sets_are_read(measured: TaskSet) -> None:
    cases = measured.read(data_folder())
    assert len({case.id for case in cases}) == len(cases)
    groups = {case.group for case in cases}
    assert {group for pool in measured.pools.values() for group in pool} <= groups
    for case in cases:
        tools = tools_of(case.data["functions"])
        assert len({tool.name for tool in tools}) == len(case.data["functions"])
