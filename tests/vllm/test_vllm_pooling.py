"""What an embedding model and rerankers give that a real vLLM serves."""

import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import numpy as np
import pytest

from benchmarks.served import find_model
from indexes.collection import Collection
from indexes.embedding import LocalEmbedder, served_embedder
from indexes.types import SearchResult
from rag.reranking import Reranker
from rag.serving.folder import read_folder
from tests.rag.scripted_server import reply, scripted_server
from tests.vllm.vllm_server import OwnServer, Server, pooling_plan

MINILM = "all-minilm-l6-v2"
READS = 512
NEAR = 0.04
"""In bfloat16, which processors with AVX-512 compute in, scores are 0.011 off."""
QUESTION = "Who dances in the hive?"
TEXTS = [
    "Bees dance to tell each other where the flowers are.",
    "A court may set aside an award that was made without a hearing.",
    "蜜蜂用舞蹈告诉同伴哪里有花蜜。",
    "Honey keeps for years when little water is left in it.",
    "法院可以撤销裁决。",
]
LONG = " ".join(f"On day {day} the bees of hive {day % 7} flew out." for day in range(300))


@pytest.fixture(scope="module")
def embedding(vllm_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """MiniLM."""
    home = tmp_path_factory.mktemp("embedding")
    own = OwnServer(vllm_python, pooling_plan(find_model(MINILM)), home)
    try:
        own.start()
        yield own
    finally:
        own.stop()


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cross-encoder with MiniLM's tokenizer and weights drawn at random: its scores mean
    nothing, and are far apart."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = Path(find_model(MINILM).repository)
    folder = tmp_path_factory.mktemp("reranker") / "cross-encoder"
    config = BertConfig.from_dict(
        {"vocab_size": 30_522, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
         "intermediate_size": 128, "max_position_embeddings": READS, "num_labels": 1,
         "initializer_range": 0.3}
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(23)
        BertForSequenceClassification(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(tokenizer / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def reranking(
    vllm_python: Path, cross_encoder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The cross-encoder."""
    home = tmp_path_factory.mktemp("reranking")
    own = OwnServer(vllm_python, pooling_plan(read_folder(cross_encoder)), home)
    try:
        own.start()
        yield own
    finally:
        own.stop()


@pytest.fixture(scope="module")
def expected(cross_encoder: Path) -> list[float]:
    """The scores of `TEXTS` as transformers computes them."""
    import torch
    from transformers import AutoTokenizer, BertForSequenceClassification

    model = BertForSequenceClassification.from_pretrained(cross_encoder)
    tokenizer = AutoTokenizer.from_pretrained(cross_encoder)
    pairs = tokenizer([QUESTION] * len(TEXTS), TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        scores: list[float] = torch.sigmoid(model(**pairs).logits[:, 0]).tolist()
    return scores


# -- embedding ---------------------------------------------------------------------------------


def test_vectors_are_those_of_the_model(embedding: Server, embedder: LocalEmbedder) -> None:
    from sentence_transformers import SentenceTransformer

    found = served_embedder(embedding.url, embedding.model).encode(TEXTS)
    whole = SentenceTransformer(find_model(MINILM).repository, device="cpu").encode(
        TEXTS, normalize_embeddings=True
    )
    assert np.sum(found * np.asarray(whole), axis=1).min() > 0.999
    # The model of this machine is rounded to 8 bits, and leaves out tokens that it does not know.
    english = [row for row, text in enumerate(TEXTS) if text.isascii()]
    here = embedder.encode([TEXTS[row] for row in english])
    assert np.sum(found[english] * here, axis=1).min() > 0.99


def test_a_text_longer_than_the_model_reads_is_cut(embedding: Server) -> None:
    embedder = served_embedder(embedding.url, embedding.model)
    assert embedder.max_tokens == 256
    rows = embedder.encode([LONG, LONG[:300], "三人行。" * 900, ""])
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert rows[0] @ rows[1] > 0.8
    assert len(embedder.embed_query(LONG)) == 384


def test_a_collection_is_embedded_and_searched(
    embedding: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = f'[index]\nembedder = "{embedding.model}"\nembedder_url = "{embedding.url}"\n'
    (tmp_path / "waggle.toml").write_text(settings, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names = ["dance", "court", "舞蹈", "honey", "法院"]
    with Collection.open("bees", home=tmp_path) as bees:
        bees.add_texts([*TEXTS, LONG], sources=[*names, "days"])
        for question, wanted in (
            ("How do bees show the way to food?", "dance"),
            ("Can a judge annul an arbitration?", "court"),
            ("Why does honey not spoil?", "honey"),
        ):
            assert bees.search(question, 1, mode="dense").results[0].source == wanted
        assert len([hit for hit in bees.search(LONG, 20).results if hit.source == "days"]) > 1
        assert bees.status().embedder == embedding.model


def test_an_embedding_model_ranks_by_the_angle_of_its_vectors(embedding: Server) -> None:
    embedder = served_embedder(embedding.url, embedding.model)
    angles = embedder.encode(TEXTS) @ np.asarray(embedder.embed_query(QUESTION))
    reranker = Reranker(embedding.url, embedding.model)
    assert np.allclose(reranker.scores(QUESTION, TEXTS), angles, atol=2e-3)
    assert len(reranker.scores(QUESTION, [LONG, *TEXTS])) == len(TEXTS) + 1


# -- reranking ---------------------------------------------------------------------------------


def passages() -> list[SearchResult]:
    return [
        SearchResult(
            rank=rank, score=1.0 / rank, chunk_id=str(rank), source="s", title="t", page=None,
            heading=(), start=0, end=len(text), text=text, metadata={},
        )
        for rank, text in enumerate(TEXTS, 1)
    ]  # fmt: skip


def test_a_cross_encoder_orders_as_transformers_does(
    reranking: Server, expected: list[float]
) -> None:
    reranker = Reranker(reranking.url, reranking.model)
    found = reranker.rerank(QUESTION, passages(), len(TEXTS))
    assert min(np.diff(sorted(expected))) > 2 * NEAR  # so that rounding changes no order
    best_first = sorted(zip(expected, TEXTS, strict=True), reverse=True)
    assert [result.text for result in found] == [text for _, text in best_first]
    assert [result.score for result in found] == pytest.approx(
        [score for score, _ in best_first], abs=NEAR
    )
    assert [result.rank for result in found] == [1, 2, 3, 4, 5]


def test_a_passage_longer_than_the_reranker_reads_is_cut(
    reranking: Server, expected: list[float]
) -> None:
    reranker = Reranker(reranking.url, reranking.model)
    for _ in range(2):
        *others, cut = reranker.scores(QUESTION, [*TEXTS, LONG])
        assert others == pytest.approx(expected, abs=NEAR)
        assert 0 <= cut <= 1
    assert len(reranker.scores(LONG, TEXTS)) == len(TEXTS)


def test_scores_come_where_there_is_no_reranking(reranking: Server, expected: list[float]) -> None:
    with scripted_server() as script:

        def forward(handler: BaseHTTPRequestHandler) -> None:
            answer = httpx.post(f"{reranking.url}/score", json=script.bodies[-1], timeout=60)
            reply(answer.status_code, answer.content)(handler)

        script.routes["/v1/score"] = forward
        reranker = Reranker(script.url, reranking.model)
        assert reranker.scores(QUESTION, TEXTS) == pytest.approx(expected, abs=NEAR)
        assert len(reranker.scores(QUESTION, [LONG])) == 1
