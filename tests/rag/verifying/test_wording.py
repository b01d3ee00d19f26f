"""An answer is told in the words of the passage that it was copied from, almost."""

import re
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.types import SearchResult
from rag.verifying.passages import Passage
from rag.verifying.quantities import claimed
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
        ("About five per cent die.", "How many die?", "5%", "five per cent"),
        ("The second hive has two doors.", "How many doors has the second hive?", "2", "two"),
        ("On March 5 three hives burnt.", "How many burnt?", "3", "three"),
        (HIVE, "What does the hive hold?", "bees, wasps, a few hornets",
         "bees, wasps and a few hornets"),
        (HIVE, "What does the hive hold?", "Bees, wasps and few hornets",
         "bees, wasps and a few hornets"),
        ("It holds bees,\nwasps and\nhornets.", "What does it hold?", "bees, wasps, hornets",
         "bees, wasps and hornets"),
        (蜂箱, "蜂箱有几扇门？", "4", "四"),
        (蜂箱, "空着的巢房有多少？", "30%", "百分之三十"),
        ("第二个蜂箱有两扇门。", "第二个蜂箱有几扇门？", "2", "两"),
        ("有一千二百五十只。", "有多少只？", "1250", "一千二百五十"),
        (蜂箱, "蜂箱里有什么？", "蜜蜂、胡蜂、熊蜂", "蜜蜂、胡蜂和熊蜂"),
        ("蜂箱里有蜜蜂、胡\n蜂和熊蜂。", "有什么？", "蜜蜂、胡蜂、熊蜂", "蜜蜂、胡蜂和熊蜂"),
        (蜂箱, "哪里有花粉？", "蜜蜂身上", "蜜蜂的身上"),
    ],
)  # fmt: skip
def test_it_is_put_as_the_passage_has_it(
    text: str, question: str, copied: str, written: str
) -> None:
    assert as_written(copied, question, read(text)) == written


@pytest.mark.parametrize(
    ("text", "copied"),
    [
        *((HIVE, copied) for copied in (
            "", "Ida Holm", "bees, wasps and a few hornets", "wasps, bees", "doors and cells",
            "Ida", "a word that is not there", "the " * 100, "...", "%",
            "bees and hornets",  # the wasps are no small word
            "5",  # of twenty-five
            "25",  # that is a share
        )),
        # Ordinals, dates, parts of other figures.
        ("The second hive burnt, and the third.", "2"),
        ("The second hive burnt, and the third.", "3"),
        ("He won it once, and was first.", "1"),
        ("On March 5, 1904 it burnt.", "5"),
        ("Of the bees, five per hive die.", "5%"),
        ("Chapters 3,4,5 tell of it.", "4"),
        ("It is 1,5 m long.", "5"),
        ("30% of the cells.", "30"),
        ("There are two hundred and five hives.", "5"),
        ("There are four doors.", "4,4"),
        ("It is 5 degrees cold.", "-5"),
        ("第二个。", "2"),
        ("二十五只。", "5"),
        # A word more would say another thing.
        ("Bees do not dance.", "bees dance"),
        ("It was 5 degrees cold.", "-5 degrees"),
        ("They can only dance.", "can dance"),
        # Other names, and parts of words.
        ("出席会议的还有公司代表李小明。", "李明"),
        ("船队从海上向大海驶去。", "上海"),
        ("他在北京大学读书。", "北大"),
        ("他坐高速铁路的列车去的。", "高铁"),
        ("中国人民银行在北京发行货币。", "中国银行"),
        ("他看和平的书。", "看平的书"),
    ],
)  # fmt: skip
def test_what_is_there_so_or_not_at_all_stays(text: str, copied: str) -> None:
    assert as_written(copied, "What is it?", read(text)) == copied


@pytest.mark.parametrize(
    ("question", "copied", "written"),
    [
        ("In which town does Ida live?", "In Lunz", "Lunz"),
        ("In what year was it built?", "in 1904", "1904"),
        ("Where does Ida live?", "In Lunz", "In Lunz"),
        ("On which river is Lunz?", "In Lunz", "In Lunz"),
        ("In which?", "In", "In"),
        ("In which?", "Inland", "Inland"),
    ],
)
def test_what_the_question_says_is_not_said_again(question: str, copied: str, written: str) -> None:
    assert as_written(copied, question, read("She lives in Lunz since 1904.")) == written


def test_a_name_keeps_its_preposition() -> None:
    passages = read("Capote describes the murders in the book In Cold Blood.")
    question = "In which book did Capote describe the murders?"
    assert as_written("In Cold Blood", question, passages) == "In Cold Blood"


@pytest.mark.parametrize(("text", "words"), [("的" * 20_000, "的人"), ("a " * 20_000, "a x")])
def test_a_long_text_is_read_in_no_time(text: str, words: str) -> None:
    started = time.monotonic()
    assert as_written(words, "What?", read(text)) == words
    assert time.monotonic() - started < 10


def test_words_that_stand_somewhere_as_they_are_are_kept() -> None:
    passages = read("They hold bees and wasps.", "The hive of Lunz: bees, wasps.")
    assert as_written("bees, wasps", "What do they hold?", passages) == "bees, wasps"


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
        ["four", "4", "bees", "wasps", "and", "the", "not", "second", "25%", "1,000", "twenty",
         "five", "四", "第", "蜂", "的", "不", "\n", "-", "per"]
    )
)  # fmt: skip
SMALL = {"and", "the", "的"}
PARTS = re.compile(r"[a-z]+|\d+|[\u4e00-\u9fff]")


@given(WORDS, WORDS, st.text(max_size=40))
def test_it_is_a_part_of_a_passage_or_as_it_was(
    passage: list[str], copied: list[str], question: str
) -> None:
    """With nothing more than two small words in it."""
    words = " ".join(" ".join(copied).split())
    written = as_written(words, question, read(" ".join(passage)))
    assert "\n" not in written
    more = Counter(PARTS.findall(written)) - Counter(PARTS.findall(words))
    if written != words and claimed(written) != claimed(words):
        assert set(more) <= SMALL
    if written != words and not claimed(words):
        assert more.total() <= 2
