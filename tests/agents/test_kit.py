"""All tools together."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.utils.function_calling import convert_to_openai_tool

from agents.loop.evidence import Evidence
from agents.toolbox.effects import effect_of, is_tainted
from agents.toolbox.kit import chosen, toolkit
from agents.toolbox.tables import has_tables
from indexes.collection import Collection
from indexes.errors import UsageError
from rag.answering import RAG
from tests.indexes.hash_embedder import HashEmbedder

BUILT_IN = {
    "search_documents", "read_document", "list_documents", "count_documents", "list_tables",
    "query_table", "calculate", "today", "calculate_date", "write_note", "read_note", "list_notes",
}  # fmt: skip


@pytest.fixture
def rag(tmp_path: Path) -> Iterator[RAG]:
    with Collection.open("test", home=tmp_path / "home", embedder=HashEmbedder()) as collection:
        yield RAG(collection, lambda: None)


def test_the_tools_there_are(rag: RAG, tmp_path: Path) -> None:
    tools = toolkit(rag, Evidence(), tmp_path / "notes")
    assert {tool.name for tool in tools} == BUILT_IN
    assert not (tmp_path / "notes").exists()


def test_the_web_is_off_until_it_is_wanted(rag: RAG, tmp_path: Path) -> None:
    web = toolkit(rag, Evidence(), tmp_path, web=True)
    assert {tool.name for tool in web} == BUILT_IN | {"fetch_page"}


def test_only_those_that_are_named(rag: RAG, tmp_path: Path) -> None:
    tools = toolkit(rag, Evidence(), tmp_path, names=["calculate", "search_documents"])
    assert [tool.name for tool in tools] == ["search_documents", "calculate"]
    assert toolkit(rag, Evidence(), tmp_path, names=[]) == ()


def test_an_unknown_name_names_the_choices_nearest_first(rag: RAG, tmp_path: Path) -> None:
    tools = toolkit(rag, Evidence(), tmp_path)
    with pytest.raises(
        UsageError, match=r"no tool «calculator»\. There are: calculate, search_doc"
    ):
        chosen(tools, ["calculator"])


def test_each_tool_declares_itself_and_tells_a_model_how_to_call_it(
    rag: RAG, tmp_path: Path
) -> None:
    for tool in toolkit(rag, Evidence(), tmp_path):
        assert effect_of(tool) == ("write" if tool.name == "write_note" else "read")
        assert is_tainted(tool) == (
            tool.name not in {"count_documents", "calculate", "today", "calculate_date",
                              "write_note"}
        )  # fmt: skip
        function = convert_to_openai_tool(tool)["function"]
        assert 20 < len(function["description"]) < 320
        for name, schema in function["parameters"]["properties"].items():
            assert "anyOf" not in schema, name
            assert schema["type"] in ("string", "integer"), name


def test_the_descriptions_fit_a_small_model(rag: RAG, tmp_path: Path) -> None:
    """All schemas together, in characters: about 1,400 tokens."""
    schemas = [convert_to_openai_tool(tool) for tool in toolkit(rag, Evidence(), tmp_path)]
    assert len(json.dumps(schemas, ensure_ascii=False)) < 5_900


def test_no_other_server_is_started_than_that_of_a_named_tool(
    rag: RAG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    program = ["-c", f"open({str(started)!r}, 'w').close()"]
    (tmp_path / "waggle.toml").write_text(
        f"[mcp.shop]\ncommand = {json.dumps(sys.executable)}\nargs = {json.dumps(program)}\n",
        "utf-8",
    )
    monkeypatch.chdir(tmp_path)
    toolkit(rag, Evidence(), tmp_path, names=["calculate", "today"])
    assert not started.exists()
    with pytest.raises(UsageError, match="no tool «shop_find»"):
        toolkit(rag, Evidence(), tmp_path, names=["shop_find"])
    assert started.exists()


def test_tables_are_offered_where_there_are_some(rag: RAG, tmp_path: Path) -> None:
    assert not has_tables(rag.collection)
    without = toolkit(rag, Evidence(), tmp_path, tables=False)
    assert {tool.name for tool in without} == BUILT_IN - {"list_tables", "query_table"}
    named = toolkit(rag, Evidence(), tmp_path, names=["query_table"], tables=False)
    assert [tool.name for tool in named] == ["query_table"]
    (tmp_path / "prices.csv").write_text("honey,price\nlinden,12\n", "utf-8")
    rag.collection.add([tmp_path / "prices.csv"])
    assert has_tables(rag.collection)
