"""Fusing lists, setting near-duplicates back, and reordering."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.collection import Collection
from indexes.errors import ModelFileError, UsageError
from indexes.types import SearchResult
from rag.reranking import Reranker
from rag.retrieval.cross_encoder import CrossEncoder
from rag.retrieval.fusing import distinct, fused, interleaved
from rag.retrieval.plan import PLANS, RetrievalPlan
from tests.rag.retrieval.conftest import Find, fill, sources, steps_of, thinker
from tests.served_models import running

NAMES = "abcdefgh"


def passage(name: str, rank: int = 1, score: float = 0.5) -> SearchResult:
    return SearchResult(
        rank=rank, score=score, chunk_id=name, source=name, title="", page=None, heading=(),
        start=0, end=len(name), text=name, metadata={},
    )  # fmt: skip


def ranking(names: str) -> tuple[SearchResult, ...]:
    return tuple(passage(name, rank) for rank, name in enumerate(names, 1))


def order(passages: tuple[SearchResult, ...]) -> str:
    return "".join(p.text for p in passages)


rankings = st.lists(
    st.permutations(NAMES).flatmap(
        lambda names: st.integers(0, len(names)).map(lambda n: ranking("".join(names[:n])))
    ),
    min_size=2,
    max_size=4,
)


@pytest.mark.parametrize(
    ("lists", "expected"),
    [(["abc", "bad"], "abcd"), (["abc", "cab"], "acb"), (["a", "b"], "ab"), (["ab", "ab"], "ab")],
)
def test_what_stands_high_in_many_lists_comes_first(lists: list[str], expected: str) -> None:
    assert order(fused([ranking(one) for one in lists])) == expected


@given(rankings)
def test_fusion_keeps_every_passage_once_and_its_scores_fall(lists: list[Any]) -> None:
    for merge in (fused, interleaved):
        merged = merge(lists)
        assert sorted(order(merged)) == sorted({p.text for one in lists for p in one})
        assert [p.rank for p in merged] == list(range(1, len(merged) + 1))
        scores = [p.score for p in merged]
        assert scores == sorted(scores, reverse=True)
        assert all(0 < score <= 1 for score in scores)


@given(rankings)
def test_the_order_of_the_lists_matters_only_among_equals(lists: list[Any]) -> None:
    def scores(merged: tuple[SearchResult, ...]) -> dict[str, float]:
        return {p.text: p.score for p in merged}

    assert scores(fused(lists)) == pytest.approx(scores(fused(lists[::-1])), abs=2e-6)


@given(rankings)
def test_a_passage_that_beats_another_in_every_list_stays_before_it(lists: list[Any]) -> None:
    merged = order(fused(lists))
    orders = [order(one) for one in lists]
    for better in merged:
        for worse in merged:
            if all(better in one and one.find(better) < one.find(worse) for one in orders):
                assert merged.index(better) < merged.index(worse)


@given(rankings)
def test_the_best_of_each_list_comes_first_when_they_take_turns(lists: list[Any]) -> None:
    heads = dict.fromkeys(one[0].text for one in lists if one)
    assert order(interleaved(lists)).startswith("".join(heads))


def test_a_single_list_stays_as_it_is() -> None:
    one = ranking("abc")
    assert fused([one]) is one


# -- what happens without any technique -----------------------------------------------------------

DANCE = {
    "a": "Karl von Frisch decoded the waggle dance of the bees.",
    "b": "Karl von Frisch decoded the waggle dance of bees.",
    "c": "The waggle dance tells the bees where flowers stand.",
    "d": "A dance in the village hall ended at midnight.",
    "e": "Bees make honey.",
}
QUESTION = "Who decoded the waggle dance of the bees?"


def test_the_default_is_the_search_with_each_text_once(find: Find, collection: Collection) -> None:
    fill(collection, DANCE | {"copy": DANCE["a"]})
    found = find(QUESTION, PLANS["default"], k=3)
    response = collection.search(QUESTION, 6)
    expected = distinct(response.results)[:3]
    assert found.contexts == tuple(replace(p, rank=n) for n, p in enumerate(expected, 1))
    assert len({p.text for p in found.contexts}) == 3
    assert found.generation == response.generation
    assert steps_of(found) == ["retrieve"]


@pytest.mark.parametrize("name", list(PLANS))
@pytest.mark.parametrize("k", [1, 3, 9])
def test_no_plan_gives_more_than_was_asked_for(
    find: Find, collection: Collection, name: str, k: int
) -> None:
    fill(collection, DANCE)
    found = find(QUESTION, PLANS[name], k=k)
    assert 0 < len(found.contexts) <= k
    assert [p.rank for p in found.contexts] == list(range(1, len(found.contexts) + 1))


@pytest.mark.parametrize("wrong", [{"k": 0}, {"where": "((("}], ids=str)
def test_what_the_search_refuses_is_refused(find: Find, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        find(QUESTION, PLANS["default"], **wrong)


# -- diversity ------------------------------------------------------------------------------------


def test_near_duplicates_make_room(find: Find, collection: Collection) -> None:
    fill(collection, DANCE)
    assert set(sources(find(QUESTION, PLANS["plain"]))) == {"a", "b"}
    found = find(QUESTION, replace(PLANS["plain"], diversity=0.7))
    assert len({"a", "b"} & set(sources(found))) == 1
    assert sources(found)[0] == sources(find(QUESTION, PLANS["plain"]))[0]


def test_hardly_any_diversity_changes_nothing(find: Find, collection: Collection) -> None:
    fill(collection, DANCE)
    plain = find(QUESTION, PLANS["plain"], k=4)
    assert sources(find(QUESTION, replace(PLANS["plain"], diversity=1e-6), k=4)) == sources(plain)


# -- reranking ------------------------------------------------------------------------------------


def test_the_chat_model_sorts(find: Find, collection: Collection) -> None:
    fill(collection, DANCE)
    plain = sources(find(QUESTION, PLANS["plain"], k=4))
    chat = thinker({"passages": [3, 99, 0, 3, 1]})
    found = find(QUESTION, replace(PLANS["reranked"], candidates=0), chat, k=4)
    assert sources(found) == [plain[2], plain[0], plain[1], plain[3]]
    assert QUESTION in str(chat.asked[0][-1].text)


def test_the_last_of_many_can_become_the_first(find: Find, collection: Collection) -> None:
    fill(collection, {f"n{n}": f"Hive number {n} stands in row {n}." for n in range(30)})
    pool = sources(find("Hive number 7", PLANS["plain"], k=22))
    chat = thinker(*({"passages": [n]} for n in (10, 6, 6, 3)))
    found = find("Hive number 7", replace(PLANS["reranked"], candidates=22), chat, k=11)
    assert sources(found)[:1] == pool[-1:]
    assert set(sources(found)) < set(pool)
    assert len(sources(found)) == 11
    assert chat.checks == []


def test_a_served_reranker_orders_and_where_it_fails_the_search_does(
    find: Find, collection: Collection
) -> None:
    fill(collection, DANCE | {"z": "who decoded the dance who decoded it of the waggle bees"})
    with running() as server:
        good = Reranker(server.url, "words")
        found = find(QUESTION, PLANS["default"], reranker=good)
        server.failures = [500]
        failed = find(QUESTION, PLANS["default"], reranker=good)
        plain = find(QUESTION, PLANS["plain"], reranker=good)
    assert [c.score for c in found.contexts] == sorted(
        (len(set(QUESTION.lower().split()) & set(text.lower().split()))
         for text in [*DANCE.values(), "who decoded the dance who decoded it of the waggle bees"]),
        reverse=True,
    )[:2]  # fmt: skip
    assert sources(failed) == sources(plain)
    (notice,) = failed.notices
    assert "reranker words" in notice
    assert "rerank" in failed.timings
    assert "rerank" not in plain.timings


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder with random weights."""
    return make_cross_encoder(tmp_path_factory.mktemp("cross"), labels=1)


