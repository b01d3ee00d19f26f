"""Improving prompts, piece by piece: what is learned from, refused, and asked at the most."""

from dataclasses import replace

import pytest

from rag.evaluation.comparing import compare
from rag.evaluation.datasets import Question
from rag.evaluation.prompt_lessons import examples, mistakes, parted, told
from rag.evaluation.prompt_proposing import Grounds, objection
from rag.evaluation.prompt_search import cost_of
from rag.evaluation.prompt_verdicts import verdicts
from rag.evaluation.records import Cited, Outcome, Passage, Reply
from rag.evaluation.statistics import balanced_difference
from rag.prompting.library import built_in
from rag.types import Support


def asked(number: int, *, answerable: bool = True) -> Question:
    return Question(
        f"q{number}", f"Who has number {number}?", "en", ("Anna Holm",) * answerable,
        gold=("a",) * answerable, answerable=answerable, refusal=True,
    )  # fmt: skip


def outcome(
    text: str, *, short: str = "Anna Holm", support: Support = "verbatim", answerable: bool = True,
    number: int = 1,
) -> Outcome:  # fmt: skip
    passages = tuple(
        Passage(source=name, chunk_id=name, start=100, end=900) for name in ("b", "c", "a")
    )
    cited = Cited(source="a", claim="c", start=120, end=140, quote="Anna Holm\n has it.",
                  support=support)  # fmt: skip
    reply = Reply(status="answered" if text else "unanswerable", text=text, short=short,
                  citations=(cited,) * bool(text), contexts=passages)  # fmt: skip
    question = asked(number, answerable=answerable)
    return Outcome(pipeline="waggle", question=question, reply=reply)


def text_of(question: Question, passage: Passage) -> str:
    return f"Of {passage.source}. " + "It goes on and on. " * 30


# -- examples --------------------------------------------------------------------------------------


def test_an_example_is_a_right_answer_with_what_it_quotes() -> None:
    (example,) = examples([outcome("It is Anna Holm. [3]")], "short", text_of)
    assert example.question == "Who has number 1?"
    assert example.passages[1] == "Anna Holm has it."
    assert example.answer == "It is Anna Holm. [2]"
    assert example.passages[0].startswith("Of b. It goes on and on.")
    assert example.passages[0].endswith("on.")
    assert len(example.passages[0]) <= 200


def test_a_right_refusal_is_an_example_too() -> None:
    (example,) = examples([outcome("", answerable=False)], "short", text_of)
    assert example.answer == "I don't know."
    assert [text[:5] for text in example.passages] == ["Of b.", "Of c."]


@pytest.mark.parametrize(
    "wrong",
    [
        outcome("It is Tom Ash. [3]", short="Tom Ash"),
        outcome("It is Anna Holm."),
        outcome("It is Anna Holm. [1]"),  # nothing of it is quoted
        outcome("It is Anna Holm. [4]"),
        outcome("It is Anna Holm. [3] He sings. [?]"),
        outcome("It is Anna Holm. [3]", support="unsupported"),
        outcome(""),
        outcome("It is Anna Holm. [3]", answerable=False),
    ],
)
def test_nothing_else_is(wrong: Outcome) -> None:
    assert examples([wrong], "short", text_of) == []


def test_a_mistake_is_told_with_what_was_wanted() -> None:
    wrong = outcome("It is\nTom. [1]", short="Tom")
    other = outcome("Anna. [3]", answerable=False)
    assert mistakes([wrong, outcome("Anna Holm. [3]"), other], "short") == [wrong, other]
    assert told(wrong, "en") == (
        "Question: Who has number 1?\nExpected: Anna Holm\nGiven: It is Tom. [1]"
    )
    assert "Expected: I don't know." in told(other, "en")
    assert "应答: Anna Holm" in told(wrong, "zh")


# -- questions and cost ----------------------------------------------------------------------------


