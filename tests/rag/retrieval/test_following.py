"""Searches that are made from what earlier ones found."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from indexes.collection import Collection
from rag.prompting.library import built_in
from rag.retrieval.plan import PLANS
from rag.retrieval.retrieving import Tools, Trace, retrieve
from rag.steps import arun, run
from tests.rag.retrieval.conftest import Find, fill, sources, steps_of, thinker

QUESTION = "Where was the maker of the Velora hive born?"
TEXTS = {
    "hive": "The Velora hive was made by Anna Kessler, a joiner.",
    "born": "Anna Kessler came into the world at Tarn in the year 1871.",
    "other": "The maker of the Dadant hive was born in France.",
    "third": "Where the maker of the Layens hive was born is not known.",
    "fourth": "The Warré hive: its maker was born at Grébault-Mesnil.",
}
NEXT = {"known": "Anna Kessler made it.", "search": "When and where did Anna Kessler come to be?"}
ENOUGH = {"known": "She is from Tarn.", "search": ""}


@pytest.fixture(autouse=True)
def _hives(collection: Collection) -> None:
    fill(collection, TEXTS)


def test_the_second_hop_finds_what_the_question_does_not_name(find: Find) -> None:
    assert "born" not in sources(find(QUESTION, PLANS["plain"]))
    chat = thinker(NEXT)
    found = find(QUESTION, PLANS["multi-hop"], chat)
    assert set(sources(found)) == {"hive", "born"}
    assert TEXTS["hive"] in str(chat.asked[0][-1].text)
    assert steps_of(found) == ["retrieve", "next", "retrieve", "interleave"]


def test_hops_end_where_nothing_is_missing(find: Find) -> None:
    chat = thinker(NEXT, ENOUGH)
    found = find(QUESTION, replace(PLANS["multi-hop"], hops=4), chat)
    assert len(chat.asked) == 2
    assert TEXTS["born"] in str(chat.asked[1][-1].text)
    assert "born" in sources(found)


def test_no_hop_goes_in_a_circle(find: Find) -> None:
    chat = thinker(NEXT, NEXT)
    find(QUESTION, replace(PLANS["multi-hop"], hops=4), chat)
    assert len(chat.asked) == 2


SUFFICIENT = replace(PLANS["plain"], sufficient=True)


def test_where_the_passages_do_not_suffice_it_searches_again(find: Find) -> None:
    lacks = {"missing": "the year Anna Kessler came into the world", "sufficient": False}
    chat = thinker(lacks, {"questions": ["When did Anna Kessler come into the world?"]})
    found = find(QUESTION, SUFFICIENT, chat)
    assert "born" in sources(found)
    assert "the year Anna Kessler" in str(chat.asked[1][-1].text)
    assert steps_of(found).count("retrieve") == 3
    assert found.usage.prompt_tokens == 6


def test_where_they_suffice_it_does_not(find: Find) -> None:
    chat = thinker({"missing": "", "sufficient": True})
    found = find(QUESTION, SUFFICIENT, chat)
    assert sources(found) == sources(find(QUESTION, PLANS["plain"]))
    assert steps_of(found) == ["retrieve", "suffice"]


def test_nobody_is_asked_about_nothing(find: Find) -> None:
    chat = thinker()
    found = find(QUESTION, PLANS["thorough"], thinker({"questions": ["x"]}), where='lang = "xx"')
    assert found.contexts == ()
    found = find(QUESTION, replace(PLANS["multi-hop"], sufficient=True), chat, where='lang = "xx"')
    assert found.contexts == ()
    assert chat.asked == []


THOROUGH: list[dict[str, Any]] = [
    {"questions": ["Who made the Velora hive, and where is that joiner from?"]},
    NEXT,
    {"passages": [3, 1, 2]},
    {"missing": "the year", "sufficient": False},
    {"questions": ["In which year did she come into the world?"]},
    {"passages": [2, 1]},
]


def test_on_an_event_loop_it_finds_the_same(collection: Collection) -> None:
    def way(chat: Any) -> Any:
        tools = Tools(collection, lambda: chat, built_in())
        return retrieve(tools, QUESTION, PLANS["thorough"], k=3)

    one, other = thinker(*THOROUGH), thinker(*THOROUGH)
    blocking = run(way(one))
    awaited = asyncio.run(arun(way(other)))
    assert (one.checks, other.checks) == ([], [])
    assert blocking.notices == ()
    assert blocking.contexts == awaited.contexts

    def bare(traces: tuple[Trace, ...]) -> list[Trace]:
        return [replace(trace, seconds=0.0) for trace in traces]

    assert bare(blocking.traces) == bare(awaited.traces)
    assert blocking.usage == awaited.usage
