"""What of a passage a claim may follow from."""

import pytest

from indexes.types import SearchResult
from rag.verifying.asking import fits
from rag.verifying.claims import Claim, Question
from rag.verifying.measures import in_other_units, measures_otherwise
from rag.verifying.names import initials, names_in
from rag.verifying.passages import Passage
from rag.verifying.placing import place
from rag.verifying.quantities import claimed

COMBS = (
    "Bees leave a gap of 6 to 9 mm between combs. This is the bee space between the combs. "
    "Langstroth measured the gap in 1851. Dadant sold hives in Illinois."
)


def quoted(claim: str, question: str, text: str = COMBS) -> str | None:
    context = SearchResult(1, 0.5, "id", "a", "Hive", None, (), 0, len(text), text, {})
    passage = Passage(1, context)
    found = place(passage, Claim(claim, Question(question)))
    return None if found is None else text[slice(*passage.quoted(found))]


def test_the_sentence_that_states_the_figures_is_quoted() -> None:
    claim = "The bee space is 6 to 9 mm."
    assert quoted(claim, "How wide is the bee space?") == COMBS[:45].rstrip()


def test_a_figure_between_commas_belongs_to_what_is_beside_it() -> None:
    text = (
        "The first engine was built by Trevithick in Wales and, on 21 February 1804, the first "
        "railway journey took place as it hauled a train from the ironworks."
    )
    asked = "When was the first railway trip?"
    assert quoted("The first railway journey took place on 21 February 1804.", asked, text) == text
    assert quoted("Trevithick left Wales on 21 February 1804.", asked, text) is None


def test_a_name_from_elsewhere_in_the_passage_is_refused() -> None:
    asked = "Who measured the gap?"
    assert quoted("The gap was measured by Langstroth in 1851.", asked)
    assert quoted("Dadant measured the gap in 1851.", asked) is None


def test_two_facts_are_quoted_with_both_sentences() -> None:
    claim = "Langstroth measured the gap in 1851, and Dadant sold hives in Illinois."
    found = quoted(claim, "What did they do?")
    assert found == COMBS[COMBS.index("Langstroth") :]


@pytest.mark.parametrize(
    ("claim", "sentence", "other"),
    [
        ("6 to 9 cm", "a gap of 6 to 9 mm", True),
        ("6 cm", "a gap of 6–9 mm", True),
        ("9 millimetres", "a gap of 6 to 9 mm", False),
        ("35克", "透镜重35公斤", True),
        ("35千克", "透鏡重35公斤", False),
        ("6 hives", "a gap of 6 mm", False),
        ("5 m", "5 million", False),
    ],
)
def test_a_number_in_another_unit_is_another_number(claim: str, sentence: str, other: bool) -> None:
    assert in_other_units(claim, sentence) is other


@pytest.mark.parametrize(
    ("claim", "sentence", "other"),
    [
        ("The gap is 6 mm.", "a gap of 6 to 9 mm", True),
        ("9 mm", "a gap of 6–9 mm", True),
        ("6到9毫米", "蜂路宽6至9毫米", False),
        ("蜂路宽6毫米", "蜂路宽6至9毫米", True),
        ("at least 6 mm", "a gap of 6 to 9 mm", False),
        ("up to 9 mm", "a gap of 6 to 9 mm", False),
        ("蜂路至少6毫米", "蜂路宽6至9毫米", False),
        ("3 days", "between 3 and 5 days", True),
        ("3 days", "brood of 3 and 5 days", False),
        ("3 days", "usually 3 days, sometimes 3 to 5 days", False),
        ("6 mm", "6 to 6 mm", False),
    ],
)
def test_the_end_of_a_range_is_not_the_range(claim: str, sentence: str, other: bool) -> None:
    assert measures_otherwise(claim, sentence) is other


@pytest.mark.parametrize(
    ("question", "answer", "figures", "only", "good"),
    [
        ("When was it built?", "Edith Crane", False, False, False),
        ("When was it built?", "after the flood", False, False, True),
        ("How many hives?", "several", False, False, True),
        ("How many hives?", "Edith Crane", False, False, False),
        ("Who built it?", "1786", True, True, False),
        ("它是谁建的？", "1786年", True, True, False),
        ("它建于哪一年？", "林守仁", False, False, False),
        ("When bees dance, what do they show?", "the way", False, False, True),
    ],
)
def test_a_short_answer_is_of_the_kind_that_is_asked_for(
    question: str, answer: str, figures: bool, only: bool, good: bool
) -> None:
    assert fits(question, answer, figures=figures, only_figures=only) is good


def test_abbreviations_dots_and_old_numerals() -> None:
    assert "wbe" in initials("for the Water Board of Eastmoor")
    assert names_in("威廉•哈特制造").sure == names_in("威廉·哈特制造").sure
    assert claimed("廿三天") == [frozenset({"23"})]
