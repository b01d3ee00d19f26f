"""What a model wrote under its labels, and which answers count as the same."""

import pytest
from hypothesis import given

from rag.prompting.replies import Reply, bare, split_reply, vote
from tests.rag.prompting.passages import texts


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("Reason: a\nAnswer: b c. [1]\nShort: b", Reply("b c. [1]", "b", "a")),
        ("**Reason:** a\n**Answer:** b. [1]\n**Short:** b [1]", Reply("b. [1]", "b", "a")),
        ("理由：甲\n答案：乙。[1]\n简答：乙。", Reply("乙。[1]", "乙", "甲")),
        ("Reasoning: a\nthat goes on\nFinal answer: b", Reply("b", "", "a\nthat goes on")),
        ("Just an answer. [2]", Reply("Just an answer. [2]")),
        ("Queens live long. [2]\nShort: 5 years", Reply("Queens live long. [2]", "5 years")),
        ("Short: 5 years", Reply("5 years", "5 years")),
        ("Reason: cut off in the", Reply("", "", "cut off in the")),
        ("Answer: a\nAnswer: b", Reply("b")),
        ("The answer: it depends", Reply("The answer: it depends")),
        ("", Reply("")),
    ],
)
def test_a_reply_is_split_at_its_labels(text: str, reply: Reply) -> None:
    assert split_reply(text) == reply


@given(texts)
def test_any_reply_can_be_split(text: str) -> None:
    reply = split_reply(text)
    assert all(part in text for part in (reply.answer, reply.reason))


def test_a_short_answer_has_no_marks() -> None:
    assert bare("“1973” [2], [3].") == "1973"
    assert bare("1973年[1, 2]。") == "1973年"
    assert bare("人们叫它“雪蜜”。[3]") == "人们叫它“雪蜜”"
    assert bare("「甲」和「乙」") == "「甲」和「乙」"


def test_answers_are_equal_up_to_form() -> None:
    shorts = ["The Nobel Prize", "1973", "nobel prize.", "ＮＯＢＥＬ　ＰＲＩＺＥ", "1973年", "1973"]
    votes = vote([Reply(f"{short}!", short) for short in shorts])
    assert [(v.short, v.count) for v in votes] == [("The Nobel Prize", 3), ("1973", 2),
                                                   ("1973年", 1)]  # fmt: skip
    assert votes[0].text == "The Nobel Prize!"
    assert [v.count for v in vote([Reply("", "諾貝爾獎"), Reply("", "诺贝尔奖")])] == [2]
    assert [v.count for v in vote([Reply("", "-5"), Reply("", "5"), Reply("", "1.5")])] == [1, 1, 1]


def test_an_article_may_be_the_answer() -> None:
    assert [v.count for v in vote([Reply("", "A"), Reply("", "–"), Reply("", "The")])] == [1, 1, 1]


def test_of_equals_the_first_counts() -> None:
    assert vote([Reply("b"), Reply("a")])[0].text == "b"
