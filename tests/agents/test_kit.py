"""All tools together."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from langchain_core.utils.function_calling import convert_to_openai_tool

from agents.loop.evidence import Evidence
from agents.toolbox.effects import effect_of, is_tainted
from agents.toolbox.kit import chosen, toolkit
from indexes.collection import Collection
from indexes.errors import UsageError
from rag.answering import RAG
from tests.indexes.hash_embedder import HashEmbedder

BUILT_IN = {
    "search_documents", "read_document", "list_documents", "count_documents", "list_tables",
    "query_table", "calculate", "today", "calculate_date", "write_note", "read_note", "list_notes",
}  # fmt: skip


@dataclass(frozen=True)
class Switches:
    web: bool = False


@pytest.fixture
def rag(tmp_path: Path) -> Iterator[RAG]:
    with Collection.open("test", home=tmp_path / "home", embedder=HashEmbedder()) as collection:
        yield RAG(collection, lambda: None)


def test_the_tools_there_are(rag: RAG, tmp_path: Path) -> None:
    tools = toolkit(rag, Evidence(), tmp_path / "notes")
    assert {tool.name for tool in tools} == BUILT_IN
    assert not (tmp_path / "notes").exists()


def test_the_web_is_off_until_it_is_wanted(rag: RAG, tmp_path: Path) -> None:
    def names(switches: Switches) -> set[str]:
        return {tool.name for tool in toolkit(rag, Evidence(), tmp_path, switches)}

    assert names(Switches(web=False)) == BUILT_IN
    assert names(Switches(web=True)) == BUILT_IN | {"fetch_page"}


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
    """All schemas together, in characters: about 1,700 tokens."""
    schemas = [convert_to_openai_tool(tool) for tool in toolkit(rag, Evidence(), tmp_path)]
    assert len(json.dumps(schemas, ensure_ascii=False)) < 7_000
