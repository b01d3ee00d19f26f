"""The numbers of passages in a report."""

from agents.loop.reporting import cited_first
from agents.loop.types import Task
from agents.loop.wording import Wording, without_request
from indexes.types import SearchResult
from rag.marks import renumbered


def passage(text: str) -> SearchResult:
    return SearchResult(1, 1.0, text, f"/{text}", text, None, (), 0, len(text), text, {})


def test_passages_that_findings_name_come_first() -> None:
    """Where there is no room for all, the others are left out."""
    contexts = [passage(one) for one in "abcd"]
    tasks = [Task(1, "x", "done", "Yes [3], and no [9]. Then [1][3]."), Task(2, "y", "done", "[4]")]
    found = cited_first(contexts, tasks)
    assert [(number, one.text) for number, one in found] == [
        (3, "c"), (1, "a"), (4, "d"), (2, "b"),
    ]  # fmt: skip


def test_each_mark_gets_its_number() -> None:
    assert renumbered("One [1]. Two [2][12].", {1: 3, 2: 1, 12: 2}) == "One [3]. Two [1][2]."


def test_a_mark_without_a_number_goes() -> None:
    assert renumbered("One [1]. Two [7], three.", {1: 2}) == "One [2]. Two, three."


def test_what_was_asked_for_is_no_part_of_the_reply() -> None:
    goal = "Compare the bees of Lunz."
    kept = "They differ. [1]\nCompare the bees of Linz.\nI compare the bees of Lunz."
    assert without_request(f"The goal: {goal}\n\n{kept}", goal) == kept
    assert without_request("目标：比较。\n不同。", "比较。") == "不同。"
    assert without_request("They differ.", "？？") == "They differ."
    no_more = Wording(goal).closing(goal, ()).split("\n\n")[1].split(" Answer")[0]
    assert without_request(f"{goal}\n\n{no_more} They differ.", goal) == "They differ."
    assert without_request("不能再查找了。不同。", "比较。") == "不同。"
