"""``/api/agent/runs``: goals, steps, decisions, and whose runs they are."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.doors.service import Service
from agents.loop.types import Limits
from tests.http.chatting import (
    ANSWER,
    GOAL,
    NOTE,
    SEARCH,
    WRITE,
    Body,
    ChatServer,
    acting,
    call,
    say,
)
from tests.http.serving import NAME, Running, fill_home, opened, running


@pytest.fixture
def api(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as api:
        yield api


def begun(api: httpx.Client, **more: Any) -> Any:
    body = {"collection": NAME, "goal": GOAL, "stream": False, **more}
    response = api.post("/api/agent/runs", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def events(response: httpx.Response) -> list[Any]:
    lines = response.read().decode().splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data:")]


def test_a_run_and_its_end(api: httpx.Client, chat_server: ChatServer) -> None:
    chat_server.message = acting(SEARCH, ANSWER)
    run = begun(api)
    assert (run["status"], run["answer"]) == ("done", "It points to the flowers. [1]")
    assert run["citations"][0]["source"].endswith("dance.md")
    assert [step["tool"] for step in run["steps"]] == ["search_documents", None]
    assert api.get(f"/api/agent/runs/{run['run_id']}").json() == run
    (listed,) = api.get("/api/agent/runs").json()["runs"]
    assert (listed["run_id"], listed["state"], listed["goal"]) == (run["run_id"], "done", GOAL)
    assert listed["collection"] == NAME


def test_each_step_as_it_comes(api: httpx.Client, chat_server: ChatServer) -> None:
    chat_server.message = acting(SEARCH, ANSWER)
    body = {"collection": NAME, "goal": GOAL}
    with api.stream("POST", "/api/agent/runs", json=body) as response:
        told = events(response)
    assert response.headers["content-type"].startswith("text/event-stream")
    kinds = [event["event"] for event in told]
    assert kinds == ["began", "acting", "stepped", "stepped", "ended"]
    assert told[-1]["run"]["run_id"] == told[0]["run_id"]


@pytest.mark.parametrize(
    ("verdict", "error"),
    [
        ({"verdict": "approve"}, None),
        ({"verdict": "reject", "reason": "Not today."}, "Not today."),
        ({"verdict": "edit", "arguments": {**NOTE, "text": "Flowers."}}, None),
    ],
)
def test_a_run_waits_and_is_gone_on_with_by_a_decision(
    verdict: dict[str, Any], error: str | None, api: httpx.Client, chat_server: ChatServer,
    home: Path,
) -> None:  # fmt: skip
    chat_server.message = acting(WRITE, say("Written."))
    run = begun(api)
    assert run["status"] == "waiting_for_approval"
    (pending,) = run["pending"]
    assert (pending["tool"], pending["arguments"]) == ("write_note", NOTE)
    notes = home / "agents" / "runs" / run["run_id"] / "notes"
    assert not notes.exists()
    decisions = [{"call_id": pending["call_id"], **verdict}]
    path = f"/api/agent/runs/{run['run_id']}/decisions"
    with api.stream("POST", path, json={"decisions": decisions}) as response:
        ended = events(response)[-1]["run"]
    assert ended["status"] == "done"
    told = ended["steps"][0]["error"]
    assert (error in told) if error else told is None
    text = verdict.get("arguments", NOTE)["text"]
    written = [file.read_text() for file in notes.glob("*.md")] if notes.exists() else []
    assert written == ([] if error else [text])


def test_decisions_that_fit_nothing(api: httpx.Client, chat_server: ChatServer) -> None:
    chat_server.message = acting(WRITE, say("Written."))
    run = begun(api)
    path = f"/api/agent/runs/{run['run_id']}/decisions"
    (pending,) = run["pending"]
    for decision in ({"call_id": "another", "verdict": "approve"},
                     {"call_id": pending["call_id"], "verdict": "edit"},
                     {"call_id": pending["call_id"], "verdict": "edit",
                      "arguments": {"name": "dance"}},
                     {"call_id": pending["call_id"], "verdict": "approve", "arguments": {}},
                     {"call_id": pending["call_id"], "verdict": "perhaps"}):  # fmt: skip
        response = api.post(path, json={"decisions": [decision]})
        assert response.status_code == 400, decision
        assert response.json()["error"]["message"]
        assert ("write_note(name" in response.text) == ("name" in decision.get("arguments", {}))
    assert api.get(f"/api/agent/runs/{run['run_id']}").json()["status"] == "waiting_for_approval"


def test_who_leaves_frees_the_model_and_leaves_a_run_to_go_on_with(
    server: Running, api: httpx.Client, chat_server: ChatServer
) -> None:
    asked, go_on = threading.Event(), threading.Event()
    move = acting(SEARCH, ANSWER)

    def slow(body: Body) -> Body | None:
        if any(message["role"] == "tool" for message in body["messages"]):
            asked.set()
            go_on.wait(20)
        return move(body)

    chat_server.message = slow
    with api.stream("POST", "/api/agent/runs", json={"collection": NAME, "goal": GOAL}) as response:
        lines = response.iter_lines()
        began = json.loads(next(lines).removeprefix("data: "))
        assert asked.wait(20)
    left = time.monotonic()
    try:
        while server.service.gate.running:
            assert time.monotonic() < left + 1, "its place is not free after a second"
            time.sleep(0.01)
    finally:
        go_on.set()
    listed = api.get("/api/agent/runs").json()["runs"][0]
    assert (listed["run_id"], listed["state"]) == (began["run_id"], "interrupted")
    chat_server.message = move
    path = f"/api/agent/runs/{began['run_id']}/decisions"
    run = api.post(path, json={"stream": False}).json()
    assert (run["status"], run["answer"]) == ("done", "It points to the flowers. [1]")
    assert [step["tool"] for step in run["steps"]] == ["search_documents", None]


def test_a_run_is_deleted_once(api: httpx.Client, chat_server: ChatServer, home: Path) -> None:
    chat_server.message = acting(ANSWER)
    run = begun(api)
    path = f"/api/agent/runs/{run['run_id']}"
    assert api.delete(path).status_code == 204
    assert not (home / "agents" / "runs" / run["run_id"]).exists()
    for response in (api.delete(path), api.get(path), api.post(f"{path}/decisions", json={})):
        assert response.status_code == 404


def test_no_more_than_the_settings_allow(
    api: httpx.Client, chat_server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAGGLE_AGENT_STEPS", "2")
    monkeypatch.setenv("WAGGLE_AGENT_APPROVE", "never")
    monkeypatch.setenv("WAGGLE_AGENT_TOOLS", "calculate,write_note")
    chat_server.message = acting(WRITE, *(call("calculate", expression=f"{n}+1") for n in range(9)))
    run = begun(api, max_steps=50, approve="always")
    assert (run["status"], len(run["steps"])) == ("stopped", 2)
    assert "not allowed" in run["steps"][0]["error"]
    assert len(begun(api, max_steps=1)["steps"]) == 1
    body = {"collection": NAME, "goal": GOAL, "tools": ["search_documents"]}
    assert api.post("/api/agent/runs", json=body).status_code == 403


def test_a_run_goes_on_no_further_than_it_was_to_go(
    api: httpx.Client, chat_server: ChatServer
) -> None:
    chat_server.message = acting(WRITE, *(call("calculate", expression=f"{n}+1") for n in range(9)))
    run = begun(api, max_steps=3)
    decisions = [{"call_id": run["pending"][0]["call_id"], "verdict": "approve"}]
    path = f"/api/agent/runs/{run['run_id']}/decisions"
    ended = api.post(path, json={"decisions": decisions, "stream": False}).json()
    assert (ended["status"], len(ended["steps"])) == ("stopped", 3)
    assert Limits().steps > 3


def test_what_is_wrong_with_a_goal_makes_no_run(api: httpx.Client, chat_server: ChatServer) -> None:
    for more, status in (({"goal": "  "}, 400), ({"tools": ["calculator"]}, 400),
                         ({"collection": "wasps"}, 404), ({"speed": 9}, 400)):  # fmt: skip
        body = {"collection": NAME, "goal": GOAL, **more}
        assert api.post("/api/agent/runs", json=body).status_code == status, more
    assert api.get("/api/agent/runs").json() == {"runs": []}
    assert not chat_server.requests


@pytest.fixture
def keyed(tmp_path: Path, chat_server: ChatServer) -> Iterator[Service]:
    fill_home(tmp_path / "home", NAME, "wasps")
    with opened(tmp_path / "home", chat_server.url, require_key=True) as service:
        yield service


def test_runs_and_facts_belong_to_the_key_that_began_them(
    keyed: Service, chat_server: ChatServer
) -> None:
    fact = "Call the queen Beatrix."
    chat_server.message = acting(call("remember_fact", text=fact), say("I will."))
    rights = ("read", "agent")
    mine = keyed.keys.new("mine", rights, (NAME,))[1]
    other = keyed.keys.new("other", rights, (NAME, "wasps"))[1]
    reader = keyed.keys.new("reader", ("read",), (NAME,))[1]
    with running(keyed) as server, httpx.Client(base_url=server.url, timeout=30) as api:

        def sent(method: str, path: str, secret: str, body: Any = None) -> httpx.Response:
            headers = {"Authorization": f"Bearer {secret}"}
            return api.request(method, path, headers=headers, json=body)

        goal = {"collection": NAME, "goal": f"Remember: {fact}", "stream": False,
                "approve": "always"}  # fmt: skip
        run = sent("POST", "/api/agent/runs", mine, goal).json()
        assert run["steps"][0]["error"] is None
        assert [one["run_id"] for one in sent("GET", "/api/agent/runs", mine).json()["runs"]] == [
            run["run_id"]
        ]
        assert sent("GET", "/api/agent/runs", other).json() == {"runs": []}
        path = f"/api/agent/runs/{run['run_id']}"
        for method, to in (("GET", path), ("DELETE", path), ("POST", f"{path}/decisions")):
            refused = sent(method, to, other, {} if method == "POST" else None)
            absent = sent(method, to.replace(run["run_id"], "20200101-000000-abcdef"), other,
                          {} if method == "POST" else None)  # fmt: skip
            assert refused.status_code == absent.status_code == 404
            name = run["run_id"]
            assert refused.text.replace(name, "") == absent.text.replace(
                "20200101-000000-abcdef", ""
            )
            assert sent(method, to, reader, {} if method == "POST" else None).status_code == 403
        chat_server.requests.clear()
        chat_server.message = acting(ANSWER)
        for secret, knows in ((mine, True), (other, False)):
            sent("POST", "/api/agent/runs", secret, {**goal, "goal": GOAL})
            prompts = json.dumps(chat_server.requests)
            assert ("Beatrix" in prompts) == knows
            chat_server.requests.clear()
        assert sent("POST", "/api/agent/runs", mine, {**goal, "collection": "wasps"}).json() == (
            sent("POST", "/api/agent/runs", mine, {**goal, "collection": "wasps"}).json()
        )
        assert sent("GET", path, mine).status_code == 200
