"""Bodies with halves of characters, and bodies nested too deeply."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from agents.http.incoming import Body
from tests.http.chatting import ChatServer

HALF = "\ud800"


class Anything(Body):
    value: Any


@given(st.recursive(st.text(st.characters(max_codepoint=0xFFFF)) | st.none() | st.integers(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_every_text_can_be_sent_on_and_no_other_is_changed(value: Any) -> None:
    read = Anything.model_validate({"value": value}).value
    json.dumps(read, ensure_ascii=False).encode()
    given_text = json.dumps(value, ensure_ascii=False)
    expected = given_text.encode("utf-8", "replace").decode()
    assert json.dumps(read, ensure_ascii=False).replace("\ufffd", "?") == expected.replace(
        "\ufffd", "?"
    )


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        Anything.model_validate({"value": deep})


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("chat/completions", {"model": f"waggle/{HALF}"}, 404),
        ("chat/completions", {"messages": [{"role": "user", "content": f"waggle {HALF}"}]}, 200),
        ("chat/completions", {"waggle": {"where": f'lang = "{HALF}"'}}, 200),
        ("chat/completions", {"waggle": {"prompt": HALF}}, 400),
        ("responses", {"input": f"waggle {HALF}", "metadata": {HALF: HALF}}, 200),
        ("responses", {"instructions": HALF, "tools": [{"type": HALF}]}, 200),
        ("responses", {"previous_response_id": HALF}, 404),
        ("embeddings", {"input": HALF}, 200),
        ("embeddings", {"model": HALF}, 404),
    ],
)
def test_half_a_character_breaks_nothing(
    client: TestClient, chat_server: ChatServer, path: str, body: dict[str, Any], status: int
) -> None:
    question = "What does the waggle run point to?"
    whole = {"model": "waggle/bees", "messages": [{"role": "user", "content": question}],
             "input": question, **body}  # fmt: skip
    headers = {"Content-Type": "application/json"}
    response = client.post(f"/v1/{path}", content=json.dumps(whole), headers=headers)
    assert response.status_code == status
