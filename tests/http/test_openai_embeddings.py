"""``/v1/embeddings``, asked by OpenAI's own client and by LangChain."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import openai
import pytest
from fastapi.testclient import TestClient
from langchain_openai import OpenAIEmbeddings
from pydantic import SecretStr

from agents.http.app import create_app
from tests.http.chatting import ChatServer
from tests.http.serving import Running, connected, fill_home, opened
from tests.indexes.hash_embedder import HashEmbedder

TEXTS = ["The waggle dance", "椴树在七月开花"]


@pytest.fixture
def api(server: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as api:
        yield api


@pytest.mark.parametrize("model", ["waggle/bees", "hash-64"])
@pytest.mark.parametrize("form", ["float", "base64", None])
def test_the_vectors_are_those_of_the_index(api: openai.OpenAI, model: str, form: Any) -> None:
    given = {} if form is None else {"encoding_format": form}
    reply = api.embeddings.create(model=model, input=TEXTS, **given)
    assert [one.index for one in reply.data] == [0, 1]
    vectors = [one.embedding for one in reply.data]
    if form == "base64":
        packed: list[Any] = vectors
        vectors = [np.frombuffer(base64.b64decode(one), "<f4").tolist() for one in packed]
    expected = HashEmbedder().encode(TEXTS)
    np.testing.assert_array_equal(np.array(vectors, np.float32), expected)
    assert reply.model == model
    assert reply.usage.prompt_tokens == reply.usage.total_tokens == 14


def test_langchain_embeds(server: Running) -> None:
    embeddings = OpenAIEmbeddings(
        base_url=f"{server.url}/v1", api_key=SecretStr("none"), model="waggle/bees",
        check_embedding_ctx_length=False,
    )  # fmt: skip
    expected = HashEmbedder().embed_documents(["a", "b c"])
    np.testing.assert_allclose(embeddings.embed_documents(["a", "b c"]), expected)


def test_a_question_is_embedded_as_one(client: TestClient) -> None:
    body = {"model": "waggle/bees", "input": TEXTS[0], "input_type": "query"}
    data = client.post("/v1/embeddings", json=body).json()["data"]
    np.testing.assert_allclose(data[0]["embedding"], HashEmbedder().embed_query(TEXTS[0]))


def test_half_a_character_does_not_break_the_model(client: TestClient) -> None:
    raw = b'{"model": "waggle/bees", "input": "\\ud800"}'
    kind = {"Content-Type": "application/json"}
    assert client.post("/v1/embeddings", content=raw, headers=kind).status_code == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"input": ""}, 400),
        ({"input": []}, 400),
        ({"input": ["a", ""]}, 400),
        ({"input": [1, 2]}, 400),
        ({"input": [[1, 2]]}, 400),
        ({"input": ["a"] * 2049}, 400),
        ({"input": {"text": "a"}}, 400),
        ({"dimensions": 32}, 400),
        ({"dimensions": 64}, 200),
        ({"encoding_format": "int8"}, 400),
        ({"model": "waggle/wasps"}, 404),
        ({"model": "waggle/bees/agent"}, 404),
        ({"model": "text-embedding-3-small"}, 404),
    ],
)
def test_what_is_wrong_is_refused_with_its_reason(
    client: TestClient, change: dict[str, Any], status: int
) -> None:
    response = client.post("/v1/embeddings", json={"model": "waggle/bees", "input": "a", **change})
    assert response.status_code == status
    assert status == 200 or response.json()["error"]["message"]


def test_a_key_embeds_with_the_collections_it_sees(home: Path, chat_server: ChatServer) -> None:
    fill_home(home, "wasps")
    with opened(home, chat_server.url, require_key=True) as service:
        _, secret = service.keys.new("reader", ["read"], ["bees"])
        with TestClient(create_app(service), base_url="http://127.0.0.1:8400") as client:
            for model, status in (("waggle/bees", 200), ("waggle/wasps", 404), ("hash-64", 200)):
                response = client.post(
                    "/v1/embeddings", json={"model": model, "input": "a"},
                    headers={"Authorization": f"Bearer {secret}"},
                )  # fmt: skip
                assert response.status_code == status


def test_for_a_client_that_leaves_no_more_is_embedded(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.http.openai.embeddings._AT_ONCE", 1)
    service, texts = server.service, [f"hive {n}" for n in range(200)]
    embedder, begun = service.shelf.embedder(), threading.Event()
    encode, running, done = embedder.encode, [], []

    def slowly(some: list[str]) -> Any:
        running.append(service.gate.running)
        begun.set()
        time.sleep(0.05)
        done.extend(some)
        return encode(some)

    monkeypatch.setattr(embedder, "encode", slowly)
    body = json.dumps({"model": "hash-64", "input": texts}).encode()
    head = f"POST /v1/embeddings HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with connected(server) as connection:
        connection.sendall(head.encode() + body)
        assert begun.wait(10)
    end = time.monotonic() + 9
    while service.gate.running and time.monotonic() < end:
        time.sleep(0.01)
    assert service.gate.running == 0
    assert len(done) == len(running) < len(texts)  # the slot was held until the thread had ended
    assert set(running) == {1}
