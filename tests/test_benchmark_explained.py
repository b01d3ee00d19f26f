"""The scripts behind docs/retrieval.md and docs/explain.md: their figures by hand."""

from pathlib import Path

from benchmarks.attention import auc
from benchmarks.plans import two_paragraphs, whole_paragraphs
from benchmarks.sets import Paragraph, Question, Task

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
    assert whole[0].characters == [len(KILN) + len(MILL)]
