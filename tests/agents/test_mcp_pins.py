"""What was approved is remembered, and told from what was not."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.types import Tool, ToolAnnotations

from agents.toolbox.mcp_pins import Pins, changes, digest_of
from indexes.errors import WaggleError

ROOT = Path(__file__).resolve().parents[2]
LISTS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("123"))


def test_the_first_list_is_taken_and_another_is_told(tmp_path: Path) -> None:
    assert Pins(tmp_path).changes("s", {"a": "1", "b": "2"}) is None
    assert Pins(tmp_path).changes("s", {"b": "2", "a": "1"}) is None
    found = Pins(tmp_path).changes("s", {"b": "3", "c": "4"})
    assert str(found) == "new: c; gone: a; changed: b"
    assert Pins(tmp_path).changes("other", {"c": "4"}) is None
    Pins(tmp_path).approve("s", {"b": "3", "c": "4"})
    assert Pins(tmp_path).changes("s", {"b": "3", "c": "4"}) is None
    assert Pins(tmp_path).changes("s", {}) is not None


def test_a_server_without_tools_is_remembered_too(tmp_path: Path) -> None:
    assert Pins(tmp_path).changes("s", {}) is None
    assert str(Pins(tmp_path).changes("s", {"a": "1"})) == "new: a"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 2, "servers": {}}',
                                     b'{"servers": {"s": 1}}', b"\xff"])  # fmt: skip
def test_a_damaged_file_approves_nothing(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "agents" / "mcp.json"
    file.parent.mkdir()
    file.write_bytes(content)
    for use in (Pins(tmp_path).changes, Pins(tmp_path).approve):
        with pytest.raises(WaggleError, match="is damaged, so no tool of an MCP server is used"):
            use("s", {"a": "1"})
    assert file.read_bytes() == content


@given(LISTS, LISTS)
def test_changes_are_what_leads_from_one_list_to_the_other(
    before: dict[str, str], now: dict[str, str]
) -> None:
    found = changes(before, now)
    assert (found is None) == (before == now)
    if found is not None:
        kept = {name for name in before if name not in (*found.removed, *found.changed)}
        assert kept | {*found.added, *found.changed} == set(now)
        assert all(before[name] == now[name] for name in kept)


def test_all_that_is_said_of_a_tool_counts() -> None:
    tool = Tool(name="a", description="b", inputSchema={"type": "object", "x": [1, 2]})
    updates: list[dict[str, Any]] = [
        {"name": "c"}, {"description": "b "}, {"inputSchema": {"type": "object", "x": [2, 1]}},
        {"outputSchema": {}}, {"title": "x"}, {"annotations": ToolAnnotations(readOnlyHint=True)},
    ]  # fmt: skip
    others = [tool.model_copy(update=update) for update in updates]
    assert len({digest_of(one) for one in [tool, *others]}) == 7
    same = Tool(name="a", description="b", inputSchema={"x": [1, 2], "type": "object"})
    assert digest_of(same) == digest_of(tool)


APPROVING = """
import sys
from pathlib import Path
from agents.toolbox.mcp_pins import Pins
for number in range(20):
    Pins(Path(sys.argv[1])).approve(f"{sys.argv[2]}{number}", {"a": "1"})
"""


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", APPROVING, str(tmp_path), name], cwd=ROOT)
        for name in "ab"
    ]
    assert [process.wait() for process in running] == [0, 0]
    names = [f"{name}{number}" for name in "ab" for number in range(20)]
    assert all(Pins(tmp_path).changes(name, {}) is not None for name in names)
