"""Fusion: scales, weights, order."""

import math

import pytest
import tantivy
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tantivy import Occur, Query

from indexes.fusion import (
    DENSE_ONLY,
    LEXICAL_ONLY,
    Blend,
    Candidate,
    Knowledge,
    Script,
    best_lexical,
    choose_blend,
    fuse,
)

ENGLISH_MODEL: dict[Script, Knowledge] = {
    "latin": Knowledge(recall=1.0, floor=0.05),
    "han": Knowledge(recall=0.05, floor=0.5),
}
MULTILINGUAL: dict[Script, Knowledge] = {
    "latin": Knowledge(recall=1.0, floor=0.3),
    "han": Knowledge(recall=1.0, floor=0.3),
}


def ids(candidates: list[Candidate], blend: Blend, best: float = 10.0) -> list[int]:
    return [number for number, _ in fuse(candidates, blend, best)]


def test_each_leg_alone_keeps_its_own_order() -> None:
    candidates = [Candidate(1, 0.2, 9.0), Candidate(2, 0.9, 1.0), Candidate(3, -0.4, 5.0)]
    assert ids(candidates, LEXICAL_ONLY) == [1, 3, 2]
    assert ids(candidates, DENSE_ONLY) == [2, 1, 3]


def test_the_score_is_the_weighted_mean_of_both_scales() -> None:
    [(number, score)] = fuse([Candidate(7, 0.6, 5.0)], Blend(0.25, 0.2), 10.0)
    assert number == 7
    assert score == pytest.approx(0.25 * (0.6 - 0.2) / 0.8 + 0.75 * 0.5)


def test_a_passage_strong_in_both_legs_beats_one_strong_in_one() -> None:
    candidates = [Candidate(1, 0.8, None), Candidate(2, 0.7, 4.0), Candidate(3, 0.0, 4.2)]
    assert ids(candidates, Blend(0.3, 0.05)) == [2, 3, 1]


def test_a_guessing_dense_leg_cannot_turn_a_clear_lexical_order() -> None:
    blend = choose_blend("故宫在哪里", ENGLISH_MODEL)
    assert ids([Candidate(1, 0.9, 3.0), Candidate(2, 0.5, 4.0)], blend) == [2, 1]


def test_below_the_floor_order_remains() -> None:
    candidates = [Candidate(1, 0.1, None), Candidate(2, 0.3, None)]
    assert fuse(candidates, Blend(1.0, 0.5), 0.0) == [(2, 0.0), (1, 0.0)]


def test_equal_scores_come_by_id() -> None:
    assert ids([Candidate(n, 0.5, 1.0) for n in (3, 1, 2)], Blend(0.3, 0.0)) == [1, 2, 3]


def test_nothing_gives_nothing() -> None:
    assert fuse([], Blend(0.3, 0.0), 1.0) == []


cosines = st.none() | st.floats(-1, 1)
scores = st.none() | st.floats(0, 200)
unit = st.floats(0, 1)


@example([Candidate(0, None, None), Candidate(1, None, 1.0)], Blend(1.0, 0.0), 5e-324)
@given(
    st.lists(st.builds(Candidate, st.integers(), cosines, scores), unique_by=lambda c: c.id),
    st.builds(Blend, unit, unit),
    st.floats(0, 100),
)
def test_every_candidate_comes_out_once_scored_from_0_to_1(
    candidates: list[Candidate], blend: Blend, best: float
) -> None:
    fused = fuse(candidates, blend, best)
    assert {number for number, _ in fused} == {c.id for c in candidates}
    assert len(fused) == len(candidates)
    assert all(0.0 <= score <= 1.0 for _, score in fused)
    assert [s for _, s in fused] == sorted((s for _, s in fused), reverse=True)
    assert fuse(candidates[::-1], blend, best) == fused


@given(st.floats(-1, 1), st.floats(0, 5), st.floats(0.01, 0.5), st.builds(Blend, unit, unit))
def test_better_in_a_leg_is_never_worse_in_all(
    cosine: float, bm25: float, more: float, blend: Blend
) -> None:
    assume(cosine + more <= 1)
    better = [Candidate(2, cosine + more, bm25), Candidate(3, cosine, bm25 + more)]
    scored = dict(fuse([Candidate(1, cosine, bm25), *better], blend, 10.0))
    assert scored[2] >= scored[1]
    assert scored[3] >= scored[1]


