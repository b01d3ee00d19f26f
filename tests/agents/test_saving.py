"""A run's state on the disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from agents.loop.saving import STATE, Saver, pack, saver, unpack
from agents.loop.types import Task
from indexes import failpoints
from indexes.errors import DamagedError, RunError

CONFIG: Any = {"configurable": {"thread_id": "run"}}


class _State(TypedDict):
    value: Any


def saved(folder: Path, value: Any) -> None:
    graph: Any = StateGraph(_State)
    graph.add_node("node", lambda _: {"value": value})
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    with saver(folder) as checkpoints:
        graph.compile(checkpointer=checkpoints).invoke({"value": 0}, CONFIG, durability="sync")


def loaded(folder: Path) -> Any:
    with saver(folder) as checkpoints:
        found = checkpoints.get_tuple(CONFIG)
        assert found is not None
        return found.checkpoint["channel_values"]["value"]


@dataclass
class Foreign:
    """Something that nobody should build from what a file says."""

    value: int


@pytest.mark.parametrize(
    "value", [{"a": [1, "两"]}, HumanMessage("hello"), Task(1, "look", "done", "bees")]
)
def test_a_state_is_there_again(tmp_path: Path, value: Any) -> None:
    saved(tmp_path, value)
    assert loaded(tmp_path) == value


def test_nothing_foreign_is_built_from_a_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saved(tmp_path, Foreign(1))
    assert not isinstance(loaded(tmp_path), Foreign)
    assert "Foreign" in caplog.text


def test_what_was_overwritten_is_seen(tmp_path: Path) -> None:
    """Also where SQLite does not see it: within a value."""
    saved(tmp_path, "honey " * 2000)
    file = tmp_path / STATE
    file.write_bytes(file.read_bytes().replace(b"honey", b"money"))
    with pytest.raises(DamagedError, match=r"sqlite is damaged \(a checksum does not hold\): the"):
        loaded(tmp_path)


def test_a_page_that_is_gone_is_seen_or_was_not_needed(tmp_path: Path) -> None:
    saved(tmp_path, "honey " * 2000)
    file = tmp_path / STATE
    data = file.read_bytes()
    seen = 0
    for place in range(0, len(data), 4096):
        file.write_bytes(data[:place] + bytes(4096) + data[place + 4096 :])
        try:
            assert loaded(tmp_path) == "honey " * 2000
        except DamagedError:
            seen += 1
    assert seen > 2


@pytest.mark.parametrize("text", [b"not a database, " * 300, b"SQLite format 3\0" + b"\1" * 8000])
def test_another_file_is_told_in_a_sentence(tmp_path: Path, text: bytes) -> None:
    (tmp_path / STATE).write_bytes(text)
    with pytest.raises(DamagedError, match="Begin a new one"):
        saved(tmp_path, 1)


def test_without_room_the_state_before_stays(tmp_path: Path) -> None:
    saved(tmp_path, "before")
    failpoints.plan("state.saving=full@1")
    try:
        with pytest.raises(RunError, match=r"cannot be written: No space left on device\."):
            saved(tmp_path, "after")
    finally:
        failpoints.plan("")
    assert loaded(tmp_path) == "before"


def test_a_half_made_transaction_is_undone(tmp_path: Path) -> None:
    saved(tmp_path, "before")

    def fail(checkpoints: Saver) -> None:
        with checkpoints.cursor() as cursor:
            cursor.execute("DELETE FROM checkpoints")
            raise KeyError

    with saver(tmp_path) as checkpoints, pytest.raises(KeyError):
        fail(checkpoints)
    assert loaded(tmp_path) == "before"


def test_what_a_tool_returns_is_packed() -> None:
    result = Command(update={"messages": [ToolMessage("done", tool_call_id="1")]}, goto="model")
    assert unpack(pack(result)) == result
    with pytest.raises(ValueError, match="checksum"):
        unpack(pack(result).replace("msgpack:", "msgpack:AAAA"))


def test_states_before_the_latest_one_are_not_kept(tmp_path: Path) -> None:
    """Each holds all that was before it: a run of many steps would else grow by their square."""
    graph: Any = StateGraph(_State)
    graph.add_node("node", lambda state: {"value": [*state["value"], "x" * 2_000]})
    graph.add_edge(START, "node")
    graph.add_conditional_edges("node", lambda state: END if len(state["value"]) > 60 else "node")
    config = {**CONFIG, "recursion_limit": 100}
    with saver(tmp_path) as checkpoints:
        compiled = graph.compile(checkpointer=checkpoints)
        compiled.invoke({"value": []}, config, durability="sync")
        for table in ("checkpoints", "writes"):
            with checkpoints.cursor() as cursor:
                cursor.execute(f"SELECT COUNT(DISTINCT checkpoint_id) FROM {table}")
                assert cursor.fetchone()[0] <= 1
    assert (tmp_path / STATE).stat().st_size < 1_000_000
    assert len(loaded(tmp_path)) == 61
