"""An answer is told in the words of the passage that it was copied from, almost."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.types import SearchResult
from rag.verifying.passages import Passage
from rag.verifying.wording import as_written

HIVE = (
    "The hive of Lunz holds bees, wasps and a few hornets. It has four doors. About twenty-five "
    "percent of the 2,500 cells are empty. Ida Holm counted them."
)
蜂箱 = "伦茨的蜂箱里有蜜蜂、胡蜂和熊蜂。箱子有四扇门，约百分之三十的巢房空着。蜜蜂的身上有花粉。"


def read(*texts: str) -> list[Passage]:
    return [
        Passage(n, SearchResult(n, 0.5, "id", "a", "", None, (), 0, len(text), text, {}))
        for n, text in enumerate(texts, 1)
    ]


@pytest.mark.parametrize(
    ("text", "question", "copied", "written"),
    [
        (HIVE, "How many doors has the hive?", "4", "four"),
        (HIVE, "How many cells are empty?", "25%", "twenty-five percent"),
        (HIVE, "How many cells are empty?", "25 %", "twenty-five percent"),
        (HIVE, "What does the hive hold?", "bees, wasps, a few hornets",
         "bees, wasps and a few hornets"),
        (HIVE, "What does the hive hold?", "Bees, wasps and few hornets",
         "bees, wasps and a few hornets"),
        (蜂箱, "蜂箱有几扇门？", "4", "四"),
        (蜂箱, "空着的巢房有多少？", "30%", "百分之三十"),
        (蜂箱, "蜂箱里有什么？", "蜜蜂、胡蜂、熊蜂", "蜜蜂、胡蜂和熊蜂"),
        (蜂箱, "哪里有花粉？", "蜜蜂身上", "蜜蜂的身上"),
    ],
)  # fmt: skip
def test_it_is_put_as_the_passage_has_it(
    text: str, question: str, copied: str, written: str
) -> None:
    assert as_written(copied, question, read(text)) == written


@pytest.mark.parametrize(
    "copied",
    [
        "",
        "Ida Holm",
        "bees, wasps and a few hornets",
        "5",  # of twenty-five
        "5%",
        "wasps, bees",
        "bees and hornets",  # the wasps are no small word
        "doors and cells",
        "Ida",
        "a word that is not there",
        "the " * 100,
        "...",
        "%",
    ],
)
def test_what_is_there_so_or_not_at_all_stays(copied: str) -> None:
    assert as_written(copied, "What is it?", read(HIVE)) == copied


def test_of_several_places_the_one_that_is_asked_for_counts() -> None:
    """A figure may stand elsewhere in digits, for something else."""
    rooms = "The museum of Lunz has 4 rooms. The hive of Lunz has four doors."
    passages = read(rooms, "Chapter 4.")
    assert as_written("4", "How many doors has the hive of Lunz?", passages) == "four"
    assert as_written("4", "How many rooms has the museum of Lunz?", passages) == "4"


def test_without_passages_or_sentences_nothing_changes() -> None:
    assert as_written("4", "How many?", []) == "4"
    assert as_written("4", "How many?", read("")) == "4"


WORDS = st.lists(
    st.sampled_from(
        [
            "four",
            "4",
            "bees",
            "wasps",
            "and",
            "the",
            "25%",
            "1,000",
            "twenty",
            "five",
            "四",
            "蜂",
            "的",
        ]
    )
)


@given(WORDS, WORDS, st.text(max_size=40))
def test_it_is_a_part_of_a_passage_or_as_it_was(
    passage: list[str], copied: list[str], question: str
) -> None:
    text, words = " ".join(passage), " ".join(copied)
    written = as_written(words, question, read(text))
    assert written == words or written in text
    if written != words and re.search(r"[^\d.,%\s]", words):
        left = iter(written.casefold().split())
        assert all(word.casefold() in left for word in words.split())
