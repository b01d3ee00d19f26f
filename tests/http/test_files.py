"""Uploads and vector stores, through OpenAI's own client."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from openai import APIStatusError, BadRequestError, NotFoundError, OpenAI

from agents.doors.rights import LOCAL
from agents.doors.service import Service
from agents.http.app import create_app
from tests.http.serving import Running, fill_home, opened, running

LIME = b"Lime honey is pale and strong. It is gathered in July."
HEATHER = "Heather honey is thick like jelly. 石楠蜜很稠。".encode()


@pytest.fixture
def api(server: Running) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def upload(api: OpenAI, name: str, data: bytes) -> str:
    return api.files.create(file=(name, data), purpose="assistants").id


def sources(service: Service, name: str) -> set[str]:
    found = service.shelf.collection(LOCAL, name).documents()
    return {one.source.rpartition("/")[2] for one, _ in found}


def test_a_key_whose_room_is_taken_is_told_so(home: Path) -> None:
    with opened(home, None, require_key=True, key_upload_mb=0.000_05) as service:
        _, secret = service.keys.new("one", ["read", "write"])
        with running(service) as server, OpenAI(base_url=f"{server.url}/v1", api_key=secret) as api:
            first = upload(api, "lime.txt", LIME[:40])
            with pytest.raises(APIStatusError) as caught:
                upload(api, "more.txt", LIME[:40])
            assert (caught.value.status_code, caught.value.code) == (413, "quota_exceeded")
            assert "raise key_upload_mb" in caught.value.message
            api.files.delete(first)
            upload(api, "more.txt", LIME[:40])


def test_a_file_is_kept_as_it_was_sent(api: OpenAI) -> None:
    data = bytes(range(256)) * 20_000
    made = api.files.create(file=("蜂蜜 «1».bin", data), purpose="user_data")
    assert (made.filename, made.bytes, made.status) == ("蜂蜜 «1».bin", len(data), "processed")
    assert api.files.retrieve(made.id) == made
    assert api.files.content(made.id).read() == data
    assert [one.id for one in api.files.list()] == [made.id]
    assert [one.id for one in api.files.list(purpose="batch")] == []
    assert api.files.delete(made.id).deleted
    with pytest.raises(NotFoundError):
        api.files.retrieve(made.id)
    with pytest.raises(NotFoundError):
        api.files.delete(made.id)


def test_the_list_of_files_has_pages(api: OpenAI) -> None:
    made = [upload(api, f"{n}.txt", b"text %d" % n) for n in range(5)]
    assert [one.id for one in api.files.list(order="asc", limit=2)] == made
    assert [one.id for one in api.files.list(limit=2)] == made[::-1]
    first = api.files.list(limit=2, after=made[3])
    assert [one.id for one in first.data] == [made[2], made[1]]
    assert first.has_more
    assert not api.files.list(limit=2, after=made[1]).has_more
    with pytest.raises(BadRequestError):
        api.files.list(after="file-unknown")


def test_a_file_becomes_searchable(api: OpenAI, server: Running) -> None:
    store = api.vector_stores.create(name="honey", metadata={"team": "bees"})
    assert (store.id, store.name, store.metadata) == ("vs_honey", "honey", {"team": "bees"})
    attached = api.vector_stores.files.upload_and_poll(
        vector_store_id=store.id,
        file=("lime.txt", LIME),
        attributes={"tree": "lime", "year": 2024, "dark": False},
        poll_interval_ms=20,
    )
    assert (attached.status, attached.last_error) == ("completed", None)
    assert attached.usage_bytes == len(LIME)
    hit = api.vector_stores.search(store.id, query="When is lime honey gathered?").data[0]
    assert (hit.file_id, hit.filename) == (attached.id, "lime.txt")
    assert hit.content[0].text == LIME.decode()
    assert hit.attributes == {"tree": "lime", "year": 2024, "dark": False}
    text = api.vector_stores.files.content(attached.id, vector_store_id=store.id)
    assert text.data[0].text == LIME.decode()
    counts = api.vector_stores.retrieve(store.id).file_counts
    assert (counts.completed, counts.total, counts.in_progress) == (1, 1, 0)
    assert api.vector_stores.retrieve(store.id).usage_bytes > len(LIME)
    assert sources(server.service, "honey") == {"lime.txt"}


def test_a_model_answers_from_an_upload_and_cites_it(api: OpenAI) -> None:
    store = api.vector_stores.create(name="honey")
    attached = api.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("lime.txt", LIME), poll_interval_ms=20
    )
    answer = api.chat.completions.create(
        model="waggle/honey",
        messages=[{"role": "user", "content": "When is lime honey gathered in July?"}],
    )
    annotations: Any = answer.choices[0].message.annotations
    assert annotations[0].file_id == attached.id
    assert annotations[0].filename == "lime.txt"


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("bees.pdf", b"%PDF-1.7 nonsense", "invalid_file"),
        ("empty.txt", b"", "invalid_file"),
        ("bee.png", b"\x89PNG\r\n\x1a\n\0\0\0\0", "unsupported_file"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    api: OpenAI, name: str, data: bytes, code: str
) -> None:
    attached = api.vector_stores.files.create_and_poll(
        upload(api, name, data), vector_store_id="vs_bees", poll_interval_ms=20
    )
    assert attached.status == "failed"
    assert attached.last_error is not None
    assert attached.last_error.code == code
    assert attached.last_error.message.endswith(".")
    assert api.vector_stores.retrieve("vs_bees").file_counts.failed == 1


def test_a_batch_indexes_what_it_can(api: OpenAI) -> None:
    good = [upload(api, f"{n}.txt", b"Hive number %d gave honey." % n) for n in range(20)]
    bad = upload(api, "bad.pdf", b"no pdf")
    batch = api.vector_stores.file_batches.create_and_poll(
        vector_store_id="vs_bees", file_ids=[*good, bad], poll_interval_ms=20
    )
    counts = batch.file_counts
    assert (batch.status, counts.completed, counts.failed, counts.total) == ("completed", 20, 1, 21)
    listed = api.vector_stores.file_batches.list_files(
        batch.id, vector_store_id="vs_bees", filter="failed"
    )
    assert [one.id for one in listed] == [bad]
    listed = api.vector_stores.file_batches.list_files(
        batch.id, vector_store_id="vs_bees", limit=7, order="asc"
    )
    assert [one.id for one in listed] == [*good, bad]
    with pytest.raises(NotFoundError):
        api.vector_stores.file_batches.retrieve(batch.id, vector_store_id="vs_bee")


def test_a_batch_gives_each_file_its_attributes(api: OpenAI) -> None:
    lime, heather = upload(api, "lime.txt", LIME), upload(api, "heather.txt", HEATHER)
    api.vector_stores.file_batches.create_and_poll(
        vector_store_id="vs_bees",
        files=[
            {"file_id": lime, "attributes": {"tree": "lime"}},
            {"file_id": heather, "attributes": {"tree": "heather"}},
        ],
        poll_interval_ms=20,
    )
    hits = api.vector_stores.search(
        "vs_bees", query="honey", filters={"type": "eq", "key": "tree", "value": "heather"}
    )
    assert [hit.file_id for hit in hits] == [heather]


def test_all_or_none_of_a_batch_is_attached(api: OpenAI) -> None:
    lime = upload(api, "lime.txt", LIME)
    with pytest.raises(NotFoundError):
        api.vector_stores.file_batches.create("vs_bees", file_ids=[lime, "file-" + "0" * 24])
    assert api.vector_stores.retrieve("vs_bees").file_counts.total == 2


def test_documents_that_were_not_uploaded_are_files_too(api: OpenAI) -> None:
    listed = list(api.vector_stores.files.list("vs_bees"))
    assert {one.id[:4] for one in listed} == {"doc-"}
    names: list[Any] = [one.to_dict()["filename"] for one in listed]
    assert sorted(names) == ["dance.md", "花期.txt"]
    hit = api.vector_stores.search("vs_bees", query="waggle dance").data[0]
    assert hit.filename == "dance.md"
    one = api.vector_stores.files.retrieve(hit.file_id, vector_store_id="vs_bees")
    assert one.status == "completed"
    content = api.vector_stores.files.content(one.id, vector_store_id="vs_bees")
    assert content.data[0].text is not None
    assert content.data[0].text.startswith("# The waggle dance")
    api.vector_stores.files.delete(one.id, vector_store_id="vs_bees")
    assert len(list(api.vector_stores.files.list("vs_bees"))) == 1


def test_new_attributes_count_and_old_ones_do_not(api: OpenAI) -> None:
    attached = api.vector_stores.files.upload_and_poll(
        vector_store_id="vs_bees", file=("lime.txt", LIME), attributes={"old": 1, "both": 1},
        poll_interval_ms=20,
    )  # fmt: skip
    api.vector_stores.files.update(
        attached.id, vector_store_id="vs_bees", attributes={"both": 2, "new": "x"}
    )
    done = api.vector_stores.files.poll(attached.id, vector_store_id="vs_bees", poll_interval_ms=20)
    assert done.attributes == {"both": 2, "new": "x"}

    def found(key: str, value: Any) -> bool:
        hits = api.vector_stores.search(
            "vs_bees", query="lime", filters={"type": "eq", "key": key, "value": value}
        )
        return attached.id in [hit.file_id for hit in hits]

    assert found("both", 2)
    assert found("new", "x")
    assert not found("both", 1)
    assert not found("old", 1)


def test_what_is_removed_is_not_found(api: OpenAI, server: Running) -> None:
    attached = api.vector_stores.files.upload_and_poll(
        vector_store_id="vs_bees", file=("lime.txt", LIME), poll_interval_ms=20
    )
    assert api.vector_stores.files.delete(attached.id, vector_store_id="vs_bees").deleted
    assert "lime.txt" not in sources(server.service, "bees")
    with pytest.raises(NotFoundError):
        api.vector_stores.files.retrieve(attached.id, vector_store_id="vs_bees")
    assert api.files.retrieve(attached.id).filename == "lime.txt"


def test_a_deleted_file_leaves_every_collection_and_the_disk(api: OpenAI, server: Running) -> None:
    api.vector_stores.create(name="other")
    file = upload(api, "lime.txt", LIME)
    for store in ("vs_bees", "vs_other"):
        api.vector_stores.files.create_and_poll(file, vector_store_id=store, poll_interval_ms=20)
    api.files.delete(file)
    assert sources(server.service, "bees") == {"dance.md", "花期.txt"}
    assert sources(server.service, "other") == set()
    assert server.service.uploads.settle(5)
    left = [one for one in (server.service.home / "uploads").rglob("*") if one.is_file()]
    assert not [one for one in left if LIME in one.read_bytes() and one.suffix == ".txt"]


def test_the_same_content_is_kept_and_found_once(api: OpenAI, server: Running) -> None:
    first, second = upload(api, "lime.txt", LIME), upload(api, "lime.txt", LIME)
    assert first != second
    contents = server.service.home / "uploads" / "content"
    assert len(list(contents.iterdir())) == 1
    for file in (first, second):
        api.vector_stores.files.create_and_poll(
            file, vector_store_id="vs_bees", poll_interval_ms=20
        )
    hits = api.vector_stores.search("vs_bees", query="lime honey").data
    assert [hit.filename for hit in hits].count("lime.txt") == 1
    assert api.vector_stores.retrieve("vs_bees").file_counts.completed == 4
    # The document stays as long as one of them needs it, whichever of them came first.
    api.files.delete(first)
    hit = api.vector_stores.search("vs_bees", query="lime honey").data[0]
    assert (hit.file_id, hit.filename) == (second, "lime.txt")
    assert api.files.content(second).read() == LIME
    api.files.delete(second)
    assert "lime.txt" not in sources(server.service, "bees")


def test_the_same_content_with_other_attributes_is_found_by_both(api: OpenAI) -> None:
    files = {name: upload(api, "lime.txt", LIME) for name in ("one", "two")}
    for name, file in files.items():
        api.vector_stores.files.create_and_poll(
            file, vector_store_id="vs_bees", attributes={"of": name}, poll_interval_ms=20
        )
    for name, file in files.items():
        hits = api.vector_stores.search(
            "vs_bees", query="lime", filters={"type": "eq", "key": "of", "value": name}
        )
        assert [hit.file_id for hit in hits] == [file]


def test_files_that_share_a_document_part_when_one_gets_other_attributes(api: OpenAI) -> None:
    first, second = upload(api, "lime.txt", LIME), upload(api, "lime.txt", LIME)
    for file in (first, second):
        api.vector_stores.files.create_and_poll(
            file, vector_store_id="vs_bees", attributes={"of": "both"}, poll_interval_ms=20
        )
    api.vector_stores.files.update(first, vector_store_id="vs_bees", attributes={"of": "first"})
    for file in (first, second):
        api.vector_stores.files.poll(file, vector_store_id="vs_bees", poll_interval_ms=20)
    for value, file in (("first", first), ("both", second)):
        hits = api.vector_stores.search(
            "vs_bees", query="lime", filters={"type": "eq", "key": "of", "value": value}
        )
        assert [hit.file_id for hit in hits] == [file]


def test_what_others_remove_from_a_collection_is_no_file_of_it(
    api: OpenAI, server: Running
) -> None:
    attached = api.vector_stores.files.upload_and_poll(
        vector_store_id="vs_bees", file=("lime.txt", LIME), poll_interval_ms=20
    )
    server.service.shelf.collection(LOCAL, "bees").remove([f"{attached.id}/lime.txt"])
    assert attached.id not in [one.id for one in api.vector_stores.files.list("vs_bees")]
    assert api.vector_stores.retrieve("vs_bees").file_counts.total == 2
    with pytest.raises(NotFoundError):
        api.vector_stores.files.retrieve(attached.id, vector_store_id="vs_bees")
    again = api.vector_stores.files.create_and_poll(
        attached.id, vector_store_id="vs_bees", poll_interval_ms=20
    )
    assert again.status == "completed"
    assert "lime.txt" in sources(server.service, "bees")


def test_collections_are_made_described_listed_and_deleted(api: OpenAI) -> None:
    honey = api.vector_stores.create(
        name="Honey & wax: 蜂蜜", file_ids=[upload(api, "l.txt", LIME)]
    )
    assert (honey.id, honey.name) == ("vs_Honey-wax-蜂蜜", "Honey & wax: 蜂蜜")
    again = api.vector_stores.create(name="Honey & wax: 蜂蜜")
    assert again.id != honey.id
    unnamed = api.vector_stores.create()
    changed = api.vector_stores.update(honey.id, name="New name", metadata={"a": "b"})
    assert (changed.name, changed.metadata) == ("New name", {"a": "b"})
    listed = {one.id: one for one in api.vector_stores.list(limit=2)}
    assert listed.keys() == {"vs_bees", honey.id, again.id, unnamed.id}
    assert listed[honey.id].name == "New name"
    assert api.vector_stores.delete(honey.id).deleted
    with pytest.raises(NotFoundError):
        api.vector_stores.retrieve(honey.id)
    again = api.vector_stores.create(name="Honey & wax: 蜂蜜")
    assert again.file_counts.total == 0


def test_a_collection_keeps_the_time_at_which_it_was_made(api: OpenAI, server: Running) -> None:
    made = api.vector_stores.retrieve("vs_bees").created_at
    os.utime(server.service.home / "collections" / "bees", (made + 100, made + 100))
    assert api.vector_stores.retrieve("vs_bees").created_at == made


def test_what_cannot_be_honoured_is_refused(api: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="expire"):
        api.vector_stores.create(expires_after={"anchor": "last_active_at", "days": 1})
    with pytest.raises(BadRequestError, match="expire"):
        api.files.create(
            file=("a.txt", LIME), purpose="batch",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )  # fmt: skip
    with pytest.raises(BadRequestError, match="purpose"):
        api.files.create(file=("a.txt", LIME), purpose="nonsense")  # type: ignore[arg-type]
    with pytest.raises(NotFoundError):
        api.vector_stores.retrieve("bees")


def test_several_queries_and_a_threshold(api: OpenAI) -> None:
    found = api.vector_stores.search("vs_bees", query=["round dance", "枇杷"], max_num_results=50)
    assert {hit.filename for hit in found} == {"dance.md", "花期.txt"}
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
    best = found.data[0].score
    few = api.vector_stores.search(
        "vs_bees", query=["round dance", "枇杷"], ranking_options={"score_threshold": best}
    )
    assert 0 < len(few.data) < len(found.data)
    assert len(api.vector_stores.search("vs_bees", query="dance", max_num_results=1).data) == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_uploads_are_capped_while_they_arrive(home: Path, chunked: bool) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    pieces = [head, *[b"x" * 100_000] * 15, b"\r\n--x--\r\n"]
    content: Any = iter(pieces) if chunked else b"".join(pieces)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    with opened(home, None, upload_mb=1.0) as service, running(service) as server:
        response = httpx.post(f"{server.url}/v1/files", content=content, headers=headers)
        assert response.status_code == 413
        assert not list((home / "uploads" / "incoming").iterdir())
        assert httpx.get(f"{server.url}/v1/files").json()["data"] == []


def test_nothing_is_taken_in_from_who_may_not_write(home: Path) -> None:
    """The answer comes before the body: it is not waited for, and not a byte of it is kept."""
    with opened(home, None, require_key=True) as service, running(service) as server:
        _, reader = service.keys.new("reader", ["read"])
        for headers, status in (({}, 401), ({"Authorization": f"Bearer {reader}"}, 403)):
            with socket.create_connection(_address(server)) as sent:
                lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
                sent.sendall(
                    b"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n"
                    b"Content-Type: multipart/form-data; boundary=x\r\n"
                    + "".join(lines).encode() + b"\r\n"
                )  # fmt: skip
                sent.settimeout(10)
                assert sent.recv(100).startswith(f"HTTP/1.1 {status}".encode())
        assert not list((home / "uploads" / "incoming").iterdir())


def test_a_client_that_leaves_in_the_middle_leaves_nothing(server: Running) -> None:
    incoming = server.service.home / "uploads" / "incoming"
    with socket.create_connection(_address(server)) as sent:
        sent.sendall(
            b"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            + b"x"
            * 2_000_000
        )
        _eventually(lambda: any(one.stat().st_size for one in incoming.iterdir()))
    _eventually(lambda: not list(incoming.iterdir()))
    assert httpx.get(f"{server.url}/v1/files").json()["data"] == []


def _address(server: Running) -> tuple[str, int]:
    return "127.0.0.1", int(server.url.rpartition(":")[2])


def _eventually(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/vs_bees/search", {"query": ""}),
        ("/vs_bees/search", {"query": []}),
        ("/vs_bees/search", {"query": "\ud800"}),
        ("/vs_bees/search", {"query": ["\ud800"]}),
        ("/vs_bees/search", {"query": "a", "max_num_results": 51}),
        ("/vs_bees/search", {"query": "a", "ranking_options": {"score_threshold": float("inf")}}),
        ("/vs_bees/files", {}),
        ("/vs_bees/files", {"file_id": "\ud800"}),
        ("/vs_bees/files", {"file_id": "x", "attributes": {"\ud800": 1}}),
        ("/vs_bees/files", {"file_id": "x", "attributes": {"a": "\ud800"}}),
        ("/vs_bees/files", {"file_id": "x", "attributes": {"a": float("nan")}}),
        ("/vs_bees/files", {"file_id": "x", "attributes": {"a": [1]}}),
        ("/vs_bees/files", {"file_id": "x", "attributes": {f"{n}": n for n in range(17)}}),
        ("/vs_bees/file_batches", {}),
        ("/vs_bees/file_batches", {"file_ids": []}),
        ("/vs_bees/file_batches", {"file_ids": ["\ud800"]}),
        ("/vs_bees/file_batches", {"file_ids": ["x"], "files": [{"file_id": "x"}]}),
        ("", {"name": "\ud800"}),
        ("", {"description": "\ud800"}),
        ("", {"metadata": {"a": "\ud800"}}),
        ("", {"metadata": {"a": 1}}),
        ("/vs_bees", {"name": "x" * 257}),
    ],
)
def test_a_body_that_is_not_right_is_refused(
    client: TestClient, path: str, body: dict[str, Any]
) -> None:
    response = client.post(
        f"/v1/vector_stores{path}",
        content=json.dumps(body),
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code == 400, response.text
    assert response.json()["error"]["message"]


@pytest.mark.parametrize(
    "path", ["/v1/vector_stores", "/v1/files", "/v1/vector_stores/vs_bees/files"]
)
@pytest.mark.parametrize("query", ["limit=0", "limit=1e9", "order=x", "after=x", "before=%00"])
def test_a_page_that_there_is_not_is_refused(client: TestClient, path: str, query: str) -> None:
    assert client.get(f"{path}?{query}").status_code == 400


@pytest.mark.parametrize("name", ["bees", "vs_", "vs_%00", "vs_..%2F..", "vs_" + "a" * 3000, "%FF"])
def test_what_is_no_vector_store_is_not_found(client: TestClient, name: str) -> None:
    assert client.get(f"/v1/vector_stores/{name}").status_code == 404
    assert client.delete(f"/v1/vector_stores/{name}").status_code == 404
    search = client.post(f"/v1/vector_stores/{name}/search", json={"query": "dance"})
    assert search.status_code == 404


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--x\r\nnonsense"),
        ("multipart/form-data; boundary=x", b"--x--\r\n"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            + b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf',
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nno file\r\n--x--\r\n',
        ),
        ("multipart/form-data; boundary=x", b"--x\r\na: b\r\n\r\n\r\n" * 100 + b"--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"a" * 100_000),
    ],
)  # fmt: skip
def test_what_is_no_upload_is_refused(client: TestClient, kind: str, body: bytes) -> None:
    response = client.post("/v1/files", content=body, headers={"Content-Type": kind})
    assert response.status_code == 400, response.text
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert client.get("/v1/files").json()["data"] == []


def test_a_file_is_sent_as_something_to_save(client: TestClient) -> None:
    page = b"<script>alert(1)</script>"
    made = client.post(
        "/v1/files", files={"file": ("a.html", page, "text/html")}, data={"purpose": "assistants"}
    )
    response = client.get(f"/v1/files/{made.json()['id']}/content")
    assert response.content == page
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"].startswith("attachment")


def test_removals_that_wait_leave_room_for_others(api: OpenAI, server: Running) -> None:
    service, most = server.service, 40
    files = [upload(api, f"{n}.txt", b"Hive %d gave honey." % n) for n in range(most)]
    service.uploads.attach(LOCAL, "bees", {file: {} for file in files})
    assert service.uploads.settle(60)
    collection = service.shelf.collection(LOCAL, "bees")

    def delete(file: str) -> int:
        url = f"{server.url}/v1/files/{file}"
        return httpx.delete(url, timeout=120, trust_env=False).status_code

    with ThreadPoolExecutor(most) as threads:
        with collection.writing():
            deleting = [threads.submit(delete, file) for file in files]
            until(lambda: not service.uploads.files(LOCAL))
            url = f"{server.url}/api/collections"
            assert httpx.get(url, timeout=30, trust_env=False).status_code == 200
            assert not any(one.done() for one in deleting)
        assert {one.result() for one in deleting} == {200}
    assert sources(service, "bees") == {"dance.md", "花期.txt"}


def test_one_collection_that_fails_does_not_hide_the_others(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_home(home, "wasps")
    (home / "collections" / "wasps" / "waggle.db").write_bytes(b"no database" * 1000)
    with (
        opened(home, None) as service,
        TestClient(create_app(service), base_url="http://127.0.0.1:8400") as client,
    ):
        names = [*service.shelf.names(LOCAL), "deleted-meanwhile"]
        monkeypatch.setattr(service.shelf, "names", lambda _: names)
        response = client.get("/v1/vector_stores")
    assert response.status_code == 200
    assert "wasps" in names
    assert [one["id"] for one in response.json()["data"]] == ["vs_bees"]
