"""Embedding by a server that speaks OpenAI's protocol."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from indexes.collection import Collection
from indexes.embedding import LocalEmbedder, served_embedder
from indexes.embedding.adapter import estimate_tokens
from indexes.errors import EmbedderMismatchError, EndpointError
from tests.indexes.hash_embedder import HashEmbedder
from tests.served_models import ModelServer, running

TOLD = ["Bees dance to tell where the food is.", "A hive of wood"]
TEXTS = ["Bees dance.", "蜜蜂用舞蹈告诉同伴。", "", "word " * 900, "one 三 !" * 400]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with running() as served:
        yield served


def test_vectors_are_those_of_the_server_in_order(server: ModelServer) -> None:
    short = ["Bees dance.", "A court may set aside an award.", "蜜蜂"]
    found = served_embedder(server.url, "hash").encode(short)
    assert np.allclose(found, HashEmbedder().encode(short), atol=1e-6)


def test_no_text_is_longer_than_the_model_reads(server: ModelServer) -> None:
    embedder = served_embedder(server.url, "hash")
    assert embedder.max_tokens == 128
    embedder.encode(TEXTS)
    embedder.embed_query("why " * 5000)
    sent = [text for _, body, _ in server.asked for text in body["input"]]
    assert max(estimate_tokens(text) for text in sent) <= 128
    assert all(sent)


@pytest.mark.parametrize(("told", "read"), [(None, 512), (8192, 512), (300, 300)])
def test_passages_stay_short_whatever_the_model_could_read(
    server: ModelServer, told: int | None, read: int
) -> None:
    server.window = told
    assert served_embedder(server.url, "hash").max_tokens == read


def test_the_key_is_sent_and_no_other(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    served_embedder(server.url, "hash", "ours").embed_query("a")
    served_embedder(server.url, "hash").embed_query("a")
    assert {key for *_, key in server.asked} == {"Bearer ours", "Bearer none"}


def test_a_server_that_is_busy_for_a_moment_is_asked_again(server: ModelServer) -> None:
    embedder = served_embedder(server.url, "hash")
    server.failures = [503, 429]
    assert embedder.encode(["a b c"]).shape == (1, 64)


def test_a_server_that_refuses_is_named(server: ModelServer) -> None:
    server.failures = [400] * 3
    with pytest.raises(EndpointError, match="hash does not answer"):
        served_embedder(server.url, "hash").encode(["a"])


def test_the_settings_choose_the_server(
    server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAGGLE_EMBEDDER_URL", server.url)
    with Collection.open("bees", home=tmp_path, embedder="hash") as bees:
        bees.add_texts(TOLD, sources=["dance", "hive"])
        assert bees.search("who can dance", 1, mode="dense").results[0].source == "dance"
        assert bees.status().embedder == "hash"


def test_opening_asks_no_server_and_another_model_is_refused(
    tmp_path: Path, embedder: LocalEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Collection.open("bees", home=tmp_path, embedder=embedder) as bees:
        bees.add_texts(TOLD[:1], sources=["dance"])
    monkeypatch.setenv("WAGGLE_EMBEDDER_URL", "http://127.0.0.1:9/v1")
    with Collection.open("bees", home=tmp_path, embedder="hash") as bees:
        assert [document.source for document, _ in bees.documents()] == ["dance"]
    with running() as server:
        monkeypatch.setenv("WAGGLE_EMBEDDER_URL", server.url)
        with (
            Collection.open("bees", home=tmp_path, embedder="hash") as bees,
            pytest.raises(EmbedderMismatchError, match="--reembed"),
        ):
            bees.add_texts(TOLD[1:])
