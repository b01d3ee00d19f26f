"""A call that changes something is done once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import ToolException
from langgraph.errors import GraphInterrupt
from langgraph.types import Command

from agents.loop.journal import Journal
from agents.loop.ledger import Ledger, Unknown
from agents.loop.types import Decision, Pending
from indexes.errors import RunError

ARGUMENTS = {"to": "Ann", "text": "两"}


class Process:
    """A process of a run: what it does stays done, and what it remembers is gone with it."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder)
        self.ledger = Ledger(self.journal)
        self.done = 0
        self.asked: list[str] = []

    def call(self, end: Any = None, *, say: bool | None = None, **changes: Any) -> Any:
        """A call whose tool ends with ``end``, an error being raised."""
        wanted: Any = {"call_id": "1", "tool": "send", "arguments": ARGUMENTS, "effect": "network"}

        def do() -> Any:
            self.done += 1
            if isinstance(end, BaseException):
                raise end
            return end or message("sent")

        def ask(sentence: str) -> bool:
            self.asked.append(sentence)
            return bool(say)

        wanted.update(changes)
        return self.ledger.once(**wanted, do=do, ask=None if say is None else ask)


def message(text: str) -> ToolMessage:
    return ToolMessage(text, tool_call_id="1", name="send", artifact={"passages": []},
                       additional_kwargs={"waggle": {"tainted": True}})  # fmt: skip


@pytest.fixture
def processes(tmp_path: Path) -> Callable[[], Process]:
    """Each one is new, and finds what those before it left."""
    return lambda: Process(tmp_path)


def killed(process: Process, **changes: Any) -> None:
    """It comes to its end while the tool is at work."""
    with pytest.raises(KeyboardInterrupt):
        process.call(KeyboardInterrupt(), **changes)


@pytest.mark.parametrize(
    "result",
    [message("sent"), Command(update={"messages": [message("sent")]}, goto="model")],
)
def test_what_is_done_is_told_and_not_done_again(processes: Any, result: Any) -> None:
    assert processes().call(result) == result
    second = processes()
    assert second.call() == result
    assert second.call() == result
    assert second.done == 0


def test_a_failure_is_told_and_not_tried_again(processes: Any) -> None:
    with pytest.raises(OSError, match="no way"):
        processes().call(OSError("no way to Ann"))
    second = processes()
    with pytest.raises(ToolException, match="no way to Ann"):
        second.call()
    assert second.done == 0


def test_calls_that_read_are_done_again(processes: Any) -> None:
    processes().call(effect="read")
    second = processes()
    killed(second, effect="read")
    assert second.call(effect="read").text == "sent"
    assert second.done == 2


def test_nobody_to_ask_nothing_done(processes: Any) -> None:
    killed(processes())
    second = processes()
    with pytest.raises(Unknown, match=r"^The run ended while send was at work"):
        second.call()
    assert second.done == 0


def test_one_who_says_no_is_not_asked_again(processes: Any) -> None:
    killed(processes())
    second = processes()
    with pytest.raises(Unknown):
        second.call(say=False)
    third = processes()
    with pytest.raises(Unknown):
        third.call(say=True)
    assert (second.done, third.done, third.asked) == (0, 0, [])


def test_a_word_counts_for_one_beginning(processes: Any) -> None:
    """The same word is given again for the first when the step is gone on with."""
    killed(processes())
    killed(processes(), say=True)
    third = processes()
    third.call(say=True)
    assert len(third.asked) == 2
    assert third.done == 1
    assert processes().call().text == "sent"


def test_other_arguments_after_an_unknown_end(processes: Any) -> None:
    """Somebody who decides anew does not know that the call was begun already."""
    killed(processes())
    second = processes()
    with pytest.raises(Unknown):
        second.call(arguments={"to": "Ben"})
    assert second.done == 0


def test_calls_that_bear_the_same_name_are_told_apart(processes: Any) -> None:
    first = processes()
    first.call(message("to Ann"))
    assert first.call(message("to Ben"), arguments={"to": "Ben"}).text == "to Ben"
    assert processes().call(arguments={"to": "Ben"}).text == "to Ben"
    assert first.done == 2


def test_a_tool_that_asks_has_not_begun(processes: Any) -> None:
    first = processes()
    with pytest.raises(GraphInterrupt):
        first.call(GraphInterrupt())
    assert first.call().text == "sent"


def test_what_cannot_be_written_down_is_not_done(processes: Any) -> None:
    process = processes()
    process.journal.close()
    with pytest.raises(RunError):
        process.call()
    assert process.done == 0


def test_what_is_decided_is_written_once(processes: Any, tmp_path: Path) -> None:
    pending = Pending("1", "send", ARGUMENTS, "network", "why")
    for verdict in ("approve", "approve", "reject"):
        processes().ledger.decided(pending, Decision("1", verdict, None, "因为"))
    lines = [line for line in Journal(tmp_path).before if line.kind == "decided"]
    assert [line.values["decision"]["verdict"] for line in lines] == ["approve", "reject"]
