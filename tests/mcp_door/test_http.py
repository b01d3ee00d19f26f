"""The server at `/mcp`, with the official client, unchanged."""

import asyncio
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import McpError
from mcp.types import (
    ReadResourceResult,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)
from pydantic import AnyUrl

from agents.doors.rights import Caller
from agents.doors.service import Service
from agents.http.app import create_app
from agents.http.sse import patient
from agents.mcp_door.reading import LONGEST
from tests.http.chatting import ChatServer
from tests.http.serving import CHINESE, ENGLISH, Running, opened, running
from tests.mcp_door.clients import object_of, over_http, refusal_of, run, text_of

QUESTION = "What does the length of the waggle run tell?"
BEGIN = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {},
               "clientInfo": {"name": "test", "version": "1"}},
}  # fmt: skip
TAKES = {"Accept": "application/json, text/event-stream"}


def text_in(result: ReadResourceResult) -> str:
    (content,) = result.contents
    assert isinstance(content, TextResourceContents)
    return content.text


def test_what_is_found_is_fetched(server: Running) -> None:
    async def work() -> None:
        async with over_http(f"{server.url}/mcp") as session:
            found = await session.call_tool("search", {"query": QUESTION, "k": 2})
            assert json.loads(text_of(found)) == found.structuredContent
            first = object_of(found)["results"][0]
            assert first.keys() == {"id", "title", "url", "text"}
            assert "tells the distance" in first["text"]
            fetched = await session.call_tool("fetch", {"id": first["id"]})
            assert json.loads(text_of(fetched)) == fetched.structuredContent
            whole = object_of(fetched)
            assert whole.keys() == {"id", "title", "text", "url", "metadata"}
            assert (whole["id"], whole["text"]) == (first["id"], ENGLISH)
            start, end = whole["metadata"]["passage"]
            assert ENGLISH[start:end] == first["text"]

    run(work)


def test_an_answer_is_cited_and_told_of(server: Running, chat_server: ChatServer) -> None:
    chat_server.pause = 0.05
    told: list[tuple[float, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))

    async def work() -> None:
        async with over_http(f"{server.url}/mcp/bees") as session:
            asked = {"question": QUESTION}
            result = await session.call_tool("ask", asked, progress_callback=hear)
            answer = object_of(result)
            assert answer["status"] == "answered"
            cited = answer["citations"][0]
            assert cited["support"] == "verbatim"
            assert cited["quote"] in text_of(result)
            assert answer["answer"] in text_of(result)
            fetched = object_of(await session.call_tool("fetch", {"id": cited["id"]}))
            assert fetched["text"][cited["start"] : cited["end"]] == cited["quote"]

    run(work)
    counts = [count for count, _ in told]
    assert counts == sorted(set(counts))
    assert any("The waggle dance" in str(message) for _, message in told)
    assert any("length tells" in str(message) for _, message in told)


def test_a_client_that_leaves_stops_the_model(server: Running, chat_server: ChatServer) -> None:
    chat_server.going.clear()
    asked = {"jsonrpc": "2.0", "id": 2, "method": "tools/call",
             "params": {"name": "ask", "arguments": {"question": QUESTION}}}  # fmt: skip

    async def work() -> None:
        async with (
            httpx.AsyncClient(trust_env=False) as client,
            client.stream("POST", f"{server.url}/mcp", json=asked, headers=TAKES) as response,
        ):
            assert response.status_code == 200
            while not chat_server.open:
                await a_moment()

    run(work)
    assert chat_server.left.wait(5)


async def a_moment() -> None:
    await asyncio.sleep(0.01)


def test_documents_are_resources(server: Running) -> None:
    async def work() -> None:
        async with over_http(f"{server.url}/mcp") as session:
            listed = (await session.list_resources()).resources
            assert [one.name for one in listed] == ["dance.md", "花期.txt"]
            assert [one.mimeType for one in listed] == ["text/markdown", "text/plain"]
            assert text_in(await session.read_resource(listed[1].uri)) == CHINESE
            (template,) = (await session.list_resource_templates()).resourceTemplates
            reference = ResourceTemplateReference(type="ref/resource", uri=template.uriTemplate)
            found = await session.complete(
                reference, {"name": "source", "value": "花"}, {"collection": "bees"}
            )
            (source,) = found.completion.values
            assert source.endswith("花期.txt")
            with pytest.raises(McpError, match="holds no document") as raised:
                await session.read_resource(AnyUrl("waggle://bees/none.md"))
            assert raised.value.error.code == -32002

    run(work)


