"""Arguments that a model wrote wrongly, and what becomes of them."""

import json
from contextlib import suppress
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field, field_validator

from agents.loop.arguments import BadCall, check_call, nearest, signature, tool_named
from agents.loop.fitting import Misfit, fit, fits
from agents.loop.schemas import arguments_of, grammar_of, plain_schema, step_schema


class Place(BaseModel):
    city: str
    zip: int | None = None


class Search(BaseModel):
    """Arguments with a value of each kind."""

    model_config = ConfigDict(extra="forbid")

    query: str
    k: int = Field(default=5, ge=1, le=20)
    exact: bool = False
    score: float | None = None
    unit: Literal["Celsius", "Fahrenheit"] = "Celsius"
    tags: list[str] = []
    places: list[Place] = []

    @field_validator("query")
    @classmethod
    def _not_empty(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("say what to look for")
        return value


def tool_of(name: str, schema: Any) -> BaseTool:
    return StructuredTool(name=name, description="", args_schema=schema, func=lambda **_: "")


def raw(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), **more}


TOOLS = [
    tool_of("search_documents", Search),
    tool_of("today", raw({})),
    tool_of("count_documents", raw({"mentions": {"type": "string"}}, "mentions")),
]


def checked(**arguments: Any) -> dict[str, Any]:
    return check_call(TOOLS, "search_documents", {"query": "bees", **arguments})


def refusal(name: str, arguments: dict[str, Any]) -> str:
    with pytest.raises(BadCall) as caught:
        check_call(TOOLS, name, arguments)
    return caught.value.observation


@pytest.mark.parametrize(
    ("name", "given_as", "meant"),
    [
        ("k", "7", 7),
        ("k", 7.0, 7),
        ("k", ["7"], 7),
        ("k", "７", 7),
        ("score", "1,234.5", 1234.5),
        ("score", "null", None),
        ("score", None, None),
        ("exact", "true", True),
        ("exact", "否", False),
        ("exact", 1, True),
        ("unit", "CELSIUS", "Celsius"),
        ("unit", ["fahrenheit"], "Fahrenheit"),
        ("tags", "red", ["red"]),
        ("tags", '["red", "blue"]', ["red", "blue"]),
        ("tags", ["red", 1], ["red", "1"]),
        ("places", {"city": "Bath"}, [{"city": "Bath"}]),
        ("places", '[{"city": "Bath", "zip": "12"}]', [{"city": "Bath", "zip": 12}]),
        ("query", ["bees"], "bees"),
        ("query", 42, "42"),
    ],
)
def test_what_was_meant_is_made_of_what_was_written(name: str, given_as: Any, meant: Any) -> None:
    assert checked(**{name: given_as})[name] == meant
    assert type(checked(**{name: given_as})[name]) is type(meant)


def test_none_stands_for_the_default() -> None:
    assert checked(k=None, unit=None, tags=None) == {"query": "bees"}
    assert checked(score="") == {"query": "bees"}
    assert check_call(TOOLS, "count_documents", {"mentions": ""}) == {"mentions": ""}


def test_names_are_taken_as_they_are_meant() -> None:
    assert check_call(TOOLS, "search_documents", {"Query": "bees"}) == {"query": "bees"}
    assert check_call(TOOLS, "count_documents", {"input": "bees"}) == {"mentions": "bees"}
    assert check_call(TOOLS, "today", {"timezone": None}) == {}
    assert tool_named([tool.name for tool in TOOLS], "searchDocuments") == "search_documents"
    assert tool_named([tool.name for tool in TOOLS], "search") == "search"


def test_an_unknown_tool_names_the_choices_the_nearest_first() -> None:
    told = refusal("count_document", {})
    assert "«count_document»" in told
    assert told.index("count_documents") < told.index("today")
    with pytest.raises(BadCall, match="answer without one"):
        check_call([], "x", {})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, ["«query» is missing", "search_documents(query: string, k: integer?"]),
        ({"query": "x", "k": "many"}, ["«k» must be a whole number", '"many"']),
        ({"query": "x", "k": 21}, ["«k» must be at most 20"]),
        ({"query": "x", "k": 2.5}, ["«k» must be a whole number"]),
        ({"query": "x", "k": True}, ["«k» must be a whole number"]),
        ({"query": "x", "exact": "perhaps"}, ["«exact» must be true or false"]),
        ({"query": "x", "unit": "kelvin"}, ["«unit» must be one of", '"Celsius"']),
        ({"query": "x", "tag": "red"}, ["«tag»", "did you mean «tags»"]),
        ({"query": "x", "colour": "red"}, ["there is no «colour»"]),
        ({"query": "x", "places": [{"zip": 1}]}, ["«places[0].city» is missing"]),
        ({"query": None}, ["«query» must be a text"]),
        ({"query": " "}, ["say what to look for"]),
    ],
)
def test_a_bad_argument_is_said_with_what_fits(arguments: Any, words: list[str]) -> None:
    told = refusal("search_documents", arguments)
    assert all(word in told for word in words), told


