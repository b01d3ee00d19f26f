"""The scripts behind docs/retrieval.md and docs/explain.md: their figures by hand."""

from pathlib import Path

from benchmarks.attention import auc
from benchmarks.plans import asking, two_paragraphs, whole_paragraphs
from benchmarks.sets import Paragraph, Question, Task
from rag.types import Usage
from tests.rag.scripted_server import reply, scripted_server, whole

KILN = "The potter fires the kiln with beech wood."
MILL = "The miller repaired the wheel after the flood."


def task(*questions: Question) -> Task:
    paragraphs = [Paragraph("kiln", "Kiln", KILN), Paragraph("mill", "Mill", MILL)]
    return Task("t", paragraphs, questions)


def test_the_share_of_pairs_in_order() -> None:
    assert auc([3, 1], [1, 0]) == (1 + 1 + 0.5 + 1) / 4


def test_what_each_plan_finds(home: Path) -> None:
    asked = Question("1", "Which wood heats the kiln?", ("kiln", "absent"))
    rows = two_paragraphs(task(asked), str(home))
    assert [list(row.shares) for row in rows] == [[0.5]] * 4
    whole = whole_paragraphs(
        task(Question("1", "Which wood heats the kiln?", ("kiln",))), str(home)
    )
    assert [list(row.shares) for row in whole] == [[1.0]] * 4
    assert list(whole[0].characters) == [len(KILN) + len(MILL)]


def test_what_the_plans_that_ask_a_model_find_and_cost(home: Path) -> None:
    asked = [Question(str(n), "Which wood heats the kiln?", ("kiln", "mill")) for n in range(2)]
    with scripted_server() as script:
        script.models({"id": "m"})
        script.answers(reply(200, whole(content="What was repaired after the flood?")))
        rows = list(asking(task(*asked), str(home), script.url, at_once=2))
    plain, *others = rows
    assert (plain.shares, plain.usages[0].prompt_tokens) == ((1.0, 1.0), 0)
    assert all(row.shares == (1.0, 1.0) for row in others)
    by_name = {row.name.removesuffix(", 5 passages"): row for row in others}
    assert list(by_name["hypothetical"].usages) == [Usage(3, 2)] * 2
    # The others want JSON, and are left out, but not for nothing.
    assert {name for name, row in by_name.items() if not row.left_out} == {"hypothetical"}
    assert by_name["rewordings"].usages[0] == Usage(9, 6)
