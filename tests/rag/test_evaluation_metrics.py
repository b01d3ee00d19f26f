"""Figures compared with those computed by hand, and what must hold of any text."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.evaluation.metrics import (
    citation_score,
    exact_match,
    f1,
    holds_facts,
    mixed_segments,
    refusal_score,
    rouge_l,
)
from rag.evaluation.statistics import balanced_interval, difference, interval, mcnemar

TEXTS = st.text(alphabet=st.sampled_from("ab the.,!3中文国，。 \nA"), max_size=30)
LANGUAGES = st.sampled_from(["en", "zh", "zh-Hant"])


@pytest.mark.parametrize(
    ("given_", "answers", "exact", "overlap"),
    [
        ("The beech wood.", ["beech wood"], 1, 1),
        ("an Oak", ["oak!"], 1, 1),
        ("beech", ["beech wood"], 0, 2 / 3),  # precision 1, recall 1/2
        ("it is beech wood", ["beech wood"], 0, 2 / 3),  # precision 1/2, recall 1
        ("wood wood", ["wood"], 0, 2 / 3),  # the second one has no partner
        ("stone", ["beech wood"], 0, 0),
        ("six times", ["five", "six"], 0, 2 / 3),  # the best of the answers
        ("the", ["a"], 1, 1),  # nothing but articles on both sides
        ("", ["beech"], 0, 0),
    ],
)
def test_english_as_squad_computes_it(
    given_: str, answers: list[str], exact: float, overlap: float
) -> None:
    assert exact_match(given_, answers, "en") == exact
    assert f1(given_, answers, "en") == pytest.approx(overlap)


@pytest.mark.parametrize(
    ("given_", "answers", "exact", "overlap"),
    [
        ("榉木。", ["榉木"], 1, 1),
        ("《水磨坊》", ["水磨坊"], 1, 1),
        ("陶工用榉木烧窑", ["榉木"], 0, 4 / 9),  # run of 2 in 7: precision 2/7, recall 1
        ("榉树的木", ["榉木"], 0, 1 / 3),  # the longest run is one character: 2*1/(2+4)
        ("1923年", ["1923年洪水"], 0, 2 * 2 / (2 + 4)),  # 1923 is one segment
        ("Lowick镇", ["lowick镇"], 1, 1),
        ("臺北", ["台北"], 0, 1 / 2),  # traditional and simplified differ, as in the script
        ("甲乙乙丙", ["甲乙丙"], 0, 4 / 7),  # 甲乙 or 乙丙, never both
        ("石头", ["榉木"], 0, 0),
    ],
)
def test_chinese_as_cmrc_computes_it(
    given_: str, answers: list[str], exact: float, overlap: float
) -> None:
    assert exact_match(given_, answers, "zh") == exact
    assert f1(given_, answers, "zh") == pytest.approx(overlap)


def test_chinese_is_cut_by_character_and_the_rest_by_word() -> None:
    assert mixed_segments("ω-force的第3.5版，约1,000份") == [
        "ωforce", "的", "第", "3.5", "版", "约", "1,000", "份",
    ]  # fmt: skip


def test_the_order_counts_in_chinese_only() -> None:
    assert f1("wood beech", ["beech wood"], "en") == 1
    assert f1("木榉", ["榉木"], "zh") == pytest.approx(0.5)


@given(TEXTS, LANGUAGES)
def test_an_answer_matches_itself(text: str, lang: str) -> None:
    assert exact_match(text, ["x", text], lang) == 1
    if any(char in "ab3中文国" for char in text):
        assert rouge_l(text, [text]) == pytest.approx(1)
        if lang != "en":
            assert f1(text, [text], lang) == 1


@given(TEXTS, st.lists(TEXTS, max_size=3), LANGUAGES)
def test_figures_are_shares_and_more_answers_never_hurt(
    text: str, answers: list[str], lang: str
) -> None:
    for figure in (f1, exact_match):
        few, more = figure(text, answers[:1], lang), figure(text, answers, lang)
        assert 0 <= few <= more <= 1
    assert 0 <= rouge_l(text, answers[:1]) <= rouge_l(text, answers) + 1e-12 <= 1 + 1e-9


def test_rouge_l_by_hand() -> None:
    # 榉木烧 is a subsequence of 4 characters' answer: precision 3/5, recall 3/4.
    weight = 1.2**2
    wanted = (1 + weight) * 0.6 * 0.75 / (0.75 + weight * 0.6)
    assert rouge_l("用榉木来烧", ["榉木烧窑"]) == pytest.approx(wanted)
    assert rouge_l("", ["榉木"]) == 0
    assert rouge_l("ab", ["ab c", "ab"]) == pytest.approx(1)


def test_every_fact_must_be_told_in_one_of_its_forms() -> None:
    facts = [["May 15, 2012", "15 May 2012"], ["Lowick"]]
    assert holds_facts("On 15 may 2012, in LOWICK.", facts) == 1
    assert holds_facts("On May 15, 2012.", facts) == 0


def test_citations_against_the_gold_paragraphs() -> None:
    scored = citation_score(["a", "b", "a"], ["a", "c"])
    assert (scored.names_gold, scored.precision, scored.recall) == (1, 0.5, 0.5)
    nothing = citation_score([], ["a"])
    assert (nothing.names_gold, nothing.precision, nothing.recall) == (0, None, 0)


def test_refusals_by_hand() -> None:
    # Answerable: 3 answered, 1 refused; without an answer: 2 refused, 2 answered.
    asked = [(True, False)] * 3 + [(True, True)] + [(False, True)] * 2 + [(False, False)] * 2
    scored = refusal_score(asked)
    assert scored.precision == pytest.approx(2 / 3)
    assert scored.recall == 0.5
    assert scored.wrongly == 0.25
    assert scored.balanced == pytest.approx((0.5 + 0.75) / 2)
    assert refusal_score([(True, False)]).balanced is None


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_refusing_all_or_nothing_is_worth_one_half(pairs: list[tuple[bool, bool]]) -> None:
    scored = refusal_score(pairs)
    for share in (scored.precision, scored.recall, scored.wrongly, scored.balanced):
        assert share is None or 0 <= share <= 1
    for always in (True, False):
        balanced = refusal_score([(answerable, always) for answerable, _ in pairs]).balanced
        assert balanced in (None, 0.5)


# -- how sure --------------------------------------------------------------------------------------


def test_an_interval_holds_the_mean_and_is_narrower_for_more_questions() -> None:
    few, many = interval([0, 1] * 10), interval([0, 1] * 200)
    assert few[0] < 0.5 < few[1]
    assert many[1] - many[0] < (few[1] - few[0]) / 2
    # The normal approximation: 1.96 * sqrt(0.25 / 400)
    assert many[1] - many[0] == pytest.approx(2 * 1.96 * math.sqrt(0.25 / 400), rel=0.1)
    assert interval([0.7, 0.7]) == pytest.approx((0.7, 0.7))


def test_a_balanced_interval_resamples_each_kind_by_itself() -> None:
    low, high = balanced_interval([1, 1, 1], [0, 0])
    assert (low, high) == (0.5, 0.5)


def test_mcnemar_by_hand() -> None:
    assert mcnemar(0, 0) == 1
    assert mcnemar(1, 5) == pytest.approx(2 * (1 + 6) / 64)
    assert mcnemar(0, 10) == pytest.approx(2 / 1024)
    assert mcnemar(3, 3) == 1


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_a_difference_turned_round_is_its_negative(pairs: list[tuple[bool, bool]]) -> None:
    a, b = np.array([p[0] for p in pairs], float), np.array([p[1] for p in pairs], float)
    there, back = difference(a, b), difference(b, a)
    assert there.mean == pytest.approx(-back.mean)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.p == back.p
    assert there.low <= there.mean + 1e-9
    assert there.mean <= there.high + 1e-9


def test_mcnemar_is_only_for_yes_and_no() -> None:
    assert difference([0.5, 1], [1, 1]).p is None
    better = difference([0, 0, 0, 1] * 10, [1, 0, 0, 1] * 10)
    assert better.mean == pytest.approx(0.25)
    assert better.low > 0
    assert better.p == pytest.approx(2 / 2**10)
