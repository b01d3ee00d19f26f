from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.embedding import LocalEmbedder, served_embedder
from indexes.embedding.attention import Method, likeness, rollout, shares
from indexes.embedding.attention_model import AttentionModel, open_attention
from indexes.errors import ModelError, UsageError, WaggleError

ENGLISH = "The colour of the flower tells the bees of the food."
CHINESE = "蜜蜂用舞蹈告诉同伴食物的方向。"
FUNCTION_WORDS = {"The", "of", "the", "."}


@pytest.fixture(scope="module")
def model(embedder: LocalEmbedder) -> AttentionModel:
    return open_attention(embedder)


@pytest.mark.parametrize("text", [ENGLISH, CHINESE, "a", "word " * 3000, "naïve café 𝔘nicode 🐝"])
@pytest.mark.parametrize("method", ["norms", "rollout", "occlusion"])
def test_every_row_and_the_importance_sum_to_one(
    model: AttentionModel, text: str, method: Method
) -> None:
    if method == "occlusion" and len(text) > 1000:
        text = text[:200]
    read = model.read(text, method)
    n = len(read.read)
    assert read.importance.sum() == pytest.approx(1)
    assert (read.importance >= 0).all()
    assert [view.table.shape for view in read.views] == [(n, n)] * 8
    for view in read.views:
        assert view.table.sum(axis=1) == pytest.approx(np.ones(n), abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(text=st.text(max_size=80))
def test_tokens_and_words_map_back_to_any_text(model: AttentionModel, text: str) -> None:
    try:
        read = model.read(text, "rollout")
    except WaggleError:
        return
    assert len(read.text) == len(text)
    ends = 0
    for token in (token for token in read.tokens if token.kind != "special"):
        assert read.text[token.start : token.end] == token.text
        assert token.text.strip() == token.text != ""
    for word in read.words:
        assert word.start >= ends
        assert read.text[word.start : word.end] == word.text
        ends = word.end


def test_content_words_weigh_more_than_grammar(model: AttentionModel) -> None:
    methods: tuple[Method, ...] = ("norms", "occlusion")
    for method in methods:
        words = model.read(ENGLISH, method).words
        grammar = [word.importance for word in words if word.text in FUNCTION_WORDS]
        content = [word.importance for word in words if word.text not in FUNCTION_WORDS]
        assert len(grammar) == 7
        assert min(content) > max(grammar)
    assert model.read(ENGLISH).method == "norms"


def test_the_vector_is_the_one_that_is_searched_with(
    model: AttentionModel, embedder: LocalEmbedder
) -> None:
    for text in (ENGLISH, CHINESE):
        assert model.read(text).vector @ embedder.embed_query(text) > 0.98


def test_unknown_tokens_are_marked_and_weigh_nothing(model: AttentionModel) -> None:
    read = model.read(CHINESE)
    unknown = [i for i, token in enumerate(read.tokens) if token.kind == "unknown"]
    assert len(unknown) == 10
    assert read.importance[unknown].sum() == 0
    assert len(read.read) == len(read.tokens) - 10
    assert [word.text for word in read.words if word.known] == list("同食的方。")


def test_pieces_of_a_word_count_together(model: AttentionModel) -> None:
    read = model.read("waggling")
    assert sum(token.kind == "word" for token in read.tokens) > 1
    assert [word.text for word in read.words] == ["waggling"]
    assert read.words[0].importance + read.special_share == pytest.approx(1)


def test_the_pairs_of_two_texts_sum_to_their_cosine(model: AttentionModel) -> None:
    first = model.read("How do bees tell each other where the food is?")
    second = model.read("The waggle dance shows the direction of the nectar.")
    pairs = likeness(first, second)
    assert pairs.shape == (len(first.read), len(second.read))
    assert pairs.sum() == pytest.approx(first.vector @ second.vector)
    row, column = np.unravel_index(pairs[1:-1, 1:-1].argmax(), pairs[1:-1, 1:-1].shape)
    assert (first.tokens[row + 1].text, second.tokens[column + 1].text) == ("bees", "nectar")


def test_rollout_multiplies_later_layers_from_the_left() -> None:
    first, second = np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    # First all comes half from token 1; then token 1 takes half of token 0's mixture.
    assert rollout([first, second]).tolist() == [[0.5, 0.5], [0.25, 0.75]]
    assert shares(np.zeros(4)).tolist() == [0.25] * 4


def test_long_texts_are_cut_and_say_so(model: AttentionModel) -> None:
    read = model.read("bees and flowers " * 100_000, "rollout")
    assert read.cut
    assert len(read.tokens) == 256
    assert not model.read(ENGLISH).cut


@pytest.mark.parametrize("text", ["", " \n", "\u200b\u200b", "\x00", "\ud800", "\ufeff"])
def test_a_text_without_words_is_refused(model: AttentionModel, text: str) -> None:
    with pytest.raises(UsageError, match="nothing to explain"):
        model.read(text)


def test_a_text_of_unknown_characters_is_refused(model: AttentionModel) -> None:
    with pytest.raises(ModelError, match="knows none"):
        model.read("蜜蜂")


def test_layers_are_counted_from_one(model: AttentionModel) -> None:
    read = model.read("a bee")
    assert read.layers == 6
    assert read.view(6).layer == 6
    assert read.view().name == "norms"
    for layer in (0, 7, -1):
        with pytest.raises(UsageError, match="has 6"):
            read.view(layer)


def test_a_served_model_is_refused() -> None:
    with pytest.raises(ModelError, match="runs on a server"):
        open_attention(served_embedder("http://127.0.0.1:9/v1", "bge"))


def test_a_model_built_otherwise_is_explained_by_occlusion(
    tmp_path: Path, embedder: LocalEmbedder
) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import AutoTokenizer, DistilBertConfig, DistilBertModel

    config = DistilBertConfig(dim=32, hidden_dim=64, n_heads=2, n_layers=2)
    DistilBertModel(config).save_pretrained(tmp_path / "raw")
    AutoTokenizer.from_pretrained(embedder.model_dir).save_pretrained(tmp_path / "raw")
    transformer = Transformer(str(tmp_path / "raw"))
    for pooling in ("cls", "max"):
        modules = [transformer, Pooling(32, pooling_mode=pooling)]
        SentenceTransformer(modules=modules, device="cpu").save(str(tmp_path / pooling))
    built = open_attention(LocalEmbedder(tmp_path / "cls", tmp_path, name="distil"))
    read = built.read(ENGLISH)
    assert (read.method, read.layers, read.view().name) == ("occlusion", 2, "rollout")
    assert read.pooling[0] == read.pooling.sum() == 1
    with pytest.raises(ModelError, match="--method rollout or occlusion"):
        built.read(ENGLISH, "norms")
    with pytest.raises(ModelError, match="sums up its tokens"):
        open_attention(LocalEmbedder(tmp_path / "max", tmp_path, name="max"))
