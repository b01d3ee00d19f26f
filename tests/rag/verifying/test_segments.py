"""An answer is cut into sentences, each with the passages it names."""

from hypothesis import given
from hypothesis import strategies as st

from rag.verifying.segments import Segment, Segments


def segments(text: str) -> list[Segment]:
    taking = Segments()
    return [*taking.feed(text), *taking.close()]


def test_sentences_become_claims_with_their_marks() -> None:
    text = (
        "Bees dance [1][2]. They fly.[2] 蜜蜂跳舞。[1] 好【1，2】。\n- item one [9]\n2. two ［1］"
    )
    assert segments(text) == [
        Segment("", "Bees dance.", (1, 2)),
        Segment(" ", "They fly.", (2,)),
        Segment(" ", "蜜蜂跳舞。", (1,)),
        Segment(" ", "好。", (1, 2)),
        Segment("\n- ", "item one", (9,)),
        Segment("\n2. ", "two", (1,)),
    ]
    assert not any(segment.is_claim for segment in segments("[1] [0] ...\n\n"))


def test_what_was_said_of_a_sentence_before_is_no_part_of_it() -> None:
    text = "Bees dance. [?] They fly. [?] [1] 蜜蜂跳舞。［？］好 [?]\nWhy? [really?]"
    assert [(one.text, one.marks) for one in segments(text)] == [
        ("Bees dance.", ()), ("They fly.", (1,)), ("蜜蜂跳舞。", ()), ("好", ()), ("Why?", ()),
        ("[really?]", ()),
    ]  # fmt: skip


def test_what_looks_like_a_mark_is_text() -> None:
    for text in ("取值范围为[0, 1]。", "It lies in [0, 1] by default.", "符号[?]表示未知。"):
        assert [(one.text, one.marks) for one in segments(text)] == [(text, ())]


def test_what_only_begins_like_a_lead_in_stays() -> None:
    text = "根据文档管理办法，合同应在三十日内归档。"
    assert [one.text for one in segments(text)] == [text]
    assert [one.text for one in segments("根据资料显示，该厂建于1958年。")] == ["该厂建于1958年。"]


def test_a_full_stop_that_stands_again_behind_the_mark_is_dropped() -> None:
    assert segments("蜜蜂跳舞。[1]。好。[2] . Bees fly! [1].[2] Why?") == [
        Segment("", "蜜蜂跳舞。", (1,)),
        Segment("", "好。", (2,)),
        Segment(" ", "Bees fly!", (1, 2)),
        Segment(" ", "Why?", ()),
    ]


def test_a_dot_that_begins_a_word_stays_with_it() -> None:
    text = "It runs. [1] .NET is needed. [2] ...and so on."
    assert [one.text for one in segments(text)] == ["It runs.", ".NET is needed.", "...and so on."]


def test_a_lead_in_is_no_part_of_the_claim() -> None:
    assert segments("根据资料 [1] 和 [2]，它不易结晶。") == [Segment("", "它不易结晶。", (1, 2))]


@given(st.text(alphabet='a1 .。!?\n-[],，【】"”根据资料', max_size=80))
def test_nothing_but_marks_and_lead_ins_is_lost(text: str) -> None:
    kept = "".join(segment.lead + segment.text for segment in segments(text))
    letters = [char for char in text if char == "a"]
    assert [char for char in kept if char == "a"] == letters
