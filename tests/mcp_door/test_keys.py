"""A key decides what a client sees, and may do."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from mcp import McpError
from pydantic import AnyUrl

from tests.http.serving import Running, fill_home, opened, running
from tests.mcp_door.clients import object_of, over_http, refusal_of, run
from tests.mcp_door.test_http import BEGIN, TAKES

CANARY = "canary-kept-by-another"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Running]:
    """A service that needs keys, with two collections, one of which nobody may hear of."""
    fill_home(tmp_path, "bees", CANARY)
    with opened(tmp_path, None, require_key=True) as service, running(service) as server:
        yield server


def key(server: Running, *rights: str, collections: list[str] | None = None) -> str:
    _, secret = server.service.keys.new("test", rights, collections)
    return secret


def audit(server: Running) -> list[tuple[str, str]]:
    lines = (server.service.home / "audit.jsonl").read_text("utf-8").splitlines()
    return [(line["what"], line["outcome"]) for line in map(json.loads, lines)]


def begun(server: Running, path: str, secret: str = "") -> httpx.Response:
    headers = {**TAKES, **({"Authorization": f"Bearer {secret}"} if secret else {})}
    with httpx.Client(trust_env=False) as client:
        return client.post(f"{server.url}{path}", json=BEGIN, headers=headers)


def test_without_a_key_nobody_gets_in(guarded: Running) -> None:
    assert begun(guarded, "/mcp").status_code == 401
    assert begun(guarded, "/mcp", "wgl_nonsense").status_code == 401
    assert begun(guarded, "/mcp", key(guarded, "read")).status_code == 200


def test_reading_is_not_writing(guarded: Running) -> None:
    async def work() -> None:
        async with over_http(f"{guarded.url}/mcp", key(guarded, "read")) as session:
            tools = [tool.name for tool in (await session.list_tools()).tools]
            assert tools == ["search", "fetch", "ask"]
            refused = refusal_of(await session.call_tool("index", {"text": "x"}))
            assert "lacks the right «write»" in refused
        async with over_http(f"{guarded.url}/mcp/bees", key(guarded, "read", "write")) as session:
            assert "index" in [tool.name for tool in (await session.list_tools()).tools]
            assert object_of(await session.call_tool("index", {"text": "Kept."}))["added"] == 1

    run(work)
    assert audit(guarded) == [("mcp index", "ForbiddenError"), ("mcp index", "done")]


def test_a_key_without_reading_reads_nothing(guarded: Running) -> None:
    async def work() -> None:
        async with over_http(f"{guarded.url}/mcp", key(guarded, "agent")) as session:
            for tool, given in (("search", {"query": "x"}), ("fetch", {"id": "bees/dance.md"})):
                assert "«read»" in refusal_of(await session.call_tool(tool, given))
            with pytest.raises(McpError, match="«read»"):
                await session.list_resources()

    run(work)


def test_another_s_collection_is_as_if_it_were_not_there(guarded: Running) -> None:
    """Everything a tenant can do brings the same for that collection and for one that is none."""

    async def seen(session_key: str, name: str) -> list[str]:
        async with over_http(f"{guarded.url}/mcp", session_key) as session:
            said = [
                refusal_of(await session.call_tool(tool, arguments))
                for tool, arguments in (
                    ("search", {"query": "dance", "collection": name}),
                    ("ask", {"question": "dance", "collection": name}),
                    ("fetch", {"id": f"{name}/dance.md"}),
                    ("index", {"text": "x", "collection": name}),
                )
            ]
            with pytest.raises(McpError) as read:
                await session.read_resource(AnyUrl(f"waggle://{name}/dance.md"))
            with pytest.raises(McpError) as got:
                await session.get_prompt("short", {"question": "x", "collection": name})
            everything = [
                (await session.list_tools()).model_dump_json(),
                (await session.list_resources()).model_dump_json(),
                (await session.list_prompts()).model_dump_json(),
                (await session.call_tool("search", {"query": "dance"})).model_dump_json(),
            ]
            assert not any(CANARY in one for one in everything)
        whole = [*said, str(read.value), str(got.value), begun(guarded, f"/mcp/{name}").text]
        return [one.replace(name, "NAME") for one in whole]

    async def work() -> None:
        tenant = key(guarded, "read", "write", collections=["bees"])
        none = f"{CANARY[:-1]}x"
        assert await seen(tenant, CANARY) == await seen(tenant, none)
        paths = [begun(guarded, f"/mcp/{name}", tenant) for name in (CANARY, none)]
        assert [one.status_code for one in paths] == [404, 404]
        assert paths[0].text.replace(CANARY, none) == paths[1].text

    run(work)


def test_several_collections_are_searched_together_and_asked_by_name(guarded: Running) -> None:
    async def work() -> None:
        async with over_http(f"{guarded.url}/mcp", key(guarded, "read")) as session:
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            assert tools["ask"].inputSchema["required"] == ["question", "collection"]
            prompt = (await session.list_prompts()).prompts[0]
            wanted = [one.name for one in prompt.arguments or () if one.required]
            assert wanted == ["question", "collection"]
            found = object_of(await session.call_tool("search", {"query": "dance", "k": 4}))
            names = [one["id"].partition("/")[0] for one in found["results"]]
            assert set(names[:2]) == {"bees", CANARY}
            said = refusal_of(await session.call_tool("ask", {"question": "x"}))
            assert said == f"Name the collection. There is: bees, {CANARY}."

    run(work)


def test_a_key_that_is_revoked_holds_no_more(guarded: Running) -> None:
    record, secret = guarded.service.keys.new("test", ("read",))
    answers: list[int] = []

    async def work() -> None:
        async with over_http(f"{guarded.url}/mcp", secret) as session:
            await session.call_tool("search", {"query": "x"})
            guarded.service.keys.revoke(record.id)
            answers.append(begun(guarded, "/mcp", secret).status_code)

    run(work)
    assert answers == [401]