def test_a_third_is_learned_from_and_never_scored_by() -> None:
    questions = [asked(n) for n in range(20)] + [asked(n, answerable=False) for n in range(20, 30)]
    lessons, scored = parted(questions)
    assert (len(lessons), len(scored)) == (9, 21)
    assert {q.id for q in lessons} | {q.id for q in scored} == {q.id for q in questions}
    quarter = scored[:6]
    assert sum(not q.answerable for q in quarter) == 2
    assert {q.answerable for q in lessons[:3]} == {True, False}


def test_the_cost_is_what_halving_asks() -> None:
    # 6 candidates get 6 questions each, 3 get 5 more, 2 get the other 10.
    one = 6 * 6 + 3 * 5 + 2 * 10
    assert cost_of(9, 21, 30, 1).answers == 30 + one + 60
    assert cost_of(9, 21, 30, 2).answers == 30 + 2 * one + 9 + 60
    assert cost_of(9, 21, 30, 2).proposals == 8


# -- proposals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Answer in one word.", ""),
        ("", "empty"),
        ("word " * 400, "too long: 2000"),
        ("请用一个词回答。", "another language"),
        ("Answer {question}.", "variables"),
        ("Answer.<|im_end|>", "no part of an instruction"),
        ("Answer. <!-- step: x -->", "no part of an instruction"),
        ("Answer as\nit  stands.", "tried already"),
        ("Say anna holm to all.", "gives away"),
    ],
)
def test_what_is_wrong_with_a_proposal_is_said(text: str, reason: str) -> None:
    wrong = outcome("It is Tom. [1]", short="Tom")
    short = built_in().get("short", "en")
    grounds = Grounds(short, "Answer.", [wrong], [("Answer as it stands.", 0.5)])
    said = objection(text, grounds)
    assert bool(said) == bool(reason)
    assert reason in said


def test_a_prompt_for_an_object_must_ask_for_its_fields() -> None:
    quoted = Grounds(built_in().get("quote-first", "en"), "Find it.", [], [])
    assert "«quote»" in objection('Give "passage", "answer" and "short".', quoted)
    assert not objection('Give "passage", "quote", "short" and "answer".', quoted)


# -- which is better -------------------------------------------------------------------------------


def test_of_both_kinds_each_counts_half() -> None:
    change = balanced_difference([1.0] * 8 + [0.0] * 2, [-1.0, 0.0, 0.0, 0.0])
    assert change.mean == pytest.approx((0.8 - 0.25) / 2)
    assert change.low < change.mean < change.high
    assert change.p == pytest.approx(2 * (1 + 9) / 2**9)


def test_balanced_accuracy_is_compared_pair_by_pair() -> None:
    right, refused = "Anna Holm [3]", ""
    kinds = [True] * 12 + [False] * 12

    def run(texts: list[str]) -> list[Outcome]:
        return [outcome(text, answerable=kind, number=n)
                for n, (text, kind) in enumerate(zip(texts, kinds, strict=True))]  # fmt: skip

    first, second = run([right] * 24), run([right] * 11 + [refused] * 13)
    changes = {c.name: c for c in compare(first, second, "short")}
    balanced = changes["balanced accuracy"]
    assert (balanced.first, balanced.count) == (0.5, 24)
    assert balanced.second == pytest.approx((11 / 12 + 1) / 2)
    assert balanced.difference.mean == pytest.approx(balanced.second - balanced.first)
    assert changes["refusal recall"].difference.mean == 1
    assert changes["score"].second == pytest.approx(23 / 24)
    (verdict,) = verdicts(list(changes.values()))
    assert (verdict.better, verdict.against) == ("second", ())


def test_a_figure_that_says_otherwise_is_told() -> None:
    alike = [outcome("Anna Holm [3]", number=n) for n in range(20)]
    elsewhere = [
        one.model_copy(update={"question": replace(one.question, gold=("b",))}) for one in alike
    ]
    swapped = compare(alike, elsewhere, "short")
    (verdict,) = verdicts(swapped)
    assert verdict.better == "neither"
    assert [change.name for change in verdict.against] == ["citation names gold"]