def test_a_long_list_comes_in_pages(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.mcp_door.resources.PAGE", 1)

    async def work() -> None:
        async with over_http(f"{server.url}/mcp") as session:
            first = await session.list_resources()
            second = await session.list_resources(cursor=first.nextCursor)
            names = [one.name for one in (*first.resources, *second.resources)]
            assert (names, second.nextCursor) == (["dance.md", "花期.txt"], None)
            with pytest.raises(McpError, match="none of this list"):
                await session.list_resources(cursor="x")

    run(work)


def test_prompts_bring_their_passages(server: Running) -> None:
    async def work() -> None:
        async with over_http(f"{server.url}/mcp") as session:
            prompts = (await session.list_prompts()).prompts
            names = {prompt.name for prompt in prompts}
            assert {"answer", "short", "quote-first"} <= names
            asked = [(one.name, one.required) for one in prompts[0].arguments or ()]
            assert asked == [("question", True)]
            assert "react" not in names
            got = await session.get_prompt("short", {"question": "椴树什么时候开花？"})
            (message,) = got.messages
            assert isinstance(message.content, TextContent)
            assert "椴树在七月开花" in message.content.text
            assert "椴树什么时候开花？" in message.content.text
            for name, given, said in (
                ("short", {}, "question is empty"),
                ("none", {"question": "x"}, "no prompt «none»"),
                ("react", {"question": "x"}, "several turns"),
            ):
                with pytest.raises(McpError, match=said):
                    await session.get_prompt(name, given)

    run(work)


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("none", {}, "There is no tool «none»"),
        ("search", {}, "«query» is not usable"),
        ("search", {"query": "x", "k": 0}, "«k» is not usable"),
        ("search", {"query": " "}, "The question is empty."),
        ("search", {"query": "x", "where": "nonsense"}, "filter"),
        ("search", {"query": "x", "collection": "wasps"}, "no collection «wasps»"),
        ("search", {"query": "x", "more": 1}, "«more» is not usable"),
        ("fetch", {"id": "nonsense"}, "is not an id"),
        ("fetch", {"id": "bees/none.md"}, "holds no document «none.md»"),
        ("index", {"paths": ["/etc/passwd"]}, "«text» is not usable"),
        ("index", {"text": "\u200b "}, "The text is empty."),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    server: Running, tool: str, arguments: dict[str, Any], said: str
) -> None:
    async def work() -> None:
        async with over_http(f"{server.url}/mcp") as session:
            assert said in refusal_of(await session.call_tool(tool, arguments))

    run(work)


def test_a_model_that_fails_is_told_of(server: Running, chat_server: ChatServer) -> None:
    chat_server.status = 500

    async def work() -> None:
        async with over_http(f"{server.url}/mcp") as session:
            said = refusal_of(await session.call_tool("ask", {"question": QUESTION}))
            assert "scripted failure" in said

    run(work)


def test_without_a_model_documents_are_searched_still(home: Path) -> None:
    async def work(url: str) -> None:
        async with over_http(f"{url}/mcp") as session:
            assert object_of(await session.call_tool("search", {"query": "honey"}))["results"]
            said = refusal_of(await session.call_tool("ask", {"question": QUESTION}))
            assert "There is no chat model" in said

    with opened(home, None) as service, running(service) as server:
        run(lambda: work(server.url))


def test_a_text_is_kept_and_replaced(server: Running) -> None:
    async def work() -> None:
        async with over_http(f"{server.url}/mcp") as session:
            note = {"name": "Foxglove", "text": "Foxglove\u200b flowers in June."}
            first = object_of(await session.call_tool("index", note))
            assert (first["added"], first["sources"]) == (1, ["text:Foxglove"])
            assert object_of(await session.call_tool("index", note))["unchanged"] == 1
            later = {**note, "text": "Foxglove flowers in July."}
            assert object_of(await session.call_tool("index", later))["updated"] == 1
            found = object_of(await session.call_tool("search", {"query": "foxglove", "k": 1}))
            (one,) = found["results"]
            assert (one["title"], one["text"]) == ("Foxglove", "Foxglove flowers in July.")

    run(work)


def test_of_a_long_document_the_part_around_the_passage_comes(server: Running) -> None:
    words = " ".join(f"word{number}" for number in range(9000))
    text = f"{words}\n\nThe hidden sentence stands here.\n\n{words}"
    at = text.index("The hidden")

    async def work() -> None:
        async with over_http(f"{server.url}/mcp") as session:
            await session.call_tool("index", {"name": "long", "text": text})
            name = f"bees/text:long#{at}-{at + 32}"
            part = object_of(await session.call_tool("fetch", {"id": name}))
            assert "The hidden sentence" in part["text"]
            assert len(part["text"]) == LONGEST
            gathered = {part["metadata"]["start"]: part["text"]}
            for side in ("previous", "next"):
                told = part["metadata"]
                while side in told:
                    other = object_of(await session.call_tool("fetch", {"id": told[side]}))
                    told = other["metadata"]
                    gathered[told["start"]] = other["text"]
            for start, piece in gathered.items():
                assert text[start : start + len(piece)] == piece
            ends = {start + len(piece) for start, piece in gathered.items()}
            assert (min(gathered), max(ends)) == (0, len(text))

    run(work)


