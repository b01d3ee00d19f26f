"""``/v1/responses``, asked by OpenAI's own client: whole, streamed, kept, and gone on with."""

import asyncio
import json
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from fastapi.testclient import TestClient

from agents.doors.rights import LOCAL, Caller
from agents.http.openai.kept import KeptResponse, KeptResponses
from indexes.errors import UnknownItemError
from tests.http.chatting import Body, ChatServer, say
from tests.http.serving import Running, fill_home, opened, running

QUESTION = "What does the waggle run point to?"
SENTENCE = "length tells the distance: one second of waggling stands for about a kilometre."
BODY: dict[str, Any] = {"model": "waggle/bees", "input": QUESTION}


@pytest.fixture
def api(server: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as api:
        yield api


def condensing(body: dict[str, Any]) -> str:
    """A model that puts questions in other words, and quotes for the rest."""
    if "response_format" in body:
        return json.dumps({"question": "How far is food that a round dance tells?"})
    return "Yes" if len(body["messages"]) > 2 else f"{SENTENCE} [1]"


def test_a_response_has_its_text_and_where_each_sentence_stands(api: openai.OpenAI) -> None:
    response = api.responses.create(**BODY, metadata={"app": "test"}, instructions="Be polite.")
    assert response.status == "completed"
    assert response.output_text == f"{SENTENCE} [1]"
    (message,) = response.output
    assert message.type == "message"
    (note,) = message.content[0].annotations
    assert note.type == "file_citation"
    assert response.output_text[note.index :] == "[1]"
    assert note.filename == "dance.md"
    assert note.model_dump()["quote"].endswith(SENTENCE)
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (30, 12)
    assert response.metadata == {"app": "test"}
    assert response.instructions == "Be polite."
    assert response.model_dump()["waggle"]["status"] == "answered"


def test_the_events_come_in_order_and_end_with_the_same_response(api: openai.OpenAI) -> None:
    whole = api.responses.create(**BODY)
    events = list(api.responses.create(**BODY, stream=True))
    assert [event.type for event in events] == [
        "response.created", "response.in_progress", "response.output_item.added",
        "response.content_part.added", "response.output_text.delta",
        "response.output_text.annotation.added", "response.output_text.done",
        "response.content_part.done", "response.output_item.done", "response.completed",
    ]  # fmt: skip
    assert [event.sequence_number for event in events] == list(range(len(events)))
    by_type: dict[str, Any] = {event.type: event for event in events}
    assert by_type["response.output_text.delta"].delta == whole.output_text
    assert by_type["response.output_text.done"].text == whole.output_text
    last = by_type["response.completed"].response
    assert last.output_text == whole.output_text
    part = last.output[0].content[0]
    added = by_type["response.output_text.annotation.added"].annotation
    assert added.model_dump() == part.annotations[0].model_dump()
    assert by_type["response.output_item.done"].item == last.output[0]
    assert by_type["response.output_item.added"].item.id == last.output[0].id
    assert last.id == by_type["response.created"].response.id
    assert api.responses.retrieve(last.id) == last


def test_a_response_that_is_cut_off_is_incomplete(
    api: openai.OpenAI, chat_server: ChatServer
) -> None:
    def message(body: Body) -> Body | None:
        cut = {**say(f"{SENTENCE} [1] The round dance gi"), "finish": "length"}
        return cut if body.get("stream") else None

    chat_server.message = message
    limits: dict[str, Any] = {"max_output_tokens": 30, "temperature": 0.4, "top_p": 0.9}
    response = api.responses.create(**BODY, **limits)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output_text == f"{SENTENCE} [1]"
    told = [body for body in chat_server.requests if body.get("stream")][-1]
    assert (told["max_tokens"], told["temperature"], told["top_p"]) == (30, 0.4, 0.9)
    last = list(api.responses.create(**BODY, **limits, stream=True))[-1]
    assert last.type == "response.incomplete"
    assert last.response.output_text == response.output_text
    assert api.responses.retrieve(response.id).status == "incomplete"


def test_the_helper_of_the_client_follows_the_stream(api: openai.OpenAI) -> None:
    with api.responses.stream(**BODY) as stream:
        text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
        assert stream.get_final_response().output_text == text == f"{SENTENCE} [1]"


def test_the_search_is_shown_where_its_tool_is_asked_for(api: openai.OpenAI) -> None:
    tool: Any = {"type": "file_search", "vector_store_ids": ["vs_bees"], "max_num_results": 1,
                 "filters": {"type": "eq", "key": "lang", "value": "zh"}}  # fmt: skip
    body = {**BODY, "tools": [tool], "include": ["file_search_call.results"]}
    response = api.responses.create(**body)
    search, _ = response.output
    assert search.type == "file_search_call"
    assert search.queries == [QUESTION]
    assert search.results is not None
    assert [found.filename for found in search.results] == ["花期.txt"]
    events = list(api.responses.create(**body, stream=True))
    kinds = [event.type.removeprefix("response.") for event in events]
    assert kinds[2:8] == [
        "output_item.added", "file_search_call.in_progress", "file_search_call.searching",
        "file_search_call.completed", "output_item.done", "output_item.added",
    ]  # fmt: skip
    last: Any = events[-1]
    assert last.response.output[0].results == search.results
    assert {e.output_index for e in events if e.type == "response.output_text.delta"} == {1}


def test_a_conversation_goes_on_from_a_response(
    api: openai.OpenAI, chat_server: ChatServer
) -> None:
    first = api.responses.create(**BODY)
    chat_server.reply = condensing
    second = api.responses.create(
        model="waggle/bees", input="And near the hive?", previous_response_id=first.id, stream=True
    )
    (done,) = [event for event in second if event.type == "response.completed"]
    third = api.responses.create(
        model="waggle/bees", input="How near?", previous_response_id=done.response.id
    )
    assert third.previous_response_id == done.response.id
    asked = [body for body in chat_server.requests if "response_format" in body]
    assert f"Q: {QUESTION}\nA: {SENTENCE}\n" in asked[0]["messages"][-1]["content"]
    assert "And near the hive?" in asked[1]["messages"][-1]["content"]
    assert QUESTION in asked[1]["messages"][-1]["content"]
    api.responses.delete(first.id)
    api.responses.create(model="waggle/bees", input="And?", previous_response_id=third.id)
    asked = [body for body in chat_server.requests if "response_format" in body]
    assert QUESTION not in asked[-1]["messages"][-1]["content"]
    assert "How near?" in asked[-1]["messages"][-1]["content"]


def test_a_conversation_may_be_sent_whole(client: TestClient, chat_server: ChatServer) -> None:
    first = client.post("/v1/responses", json=BODY).json()
    chat_server.reply = condensing
    items = [
        {"role": "developer", "content": "Be polite."},
        {"role": "user", "content": [{"type": "input_text", "text": QUESTION}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        *first["output"],
        {"type": "message", "role": "user", "content": "And near the hive?"},
    ]
    response = client.post("/v1/responses", json={**BODY, "input": items})
    assert response.status_code == 200
    condense, answer = chat_server.requests[1:3]
    assert f"Q: {QUESTION}\nA: {SENTENCE}\n" in condense["messages"][-1]["content"]
    assert answer["messages"][0]["content"].endswith("Be polite.")
    kept = client.get(f"/v1/responses/{response.json()['id']}/input_items").json()
    roles = [item["role"] for item in kept["data"]]
    assert roles == ["developer", "user", "assistant", "user"]
    assert kept["data"][-1]["content"] == [{"type": "input_text", "text": "And near the hive?"}]


def test_what_is_not_to_be_kept_is_not(api: openai.OpenAI, home: Path) -> None:
    response = api.responses.create(**BODY, store=False)
    with pytest.raises(openai.NotFoundError):
        api.responses.retrieve(response.id)
    with pytest.raises(openai.NotFoundError):
        api.responses.create(**BODY, previous_response_id=response.id)
    assert not list(home.rglob("resp_*"))


def test_a_response_can_be_deleted(api: openai.OpenAI, home: Path) -> None:
    response = api.responses.create(**BODY)
    (file,) = home.rglob("resp_*")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [item.type for item in api.responses.input_items.list(response.id)] == ["message"]
    api.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        api.responses.retrieve(response.id)
    assert not list(home.rglob("resp_*"))


def test_a_response_belongs_to_the_key_that_asked(home: Path, chat_server: ChatServer) -> None:
    fill_home(home, "wasps")
    with opened(home, chat_server.url, require_key=True) as service, running(service) as server:
        _, mine = service.keys.new("mine", ["read"])
        _, other = service.keys.new("other", ["read"])
        url = f"{server.url}/v1/responses"
        response = httpx.post(url, json=BODY, headers={"Authorization": f"Bearer {mine}"}).json()
        for method in ("GET", "DELETE"):
            for path in (response["id"], response["id"] + "/input_items"):
                if method == "DELETE" and "/" in path:
                    continue
                foreign = httpx.request(
                    method, f"{url}/{path}", headers={"Authorization": f"Bearer {other}"}
                )
                assert foreign.status_code == 404
                assert "waggle/bees" not in foreign.text
        on = {**BODY, "previous_response_id": response["id"]}
        foreign = httpx.post(url, json=on, headers={"Authorization": f"Bearer {other}"})
        assert foreign.status_code == 404
        own = httpx.get(f"{url}/{response['id']}", headers={"Authorization": f"Bearer {mine}"})
        assert own.json() == response


def kept(number: int, key: str = "local", collection: str = "bees") -> KeptResponse:
    return KeptResponse(
        id=f"resp_{number:032x}", key=key, collection=collection, previous=None,
        said=(("q", "a"),), input=(), response={},
    )  # fmt: skip


def test_only_the_latest_responses_of_a_key_are_kept(tmp_path: Path) -> None:
    responses = KeptResponses(tmp_path, most=3)
    responses.keep(kept(0, key="other"))
    for number in range(1, 6):
        responses.keep(kept(number))
    names = {path.stem for path in tmp_path.rglob("resp_*")}
    assert names == {kept(number).id for number in (0, 3, 4, 5)}


@pytest.mark.parametrize("name", ["", ".", "../keys", "resp_", "resp_" + "0" * 31 + "/", "x" * 500])
def test_no_other_file_can_be_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "keys.json").write_text("{}")
    for do in (KeptResponses(tmp_path).get, KeptResponses(tmp_path).delete):
        with pytest.raises(UnknownItemError):
            do(LOCAL, name)
    assert (tmp_path / "keys.json").exists()


def test_the_responses_of_a_key_keep_to_their_bytes(tmp_path: Path) -> None:
    size = len(kept(0).model_dump_json())
    responses = KeptResponses(tmp_path, most_bytes=3 * size)
    for number in range(5):
        responses.keep(kept(number))
        responses.keep(kept(number, key="other"))
    assert len(list(tmp_path.rglob("resp_*.json"))) == 6
    assert responses.get(LOCAL, kept(4).id) == kept(4)


def test_responses_that_end_together_are_all_kept(tmp_path: Path) -> None:
    """Each drops old ones while the others look at them."""
    responses = KeptResponses(tmp_path, most=2)

    def keep(numbers: range) -> None:
        for number in numbers:
            responses.keep(kept(number))

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(keep, range(n, n + 25)) for n in range(0, 200, 25)]:
            done.result()
    assert len(list(tmp_path.rglob("resp_*.json"))) <= 2


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_cannot_be_kept_is_sent(
    client: TestClient, home: Path, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    (home / "responses").write_text("in the way of the folder")
    body = {"model": "waggle/bees", "input": QUESTION, "stream": stream}
    answer = client.post("/v1/responses", json=body)
    assert answer.status_code == 200
    assert "response.completed" in answer.text if stream else answer.json()["output"]
    assert "response not kept" in [record.message for record in caplog.records]


def test_who_lost_a_collection_lost_what_was_said_of_it(tmp_path: Path) -> None:
    responses = KeptResponses(tmp_path)
    responses.keep(kept(1, key="key_1"))
    caller = Caller("key_1", frozenset({"read"}), frozenset({"bees"}))
    assert responses.get(caller, kept(1).id) == kept(1, key="key_1")
    less = Caller("key_1", frozenset({"read"}), frozenset({"wasps"}))
    with pytest.raises(UnknownItemError):
        responses.get(less, kept(1).id)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"model": "waggle/wasps"}, 404),
        ({"input": []}, 400),
        ({"input": ""}, 400),
        ({"input": 5}, 400),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, 400),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, 400),
        ({"background": True}, 400),
        ({"conversation": "conv_1"}, 400),
        ({"text": {"format": {"type": "json_schema"}}}, 400),
        ({"tools": [{"type": "function"}], "tool_choice": {"type": "function"}}, 400),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_wasps"]}]}, 400),
        ({"tools": [{"type": "file_search", "max_num_results": 0}]}, 400),
        ({"tools": [{"type": "file_search", "filters": {"type": "like"}}]}, 400),
        ({"metadata": {"a": 1}}, 400),
        ({"previous_response_id": "resp_1"}, 404),
    ],
)
def test_what_is_wrong_is_refused_with_its_reason(
    client: TestClient, chat_server: ChatServer, change: dict[str, Any], status: int
) -> None:
    for stream in (False, True):
        response = client.post("/v1/responses", json={**BODY, "stream": stream, **change})
        assert response.status_code == status
        assert response.json()["error"]["message"]
    assert not chat_server.requests


def test_an_answer_that_fails_ends_the_stream_with_its_reason(
    api: openai.OpenAI, chat_server: ChatServer, home: Path
) -> None:
    chat_server.status = 500
    *_, last = api.responses.create(**BODY, stream=True)
    assert last.type == "response.failed"
    assert last.response.status == "failed"
    assert last.response.error is not None
    assert "model server" in last.response.error.message
    assert not list(home.rglob("resp_*"))


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_stops_the_model(
    server: Running, chat_server: ChatServer, home: Path, stream: bool
) -> None:
    chat_server.going.clear()

    async def ask() -> None:
        async with httpx.AsyncClient() as client:
            await client.post(f"{server.url}/v1/responses", json={**BODY, "stream": stream})

    async def leave() -> None:
        task = asyncio.create_task(ask())
        async with asyncio.timeout(10):
            while not chat_server.open:
                await asyncio.sleep(0.01)
        task.cancel()
        async with asyncio.timeout(1):
            while chat_server.open or server.service.gate.running:
                await asyncio.sleep(0.01)

    asyncio.run(leave())
    assert chat_server.left.is_set()
    assert not list(home.rglob("resp_*"))