def test_a_refusal_is_in_the_language_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAGGLE_LANG", "zh")
    assert "没有工具" in refusal("nothing", {})
    assert "缺少" in refusal("search_documents", {})


def test_nothing_is_dropped_in_silence() -> None:
    assert "there is no «where»" in refusal("search_documents", {"query": "x", "where": "a = 1"})


# -- schemas -------------------------------------------------------------------------------------


class Tree(BaseModel):
    value: str
    left: "Tree | None" = None
    right: "Tree | None" = None
    more: dict[str, "Tree"] = {}


def test_a_schema_that_holds_itself_has_an_end() -> None:
    schema = arguments_of(tool_of("grow", Tree))
    assert schema["properties"]["left"]["anyOf"][0]["properties"]["value"] == {"type": "string"}
    assert check_call([tool_of("grow", Tree)], "grow", {"value": 1}) == {"value": "1"}


@pytest.mark.parametrize(
    ("given_as", "plain"),
    [
        ({"type": "dict", "properties": {"a": {"type": "float"}}}, "number"),
        ({"properties": {"a": {"type": ["string", "null"]}}}, "string"),
        ({"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "tuple"}}}, "array"),
        ({"properties": {"a": {"allOf": [{"type": "int"}, {"minimum": 3}]}}}, "integer"),
        ({"properties": {"a": {"oneOf": [{"type": "bool"}]}}}, "boolean"),
    ],
)
def test_schemas_of_all_makes_are_read(given_as: Any, plain: str) -> None:
    read = plain_schema(given_as)["properties"]["a"]
    assert plain in [one.get("type") for one in (read, *read.get("anyOf", ()))]


@pytest.mark.parametrize(
    "broken",
    [{}, {"type": "any"}, {"type": 5}, {"properties": []}, {"$ref": "#/nowhere"}, {"enum": []},
     {"anyOf": "x"}, {"required": "a", "properties": {"a": None}}, {"$ref": "#"}],
)  # fmt: skip
def test_a_schema_without_sense_takes_anything(broken: dict[str, Any]) -> None:
    assert fit({"a": 1}, plain_schema(broken)) == {"a": 1}
    grammar_of(plain_schema(broken))


def test_no_arguments_are_none() -> None:
    step = step_schema(TOOLS)
    [_, today, *_] = step["properties"]["action"]["anyOf"]
    assert today["properties"]["tool"]["enum"] == ["today"]
    assert today["properties"]["arguments"]["additionalProperties"] is False


def test_a_grammar_says_nothing_that_servers_do_not_know() -> None:
    known = {"type", "properties", "required", "additionalProperties", "anyOf", "enum", "items",
             "minimum", "maximum"}  # fmt: skip

    def words(node: Any) -> set[str]:
        inner = [*node.get("properties", {}).values(), *node.get("anyOf", [])]
        inner += [node[key] for key in ("items", "additionalProperties")
                  if isinstance(node.get(key), dict)]  # fmt: skip
        return set(node).union(*map(words, inner))

    assert words(step_schema([*TOOLS, tool_of("grow", Tree)])) <= known


def test_very_many_tools_share_one_grammar() -> None:
    many = [tool_of(f"tool_{n}", Search) for n in range(200)]
    step = step_schema(many)
    assert len(json.dumps(step)) < 10_000
    assert step["properties"]["action"]["anyOf"][0]["properties"]["tool"]["enum"][199] == "tool_199"


def test_a_signature_shows_what_may_be_left_out() -> None:
    assert signature("today", arguments_of(TOOLS[1])) == "today()"
    assert nearest("Today", ["search", "today"]) == ["today", "search"]


# -- properties ----------------------------------------------------------------------------------

PLAIN = st.recursive(
    st.sampled_from(
        [{}, {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"},
         {"type": "null"}, {"enum": ["a", "B", 3]}, {"type": "integer", "minimum": 0}]
    ),
    lambda inner: st.one_of(
        inner.map(lambda one: {"type": "array", "items": one}),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: {"anyOf": some}),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(
            lambda some: {"type": "object", "properties": some, "required": sorted(some)[:1],
                          "additionalProperties": False}
        ),
    ),
    max_leaves=6,
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["5", "true", "[1, 2]", '{"a": 1}', "null", "a,b", "٣", "1e999", "inf"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["a", "b", "c", "A", "x"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(VALUES, PLAIN)
def test_what_is_fitted_fits(value: Any, schema: dict[str, Any]) -> None:
    with suppress(Misfit):
        made = fit(value, schema)
        assert fits(made, schema)
        assert fit(made, schema) == made
        json.dumps(made, allow_nan=False)


@given(VALUES, PLAIN)
def test_what_fits_stays_as_it_is(value: Any, schema: dict[str, Any]) -> None:
    if fits(value, schema):
        assert fit(value, schema) is value


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_a_number_in_a_string_is_that_number(number: int) -> None:
    assert fit(str(number), {"type": "integer"}) == number
    assert fit(f"{number:,}", {"type": "integer"}) == number
