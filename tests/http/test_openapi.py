"""`/openapi.json` tells everything of the routes, and they do as it says, whatever is sent."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from agents.http.app import create_app
from tests.http.serving import opened

JSON = "application/json"
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
NAMES = st.sampled_from(
    ["model", "messages", "input", "stream", "n", "stop", "query", "filters", "name", "collection",
     "question", "history", "goal", "role", "content", "type", "waggle", "k", "where", "file_ids",
     "attributes", "metadata", "temperature", "max_tokens", "seed", "tools", "text", "format"]
) | st.text(max_size=8)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
MESSAGES = [{"role": "user", "content": "What does the round dance tell?"}]
BODIES: Mapping[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "waggle/bees", "messages": MESSAGES},
    "/v1/responses": {"model": "waggle/bees", "input": "What does the round dance tell?"},
    "/v1/embeddings": {"model": "waggle/bees", "input": ["dance"]},
    "/v1/vector_stores": {"name": "wasps"},
    "/v1/vector_stores/{vector_store_id}/search": {"query": "dance", "filters": None},
    "/v1/vector_stores/{vector_store_id}/file_batches": {"file_ids": ["file-1"]},
    "/api/ask": {"collection": "bees", "question": "What does the round dance tell?"},
    "/api/feedback": {"collection": "bees", "kind": "chosen", "question": "?", "answer": "!"},
}


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def failure_of(document: Mapping[str, Any], operation: Mapping[str, Any], status: str) -> Any:
    """The schema of the body of a failure."""
    response = operation["responses"][status]
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    return {**response["content"][JSON]["schema"], "components": document["components"]}


def test_every_operation_is_described(app: FastAPI) -> None:
    document = app.openapi()
    known = {tag["name"] for tag in document["tags"]}
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    for path, method, operation in operations(document):
        place = f"{method} {path}"
        assert 3 < len(operation["summary"]) <= 100, place
        assert operation["description"], place
        assert len(operation["tags"]) == 1, place
        assert set(operation["tags"]) <= known, place
        responses = operation["responses"]
        assert "422" not in responses, place
        assert {"403", "421", "500"} <= set(responses), place
        for status, response in responses.items():
            if status == "204":
                continue
            if status.startswith("2"):
                assert all(one["schema"] for one in response["content"].values()), place
            elif path != "/readyz":
                assert failure_of(document, operation, status)["$ref"].endswith("/RefusedShape")
        if path not in ("/healthz", "/readyz"):
            assert "401" in responses, place
            assert operation["security"] == [{"key": []}, {}], place
    assert not [name for name in document["components"]["schemas"] if "__" in name]
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_where_keys_are_needed_it_says_so(service: Any) -> None:
    with opened(service.home / "other", None, require_key=True) as guarded:
        document = create_app(guarded).openapi()
    assert document["paths"]["/v1/models"]["get"]["security"] == [{"key": []}]
    assert "security" not in document["paths"]["/healthz"]["get"]
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


def test_what_is_made_is_linked_to_what_looks_at_it(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    made = paths["/v1/vector_stores/{vector_store_id}/files"]["post"]["responses"]["200"]
    assert made["links"]["store_files_one_file"]["parameters"] == {
        "vector_store_id": "$request.path.vector_store_id", "file_id": "$response.body#/id",
    }  # fmt: skip
    made = paths["/api/collections"]["post"]["responses"]["201"]["links"]
    assert made["documents_delete"]["parameters"] == {"collection": "$response.body#/name"}
    assert "links" not in paths["/v1/chat/completions"]["post"]["responses"]["200"]


@pytest.mark.parametrize("content", [b"{}", b"\xff\xfe", b'"text"', b"[1]", b"{", b"", b"1" * 9000])
@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/x-www-form"])
def test_what_is_no_json_object_is_refused(client: TestClient, content: bytes, kind: str) -> None:
    for path in ("/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/api/ask"):
        response = client.post(path, content=content, headers={"Content-Type": kind})
        assert response.status_code == 400, path
        assert response.json()["error"]["type"] == "invalid_request_error"


def test_a_method_that_is_not_taken_is_told_all_that_are(client: TestClient) -> None:
    response = client.put("/v1/vector_stores/vs_bees")
    assert response.status_code == 405
    assert response.headers["allow"] == "DELETE, GET, POST"


@pytest.mark.parametrize("path", BODIES)
@settings(
    max_examples=25, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=st.data())
def test_whatever_is_sent_the_answer_is_as_described(
    client: TestClient, path: str, data: st.DataObject
) -> None:
    body: Any = BODIES[path]
    changed = data.draw(st.dictionaries(st.sampled_from(sorted(body)) | NAMES, VALUES, max_size=2))
    body = data.draw(st.sampled_from([{**body, **changed}, changed]) | VALUES)
    response = client.post(
        path.format(vector_store_id="vs_bees"), content=json.dumps(body),
        headers={"Content-Type": JSON},
    )  # fmt: skip
    document = client.app.openapi()  # type: ignore[attr-defined]
    operation = document["paths"][path]["post"]
    status = str(response.status_code)
    assert status in operation["responses"], (status, body)
    assert response.status_code < 500, (response.text, body)
    if response.status_code >= 400:
        Draft202012Validator(failure_of(document, operation, status)).validate(response.json())
