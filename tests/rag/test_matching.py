import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.matching import content_words, find_verbatim, held, numbers, sentences


@pytest.mark.parametrize(
    ("claim", "text", "span"),
    [
        ("bees dance", "So BEES,  dance!", "BEES,  dance"),
        ("About 18 % water", "There is about 18% water left.", "about 18% water"),
        ("1500 jars", "They sold 1,500 jars.", "1,500 jars"),
        ("ｂｅｅｓ", "the bees", "bees"),
        ("蜂蜜產量高", "去年，蜂蜜产量高。", "蜂蜜产量高"),
        ("洋槐蜜 不易结晶", "……洋槐蜜，不易结晶……", "洋槐蜜，不易结晶"),
        ("-5 degrees", "It fell to -5 degrees.", "-5 degrees"),
        ("café", "the CAFÉ", "CAFÉ"),
    ],
)
def test_the_same_words_are_found(claim: str, text: str, span: str) -> None:
    found = find_verbatim(claim, text)
    assert found is not None
    assert text[slice(*found)] == span


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        ("art", "smart artist"),
        ("15", "1.5 and 115 and 15.2 and 150"),
        ("15 %", "1.5 %"),
        ("5 degrees", "It fell to -5 degrees."),
        ("1,500", "1.500"),
        ("12:30", "2:30"),
        ("bees dance", "bees never dance"),
        ("", "anything"),
        ("?!", "anything?!"),
    ],
)
def test_other_words_and_numbers_are_not(claim: str, text: str) -> None:
    assert find_verbatim(claim, text) is None


@given(st.text(max_size=200), st.data())
def test_every_sentence_of_a_text_is_found_in_it(text: str, data: st.DataObject) -> None:
    start, end = data.draw(st.sampled_from(sentences(text) or [(0, 0)]))
    found = find_verbatim(text[start:end], text)
    if found:
        assert 0 <= found[0] < found[1] <= len(text)


@given(st.text(max_size=300))
def test_sentences_cover_the_text(text: str) -> None:
    spans = sentences(text)
    assert "".join(text[start:end] for start, end in spans) == text


def test_numbers_are_compared_by_value_not_by_writing() -> None:
    assert numbers("1,500 jars at 1.5 % on 2025-08-30, 12:30") == {
        "1500", "1.5", "2025", "08", "30", "12:30",
    }  # fmt: skip
    assert numbers("３８ 群") == {"38"}


def test_function_words_carry_no_meaning() -> None:
    assert content_words("The honey is from the heather.") == ["honey", "heather"]
    assert content_words("因为它的果糖多") == ["果糖"]
    assert content_words("的") == []


def test_words_are_held_in_any_inflection() -> None:
    assert held(["decoded", "dances"], "He decodes a dance.") == 1
    assert held(["果糖", "蜂王"], "果糖含量高") == 0.5
    assert held([], "anything") == 1
