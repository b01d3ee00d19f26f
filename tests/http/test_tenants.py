"""No response tells a key whether another tenant's collection exists.

Two worlds differ only in the collections that the key may not know of. Every route of the app, also
those that are still to come, gets the same requests about them in both worlds, and has to answer
the same.
"""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agents.doors.rights import RIGHTS
from agents.http.app import create_app
from tests.http.serving import fill_home, opened

NAMES = ("bees", "wasps", "蜜蜂")
MCP = {"Accept": "application/json, text/event-stream"}

# Told anew by each request, or by each start.
_VOLATILE = re.compile(
    r"(req|resp|chatcmpl|file|run|msg|vsfb|key)[_-][\w-]{6,}|[0-9a-f]{8,}|\d{10,}|\d+\.\d+"
    r"|\d{4}-\d\d-\d\dT[\d:.+Z]+"
)
_HEADERS = {"date", "x-request-id"}


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with all the collections."""
    home = tmp_path_factory.mktemp("every") / "home"
    fill_home(home, *NAMES)
    return home


class World:
    """A service with certain collections, and what it answers to one key."""

    def __init__(self, client: TestClient, app: FastAPI, secret: str) -> None:
        self.client, self.app = client, app
        self._headers = {"Authorization": f"Bearer {secret}"}

    def answer(self, method: str, path: str, body: object = None) -> tuple[int, object, str]:
        """Status, headers and body, without what differs between any two responses."""
        headers = {**self._headers, **(MCP if path.startswith("/mcp") else {})}
        response = self.client.request(method, path, json=body, headers=headers)
        kept = {k: v for k, v in response.headers.items() if k not in _HEADERS}
        kept.pop("content-length", None)
        return (
            response.status_code,
            {k: _VOLATILE.sub("~", v) for k, v in kept.items()},
            _VOLATILE.sub("~", response.text),
        )


@contextmanager
def world(
    every: Path, folder: Path, present: frozenset[str], bound: frozenset[str], rights: list[str]
) -> Iterator[World]:
    home = folder / "home"
    for name in present:
        shutil.copytree(every / "collections" / name, home / "collections" / name)
    with opened(home, None, require_key=True) as service:
        _, secret = service.keys.new("tenant", rights, sorted(bound), rate=0)
        app = create_app(service)
        with TestClient(app, base_url="http://127.0.0.1:8400") as client:
            yield World(client, app, secret)


def forms(name: str) -> tuple[str, ...]:
    """How requests write a collection: its name, a vector store, a model."""
    return (name, f"vs_{name}", f"waggle/{name}", f"waggle/{name}/agent")


def requests(schema: dict[str, Any], names: list[str]) -> Iterator[tuple[str, str, object]]:
    """Every operation with every form of the names in its path and its body."""
    for path, operations in schema["paths"].items():
        fields = re.findall(r"\{(\w+)\}", path)
        for method, operation in operations.items():
            bodies = _bodies(schema, operation, names)
            values = [form for name in names for form in forms(name)] if fields else [""]
            for value, body in product(values, bodies):
                filled = re.sub(r"\{\w+\}", value.replace("/", "%2F"), path)
                yield method.upper(), filled, body
                for parameter in operation.get("parameters", ()):
                    if parameter["in"] == "query" and not fields:
                        for name in names:
                            yield method.upper(), f"{filled}?{parameter['name']}={name}", body
    for name in names:
        yield from _mcp(name)


def _mcp(name: str) -> Iterator[tuple[str, str, object]]:
    calls = [
        ("tools/list", {}),
        ("resources/list", {}),
        ("prompts/list", {}),
        ("resources/read", {"uri": f"waggle://{name}/dance.md"}),
        *(
            ("tools/call", {"name": tool, "arguments": arguments})
            for tool in ("search", "fetch", "ask", "index")
            for arguments in (
                {"query": "dance", "question": "dance?", "id": f"{name}:dance.md", "text": "x"},
                {"query": "dance", "collection": name}, {"question": "dance?", "collection": name},
                {"id": f"{name}/dance.md"}, {"text": "x", "title": "x", "collection": name},
            )
        ),
    ]  # fmt: skip
    for path, (method, params) in product(("/mcp", f"/mcp/{name}"), calls):
        yield "POST", path, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def _bodies(schema: dict[str, Any], operation: dict[str, Any], names: list[str]) -> list[object]:
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return [None]
    shape = _resolved(schema, content["application/json"]["schema"])
    made: list[object] = []
    for name in names:
        for form in forms(name):
            made.append(_filled(schema, shape, form))
    return made


def _resolved(schema: dict[str, Any], shape: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in shape:
        shape = schema["components"]["schemas"][shape["$ref"].rsplit("/", 1)[1]]
    return shape


def _filled(schema: dict[str, Any], shape: dict[str, Any], form: str) -> dict[str, object]:
    """A body in which everything that may name a collection does."""
    known = {
        "model": form, "collection": form, "name": form, "collections": [form],
        "vector_store_ids": [form], "vector_store_id": form, "source": "dance.md",
        "messages": [{"role": "user", "content": "What does the round dance give?"}],
        "input": "What does the round dance give?", "question": "What of the round dance?",
        "query": "round dance", "goal": "Tell of the round dance.", "run": form, "file_id": form,
        "file_ids": [form],
    }  # fmt: skip
    needed = set(shape.get("required", ()))
    return {
        field: known.get(field, "x")
        for field in shape.get("properties", {})
        if field in known or field in needed
    }


@settings(
    max_examples=2, deadline=None, phases=[Phase.generate],  # a case is slow to run again
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    names=st.permutations(NAMES),
    more=st.lists(st.sets(st.sampled_from(NAMES)), min_size=3, max_size=3),
    rights=st.sets(st.sampled_from(RIGHTS), min_size=1),
)
def test_no_route_tells(
    every: Path, tmp_path_factory: pytest.TempPathFactory,
    names: list[str], more: list[set[str]], rights: set[str],
) -> None:  # fmt: skip
    """``hidden`` is there in one world only; what else the key may not see is anything in both."""
    hidden, *others = names
    bound = more[0] & set(others)
    mine = more[1] & bound
    worlds = (mine | {hidden}, mine | (more[2] - bound - {hidden}))
    with ExitStack() as stack:
        one, other = (
            stack.enter_context(
                world(every, tmp_path_factory.mktemp("w"), frozenset(present), frozenset(bound),
                      sorted(rights))
            )
            for present in worlds
        )  # fmt: skip
        for method, path, body in requests(one.app.openapi(), [hidden]):
            answers = one.answer(method, path, body), other.answer(method, path, body)
            assert answers[0] == answers[1], (method, path, body)
            assert answers[0][0] < 500 or answers[0][0] == 503, (method, path, body, answers[0])


def test_lists_name_only_what_the_key_sees(every: Path, tmp_path: Path) -> None:
    with world(every, tmp_path, frozenset(NAMES), frozenset({"bees"}), ["read"]) as tenant:
        for path, operations in tenant.app.openapi()["paths"].items():
            if "get" not in operations or "{" in path:
                continue
            status, headers, text = tenant.answer("GET", path)
            assert status < 500 or path == "/readyz"  # there is no chat model
            assert "wasps" not in text + json.dumps(headers), path
            assert "蜜蜂" not in text, path


def test_the_requests_reach_what_they_are_about(every: Path, tmp_path: Path) -> None:
    """Whoever sees a collection gets another answer than who does not, by the same requests."""
    with (
        world(every, tmp_path / "1", frozenset(NAMES), frozenset(NAMES), list(RIGHTS)) as seeing,
        world(every, tmp_path / "2", frozenset(NAMES), frozenset(), list(RIGHTS)) as blind,
    ):
        told: set[str] = set()
        for method, path, body in requests(seeing.app.openapi(), ["bees"]):
            if method in ("DELETE", "PUT", "PATCH"):
                continue
            seen, unseen = (w.answer(method, path, body) for w in (seeing, blind))
            assert seen[0] != 500, (method, path, body)
            if seen != unseen:
                told.add(path)
    assert {
        "/v1/chat/completions",
        "/v1/models",
        "/v1/responses",
        "/v1/models/waggle%2Fbees",
    } <= told
