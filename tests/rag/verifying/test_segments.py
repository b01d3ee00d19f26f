"""An answer is cut into sentences, each with the passages it names."""

import pytest
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


@pytest.mark.parametrize(
    "said",
    ["根据资料。", "根据资料 [1] 和 [2]。", "根据以上资料显示 [2]", "According to the passages.",
     "Based on the text [1]."],
)  # fmt: skip
def test_a_lead_in_to_nothing_is_no_claim(said: str) -> None:
    first, second = segments(f"约 46 摄氏度。[2]{said}")
    assert (first.text, first.marks) == ("约 46 摄氏度。", (2,))
    assert not second.is_claim
    assert second.text == ""


@given(st.text(alphabet='a1 .。!?\n-[],，【】"”根据资料', max_size=80))
def test_nothing_but_marks_and_lead_ins_is_lost(text: str) -> None:
    kept = "".join(segment.lead + segment.text for segment in segments(text))
    letters = [char for char in text if char == "a"]
    assert [char for char in kept if char == "a"] == letters


def test_code_keeps_what_looks_like_a_mark() -> None:
    code = "```python\nlast = values[1]\nprint(last) # [2]\n```"
    first, block, then = segments(f"Take the second. [2]\n{code}\n[1]\nIt is `values[1]` then. [3]")
    assert (first.text, first.marks) == ("Take the second.", (2,))
    assert (block.text, block.marks, block.is_code) == (code, (1,), True)
    assert block.said == "last = values[1]\nprint(last) # [2]"
    assert (then.text, then.marks) == ("It is `values[1]` then.", (3,))


@pytest.mark.parametrize("fence", ["```", "```text", "  ```"])
def test_words_in_fences_are_sentences(fence: str) -> None:
    found = segments(f"{fence}\nBees see red. [1]\nThey do not. [2]\n```\nSo it is.")
    assert [(s.text, s.marks) for s in found if s.is_claim] == [
        ("Bees see red.", (1,)), ("They do not.", (2,)), ("So it is.", ()),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["```", "``", "```\n", "```python\nx = a[1]", "```\n```", "```py\n```\n```\nx[1]\n``` [2]"],
)
def test_a_block_that_is_not_whole_is_kept(text: str) -> None:
    said = "".join(s.lead + s.text for s in segments(text))
    assert said == text.removesuffix(" [2]").rstrip() or said == text


@given(
    st.lists(
        st.sampled_from(["```", "`", "\n", "py", " ", "a[1]", "So it is.", "[2]", "- ", "。"])
    ),
    st.data(),
)
def test_code_is_cut_alike_however_it_comes(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    taking, found, at = Segments(), list[Segment](), 0
    while at < len(text):
        size = data.draw(st.integers(1, 5))
        found += taking.feed(text[at : at + size])
        at += size
    assert [*found, *taking.close()] == segments(text)
    assert "".join(one.lead + one.text for one in segments(text)).count("a") == text.count("a")
