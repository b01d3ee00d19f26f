"""The claims of benchmarks/checking.py, and what is made of them, on sentences written here."""

from benchmarks.checking import check
from benchmarks.claims import kind_of, made
from rag.evaluation.datasets import Paragraph, Question

MILL = Paragraph(
    "mill", "Hallam Mill",
    "The old mill was built by Edith Crane in 1786. The wheel was repaired by Tobias Lund in 1812.",
)  # fmt: skip
BARN = Paragraph("barn", "Hallam Mill", "The barn holds oats and hay for the horses.")
WHO = Question("1", "Who built the old mill?", "en", ("Edith Crane",), gold=("mill",))
WHEN = Question("2", "When was the wheel repaired?", "en", ("1812",), gold=("mill",))


def test_claims_are_right_where_they_tell_the_answer() -> None:
    rows = list(made([WHO], {"mill": MILL, "barn": BARN}, [WHO, WHEN]))
    claims = {(row.truth, row.way): row.claim for row in rows}
    assert claims["right", "sentence"] == "The old mill was built by Edith Crane in 1786."
    assert claims["same kind", "answer"] == "Tobias Lund"
    assert claims["other answer", "sentence"] == "The old mill was built by 1812 in 1786."
    assert claims["right", "question"] == "Edith Crane built the old mill."
    assert {row.paragraph.id for row in rows if row.truth == "neighbour"} == {"barn"}
    told = [check(row) for row in rows]
    assert all(t.accepted for t in told if t.made.truth == "right")
    assert not any(t.accepted for t in told if t.made.truth == "neighbour")


def test_kinds_of_answers() -> None:
    answers = ("1812", "27 hives", "Edith Crane", "the river", "三千人", "威廉·哈特", "在河边")
    assert [kind_of(answer) for answer in answers] == [
        "date", "number", "name", "phrase", "number", "name", "phrase",
    ]  # fmt: skip