def make_cross_encoder(folder: Path, labels: int) -> Path:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    words = sorted({word for text in [*DANCE.values(), QUESTION] for word in text.split()})
    vocabulary = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=64
    ).save_pretrained(folder)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=64, initializer_range=0.2,
    )  # fmt: skip
    config.num_labels = labels
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_a_cross_encoder_that_runs_here_orders(
    find: Find, collection: Collection, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(collection, DANCE)
    monkeypatch.setenv("WAGGLE_RERANK_MODEL", str(tiny))
    plan = RetrievalPlan("cross", rerank="cross-encoder")
    found = find(QUESTION, plan, k=5)
    scores = CrossEncoder(str(tiny)).scores(QUESTION, [c.text for c in found.contexts])
    assert [c.score for c in found.contexts] == pytest.approx(scores, abs=1e-5)
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 5
    assert sources(found) != sources(find(QUESTION, PLANS["plain"], k=5))


def test_a_cross_encoder_that_is_not_there(
    find: Find, collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(collection, DANCE)
    plan = RetrievalPlan("cross", rerank="cross-encoder")
    with pytest.raises(UsageError, match=r"wants a cross-encoder.*\[rerank\]"):
        find(QUESTION, plan)
    monkeypatch.setenv("WAGGLE_RERANK_MODEL", str(tmp_path))
    found = find(QUESTION, plan)
    assert sources(found) == sources(find(QUESTION, PLANS["plain"]))
    assert "cannot be used" in found.notices[0]


def test_a_classifier_is_no_cross_encoder(tmp_path: Path) -> None:
    model = CrossEncoder(str(make_cross_encoder(tmp_path, labels=3)))
    with pytest.raises(ModelFileError, match="it gives 3 scores"):
        model.scores(QUESTION, ["a"])
