"""Words, figures and sentences, by which a claim is compared with a passage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.verifying.names import names_in
from rag.verifying.quantities import claimed, stated
from rag.verifying.spans import spans
from rag.verifying.words import Vocabulary, content_words, is_figure


def test_function_words_carry_no_meaning() -> None:
    assert content_words("The honey is from the heather.") == ["honey", "heather"]
    assert content_words("因为它的果糖多") == ["果糖"]
    assert content_words("的") == []


def test_words_are_held_in_any_inflection() -> None:
    assert Vocabulary("he decodes a dance").held(["decoded", "dances"]) == 1
    assert Vocabulary("果糖含量高").held(["果糖", "蜂王"]) == 0.5
    assert Vocabulary("anything").held([]) == 1


def test_numbers_are_compared_by_value_not_by_writing() -> None:
    text = "1,500 jars at 1.5 % on 2025-08-30, 12:30"
    assert {key for keys in claimed(text) for key in keys} == {
        "1500", "1.5%", "2025-08-30", "12:30",
    }  # fmt: skip
    assert {"1500", "1.5", "1.5%", "2025", "12:30"} <= stated(text)
    assert stated("３８ 群") == {"38"}


@given(st.text(max_size=300))
def test_spans_are_the_text_but_for_rules_and_white_space(text: str) -> None:
    last, between = 0, ""
    for span in spans(text):
        assert last <= span.start < span.end
        between += text[last : span.start]
        last = span.end
    assert not any(char.isalnum() for char in between + text[last:])


def test_chinese_beside_latin_letters_is_cut_into_words() -> None:
    assert {"dna", "检测", "蜂群"} <= set(content_words("DNA检测显示这个蜂群健康。"))
    assert names_in("DNA检测显示这个蜂群健康。").sure == {"dna"}


@pytest.mark.parametrize(
    ("word", "figure"), [("三十", True), ("3rd", True), ("46", True), ("三角形", False)]
)
def test_a_word_that_begins_with_a_numeral_need_not_be_a_figure(word: str, figure: bool) -> None:
    assert is_figure(word) is figure
