"""OpenAI's filters, against a plain reading of what they mean."""

import json
import operator
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from agents.doors.filters import Filter, where_of
from indexes.collection import Collection
from indexes.errors import UsageError
from indexes.where import parse_where
from tests.indexes.hash_embedder import HashEmbedder

JSON = {"Content-Type": "application/json"}
FILTER: TypeAdapter[Any] = TypeAdapter(Filter)
KEYS = ["year", "source", "a b", "`", '"', "x.y", "名", "'; DROP TABLE documents; --"]
TEXTS = ["", "a", "b", 'q"', "\\", '\\"', "`", "名", "a' OR 1=1 --", "\0"]
VALUES = [*TEXTS, 0, 1, -3, 2024, 1.5, 1e300, 5e-324, -0.25, 2**70, True, False]
DOCUMENTS: list[dict[str, Any]] = [
    {},
    {"year": 2024, "a b": "a", "x.y": 1.5, "`": "`"},
    {"year": "2024", "source": "b", '"': 'q"', "名": "名"},
    {"year": 1, "a b": 2, "x.y": "b", "名": True, "'; DROP TABLE documents; --": ""},
    {"source": "a", "a b": "\\", "x.y": -3, "year": 1.5, '"': False},
]
ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le,
}  # fmt: skip


def passes(one: dict[str, Any], facts: dict[str, Any]) -> bool:
    """What a filter means."""
    if "filters" in one:
        results = [passes(part, facts) for part in one["filters"]]
        return all(results) if one["type"] == "and" else any(results)
    kind, value, known = one["type"], one["value"], facts.get(one["key"])
    if kind in ("ne", "nin"):
        return not passes({**one, "type": {"ne": "eq", "nin": "in"}[kind]}, facts)
    if known is None:
        return False
    if kind == "in":
        return known in value
    if kind == "eq":
        return bool(known == value)
    return isinstance(known, str) == isinstance(value, str) and ORDERED[kind](known, value)


singles = st.builds(
    lambda kind, key, value: {"type": kind, "key": key, "value": value},
    st.sampled_from(["eq", "ne", *ORDERED]), st.sampled_from(KEYS), st.sampled_from(VALUES),
)  # fmt: skip
lists = st.builds(
    lambda kind, key, value: {"type": kind, "key": key, "value": value},
    st.sampled_from(["in", "nin"]), st.sampled_from(KEYS),
    st.lists(st.sampled_from(VALUES), max_size=4),
)  # fmt: skip
filters = st.recursive(
    singles | lists,
    lambda parts: st.builds(
        lambda kind, some: {"type": kind, "filters": some},
        st.sampled_from(["and", "or"]), st.lists(parts, min_size=1, max_size=3),
    ),
    max_leaves=6,
)  # fmt: skip


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    home = tmp_path_factory.mktemp("filters")
    with Collection.open("all", home=home, embedder=HashEmbedder()) as collection:
        names = [f"text:{n}" for n in range(len(DOCUMENTS))]
        collection.add_texts([f"honey number {n}" for n in names], DOCUMENTS, names)
        yield collection


def found(collection: Collection, one: dict[str, Any]) -> set[str]:
    where = where_of(FILTER.validate_python(one))
    return {match.document.source for match in collection.matching(where)}


def expected(one: dict[str, Any]) -> set[str]:
    """``source`` is a field of each document as well, where no attribute is called so."""
    return {
        f"text:{n}"
        for n, facts in enumerate(DOCUMENTS)
        if passes(one, {"source": f"text:{n}", **facts, "year": facts.get("year", 1970)})
    }


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(filters)
def test_a_filter_lets_through_what_it_means(shelf: Collection, one: dict[str, Any]) -> None:
    assert found(shelf, one) == expected(one)


@settings(deadline=None, max_examples=150)
@given(st.text(min_size=1, max_size=64), st.text() | st.floats() | st.integers() | st.booleans())
@example("0", 2**63 + 1)
def test_every_key_and_value_is_bound_and_none_is_inserted(key: str, value: Any) -> None:
    try:
        one = FILTER.validate_python({"type": "eq", "key": key, "value": value})
    except ValidationError:
        return
    try:
        condition = parse_where(where_of(one))
    except UsageError:
        return  # it is too long
    assert condition.sql.replace("coalesce(", "").replace("documents.", "").count("?") == 2
    assert condition.values == (key, bound(value))


def bound(value: Any) -> Any:
    """What SQLite is given: no truth values, and whole numbers of 64 bits."""
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else float(value)
    return value


def test_a_search_passes_the_filter_on(home: Path, client: TestClient) -> None:
    def search(body: dict[str, Any]) -> Any:
        return client.post("/v1/vector_stores/vs_bees/search", json={"query": "dance 枇杷", **body})

    chinese = search({"filters": {"type": "eq", "key": "lang", "value": "zh"}}).json()["data"]
    assert {hit["filename"] for hit in chinese} == {"花期.txt"}
    none = {"type": "and", "filters": [{"type": "eq", "key": "lang", "value": "xx"}]}
    assert search({"filters": none}).json()["data"] == []


def nested(depth: int) -> dict[str, Any]:
    one: dict[str, Any] = {"type": "eq", "key": "a", "value": 1}
    for _ in range(depth):
        one = {"type": "or", "filters": [one]}
    return one


@pytest.mark.parametrize(
    "one",
    [
        {},
        {"type": "like", "key": "a", "value": "b"},
        {"type": "eq", "key": "a"},
        {"type": "eq", "key": "", "value": 1},
        {"type": "eq", "key": "a", "value": None},
        {"type": "eq", "key": "a", "value": [1]},
        {"type": "in", "key": "a", "value": 1},
        {"type": "in", "key": "a", "value": [[1]]},
        {"type": "and", "filters": []},
        {"type": "in", "key": "a", "value": ["x" * 1000] * 50},
        {"type": "eq", "key": "a", "value": "\ud800"},
        {"type": "in", "key": "a", "value": ["\ud800"]},
        {"type": "eq", "key": "\ud800", "value": 1},
        nested(30),
        nested(200),
        nested(400),
        "lang = 'zh'",
    ],
)
def test_what_is_no_filter_is_refused(client: TestClient, one: Any) -> None:
    body = json.dumps({"query": "dance", "filters": one})
    response = client.post("/v1/vector_stores/vs_bees/search", content=body, headers=JSON)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["message"]