def test_the_dense_leg_weighs_by_what_the_model_knows() -> None:
    english = choose_blend("Where is the palace?", ENGLISH_MODEL)
    chinese = choose_blend("故宫在哪里？", ENGLISH_MODEL)
    assert [english.weight, english.floor] == pytest.approx([0.3, 0.05])
    assert [chinese.weight, chinese.floor] == pytest.approx([0.02, 0.5])
    assert choose_blend("故宫在哪里？", MULTILINGUAL).weight == pytest.approx(0.3)


def test_a_model_of_chinese_leads_only_in_chinese() -> None:
    known: dict[Script, Knowledge] = {"latin": Knowledge(0.2, 0.7), "han": Knowledge(1.0, 0.6)}
    assert choose_blend("故宫在哪里？", known).weight == pytest.approx(0.3)
    assert choose_blend("palace", known).weight == pytest.approx(0.02)


def test_words_of_an_unmeasured_script_lower_the_trust() -> None:
    assert choose_blend("Who wrote Война и мир?", ENGLISH_MODEL).weight < 0.2


def test_a_mixed_query_weighs_between() -> None:
    mixed = choose_blend("Transformer 的原理", ENGLISH_MODEL)
    assert 0.02 < mixed.weight < 0.3
    assert 0.05 < mixed.floor < 0.5


@pytest.mark.parametrize("query", ["Где дворец?", "宮殿はどこですか", "궁전은 어디", "2024", "?"])
def test_a_script_that_was_not_measured_is_trusted_like_the_worst(query: str) -> None:
    assert choose_blend(query, ENGLISH_MODEL).weight == pytest.approx(0.02)
    assert choose_blend(query, MULTILINGUAL).weight == pytest.approx(0.3)


def test_an_unmeasured_model_does_not_lead() -> None:
    assert choose_blend("Where is the palace?", {}) == Blend(0.02, 0.0)


def test_a_model_that_fails_half_the_probes_has_no_more_say_than_one_that_fails_all() -> None:
    half: dict[Script, Knowledge] = {"latin": Knowledge(0.5, 0.0), "han": Knowledge(0.0, 0.0)}
    assert choose_blend("palace", half).weight == choose_blend("宫殿", half).weight


def test_no_passage_scores_above_the_best_that_the_index_reports() -> None:
    texts = ["apple pear", "apple " * 400, "pear plum", "plum", "fig", "apple pear plum fig"]
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("body", tokenizer_name="whitespace", index_option="freq")
    index = tantivy.Index(builder.build())
    writer = index.writer(15_000_000, 1)
    for text in texts:
        writer.add_document(tantivy.Document(body=text))
    writer.commit()
    index.reload()
    searcher = index.searcher()

    def score(*words: str) -> float:
        each = [Query.term_query(index.schema, "body", word, "freq") for word in words]
        query = Query.boolean_query([(Occur.Should, one) for one in each])
        return float(searcher.search(query, 1).hits[0][0])

    def best(*words: str) -> float:
        looked_up = [(searcher.doc_freq("body", word), 1.0) for word in words]
        return best_lexical(looked_up, searcher.num_docs)

    assert 0.4 * best("apple") < score("apple") <= best("apple")
    assert score("apple", "fig") <= best("apple", "fig")
    # One occurrence at about average length: 1 / (k1 + 1) of the best, tantivy's own k1.
    assert score("plum") == pytest.approx(best("plum") / 2.2, rel=0.75)


def test_a_term_in_no_passage_counts_as_the_rarest() -> None:
    absent, once, everywhere = (best_lexical([(n, 1.0)], 10) for n in (0, 1, 10))
    assert absent == pytest.approx(2.2 * math.log(1 + 10.5 / 0.5))
    assert absent > once > everywhere > 0
    assert best_lexical([(1, 3.0)], 10) == pytest.approx(3 * once)
    assert best_lexical([], 10) == 0


def test_terms_of_removed_passages_do_not_make_the_best_negative() -> None:
    assert best_lexical([(3, 1.0)], 0) > 0
