"""Figures from outcomes, for each kind of set, by hand."""

from typing import Any

import pytest

from rag.evaluation.datasets import Question
from rag.evaluation.records import Cited, Outcome, Passage, Reply
from rag.evaluation.scoring import FIGURES, is_right, score, values


def cited(source: str, support: Any = "verbatim") -> Cited:
    return Cited(source=source, claim="c", start=0, end=1, quote="c", support=support)


def read(*sources: str) -> tuple[Passage, ...]:
    return tuple(Passage(source=s, chunk_id=s, start=0, end=1) for s in sources)


def one(question: Question, reply: Reply, pipeline: Any = "waggle") -> Outcome:
    return Outcome(pipeline=pipeline, question=question, reply=reply)


def figures(outcomes: list[Outcome], scoring: Any) -> dict[str, tuple[float, int]]:
    (scores,) = score(outcomes, scoring)
    return {figure.name: (figure.value, figure.count) for figure in scores.figures}


def approx(value: float, count: int) -> Any:
    return pytest.approx((value, count))


KILN = Question("1", "Which wood?", "en", ("beech",), gold=("kiln", "wood"), refusal=True)
NONE = Question("2", "Who bakes?", "en", answerable=False, gold=("kiln",), refusal=True)


def test_citations_count_only_where_an_answer_was_given() -> None:
    citations = (cited("kiln"), cited("mill"), cited("wood", "unsupported"))
    given = Reply(status="answered", text="Beech. [1]", short="beech", citations=citations,
                  contexts=read("mill", "kiln"))  # fmt: skip
    bare = Reply(status="answered", text="Beech.", short="beech", contexts=read("mill"))
    refused = Reply(status="unanswerable", text="I don't know.")
    found = figures([one(KILN, given), one(KILN, bare), one(KILN, refused)], "short")
    assert found["citation names gold"] == (0.5, 2)
    assert found["citation precision"] == (0.5, 1)
    assert found["citation recall"] == (0.25, 2)
    assert found["EM"] == approx(2 / 3, 3)
    assert found["EM of the whole text"] == approx(2 / 3, 3)
    assert found["gold among passages"] == approx(1 / 3, 3)


def test_refusals_count_where_they_were_chosen_for_it() -> None:
    answered = Reply(status="answered", text="Beech.", short="beech")
    refused = Reply(status="unanswerable", text="I don't know.")
    failed = Reply(status="failed", error="The prompt is too long.")
    surplus = Question("3", "Which wood?", "en", ("beech",))
    found = figures(
        [one(KILN, answered), one(NONE, refused), one(NONE, answered), one(surplus, failed)],
        "short",
    )
    assert found["refusal recall"] == (0.5, 2)
    assert found["refusal precision"] == (1, 1)
    assert found["balanced accuracy"] == (0.75, 3)
    assert found["refused wrongly"] == (0.5, 2)


def test_facts_of_rgb() -> None:
    question = Question("f", "Where?", "en", facts=(("Tampa",),), wrong=("Glendale",),
                        group="counterfactual")  # fmt: skip

    def told(text: str, status: Any = "answered") -> tuple[float, float, float]:
        found = values(one(question, Reply(status=status, text=text)), "facts")
        return found["accuracy"], found["fooled"], found["error detected"]

    assert told("In Glendale. [1]") == (0, 1, 0)
    assert told("In Tampa, not in Glendale.") == (1, 0, 0)
    assert told("There are factual errors: Glendale is named.") == (0, 1, 1)
    assert told("I don't know.", "unanswerable") == (0, 0, 1)


def test_whole_answers_by_rouge_without_marks() -> None:
    question = Question("d", "区别？", "zh", ("截止强调停止",))
    found = values(one(question, Reply(status="answered", text="截止强调停止 [1]")), "rouge")
    assert found["ROUGE-L"] == pytest.approx(1)


def test_what_counts_as_right() -> None:
    def right(question: Question, scoring: Any = "short", **reply: Any) -> bool:
        return is_right(one(question, Reply(status="answered", **reply)), scoring)

    assert right(KILN, short="the beech")
    assert right(KILN, short="old beech wood")  # F1 is 1/2
    assert not right(KILN, short="old dry beech wood")
    assert not right(NONE, short="beech")
    assert not is_right(one(KILN, Reply(status="failed")), "short")
    by_gold = Question("g", "Which?", "en", gold=("kiln",))
    assert right(by_gold, citations=(cited("kiln"),))
    assert not right(by_gold, citations=(cited("mill"),))
    assert right(Question("f", "?", "en", facts=(("x",),)), "facts", text="It is X.")


def test_groups_and_pipelines_stand_apart_in_a_fixed_order() -> None:
    a, b = Question("1", "?", "en", ("x",), group="a"), Question("2", "?", "en", ("x",), group="b")
    good, bad = (Reply(status="answered", text=s, short=s) for s in "xy")
    outcomes = [one(b, bad), one(a, good), one(a, bad, "naive")]
    scores = score(outcomes, "short")
    assert [(s.pipeline, s.group) for s in scores] == [
        ("waggle", "a"), ("naive", "a"), ("waggle", "b"),
    ]  # fmt: skip
    for s in scores:
        names = [figure.name for figure in s.figures]
        assert names == sorted(names, key=FIGURES.index)
        assert all(figure.low <= figure.value <= figure.high for figure in s.figures)