def post(url: str, **headers: str) -> httpx.Response:
    with httpx.Client(trust_env=False) as client:
        return client.post(url, json=BEGIN, headers={**TAKES, **headers})


def test_other_names_and_pages_are_kept_out(server: Running) -> None:
    assert post(f"{server.url}/mcp").status_code == 200
    assert post(f"{server.url}/mcp", Host="evil.example").status_code == 421
    assert post(f"{server.url}/mcp", Origin="https://evil.example").status_code == 403
    assert post(f"{server.url}/mcp", Origin=server.url).status_code == 200


def test_links_begin_as_the_public_address_does(home: Path) -> None:
    """The proxy that ends TLS is not this server, which is asked by plain HTTP."""
    public = "https://waggle.example"
    with opened(home, None, public_url=public) as service, running(service) as server:
        _, secret = service.keys.new("test")

        async def work() -> None:
            async with over_http(f"{server.url}/mcp", secret, Host="Waggle.example") as session:
                found = object_of(await session.call_tool("search", {"query": QUESTION, "k": 1}))
                assert found["results"][0]["url"].startswith(f"{public}/#")

        run(work)


def test_there_is_nothing_but_post(server: Running) -> None:
    for method in ("GET", "DELETE"):
        done = httpx.request(method, f"{server.url}/mcp", headers=TAKES, trust_env=False)
        assert (done.status_code, done.headers["allow"]) == (405, "POST")


def test_a_large_body_is_refused(home: Path) -> None:
    with opened(home, None, body_mb=0.01) as service, running(service) as server:
        large = {**BEGIN, "padding": "x" * 20_000}
        pieces = (piece.encode() for piece in re.findall(".{1,999}", json.dumps(large)))
        headers = {**TAKES, "Content-Type": "application/json"}
        with httpx.Client(trust_env=False) as client:
            done = client.post(f"{server.url}/mcp", content=pieces, headers=headers)
        assert done.status_code == 413


def test_too_much_at_a_time_is_told(home: Path, chat_server: ChatServer) -> None:
    chat_server.going.clear()

    async def work(url: str) -> None:
        async with over_http(f"{url}/mcp") as session:
            asked = asyncio.create_task(session.call_tool("ask", {"question": QUESTION}))
            while not chat_server.open:
                await a_moment()
            said = refusal_of(await session.call_tool("search", {"query": "x"}))
            assert "at its limit" in said
            chat_server.going.set()
            assert object_of(await asked)["status"] == "answered"
            assert object_of(await session.call_tool("search", {"query": "x"}))

    one = opened(home, chat_server.url, concurrency=1, queue=0)
    with one as service, running(service) as server:
        run(lambda: work(server.url))


def test_the_event_loop_does_not_wait_for_a_collection(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collection that is just being opened may hold the shelf for long."""
    shelf, begun, free = server.service.shelf, threading.Event(), threading.Event()
    names = shelf.names

    def slow(caller: Caller) -> list[str]:
        begun.set()
        free.wait(30)
        return names(caller)

    monkeypatch.setattr(shelf, "names", slow)
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(post, f"{server.url}/mcp/bees")
        assert begun.wait(10)
        alive = httpx.get(f"{server.url}/healthz", timeout=5, trust_env=False).status_code
        done = asking.done()
        free.set()
        assert (alive, done, asking.result().status_code) == (200, False, 200)


def test_a_client_that_takes_nothing_is_given_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.mcp_door.http.patient", partial(patient, seconds=0.2))
    body = json.dumps(BEGIN).encode()
    headers = {"Host": "127.0.0.1", "Content-Type": "application/json", **TAKES}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "path": "/mcp", "raw_path": b"/mcp", "query_string": b"", "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8400), "scheme": "http", "state": {},
    }  # fmt: skip
    parts = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        for part in parts:
            return part
        return await asyncio.Event().wait()

    async def send(_: Any) -> None:
        await asyncio.Event().wait()

    async def ask() -> None:
        async with asyncio.timeout(20):
            await create_app(service)(scope, receive, send)

    asyncio.run(ask())
