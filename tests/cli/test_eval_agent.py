"""``waggle eval agent``, over cases of our own and a scripted chat server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.measuring.calls import ACEBENCH_EN
from tests.cli.conftest import Command
from tests.rag.scripted_server import Script, reply, scripted_server, whole

FUNCTION = {
    "name": "count_bees",
    "description": "Counts bees.",
    "parameters": {"type": "object", "properties": {"hive": {"type": "string"}}, "required": []},
}
STEP = {"thought": "", "action": {"tool": "count_bees", "arguments": {"hive": "Home"}}}


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    folder = tmp_path / "sets"
    (folder / "acebench").mkdir(parents=True)
    rows = [
        {"id": f"bee-{n}", "category": category, "question": "user: Count hive Home\n", "time": "",
         "functions": [FUNCTION], "ground_truth": truth}
        for n, (category, truth) in enumerate(
            [("normal_similar_api", {"count_bees": {"hive": "home"}}),
             ("special_irrelevant", "That cannot be done."),
             ("normal_similar_api", {"count_bees": {"hive": "Away"}})]
        )
    ]  # fmt: skip
    (folder / ACEBENCH_EN.files[0]).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[Script]:
    monkeypatch.setenv("WAGGLE_HOME", str(home))
    with scripted_server() as script:
        script.models({"id": "bee", "object": "model"})
        script.answers(answering(script))
        monkeypatch.setenv("WAGGLE_CHAT_URL", script.url)
        monkeypatch.setenv("WAGGLE_CHAT_MAX_RETRIES", "0")
        yield script


def answering(script: Script) -> Any:
    def respond(handler: Any) -> None:
        native = "tools" in script.bodies[-1]
        reply(200, whole(content="Hm." if native else json.dumps(STEP)))(handler)

    return respond


def figure(shape: dict[str, Any], trial: str, group: str, name: str) -> dict[str, Any]:
    [found] = [
        one
        for scores in shape["scores"]
        if (scores["pipeline"], scores["group"]) == (trial, group)
        for one in scores["figures"]
        if one["name"] == name
    ]
    assert isinstance(found, dict)
    return found


def test_a_set_in_both_ways(waggle: Command, script: Script, sets: Path) -> None:
    done = waggle("eval", "agent", "acebench-en", "--half", "all", "--data", sets, "--json")
    assert done.code == 0, done.err
    [shape] = done.json["measured"]
    assert (shape["model"], shape["outcomes"], shape["complete"]) == ("bee", 6, True)
    right = figure(shape, "json", "similar_api", "right call")
    assert (right["value"], right["count"]) == (0.5, 2)
    assert right["low"] <= 0.5 <= right["high"]
    assert figure(shape, "native", "similar_api", "right call")["value"] == 0
    assert figure(shape, "json", "irrelevant", "no call")["value"] == 0
    [comparison] = shape["comparisons"]
    assert (comparison["first"], comparison["second"]) == ("native", "json")
    [change] = [one for one in comparison["changes"] if one["name"] == "right call"]
    assert change["difference"]["mean"] == 0.5
    assert Path(shape["file"]).is_file()


def test_a_run_is_shown_listed_and_gone_on_with(
    waggle: Command, script: Script, sets: Path
) -> None:
    options = ("--half", "all", "--way", "json", "--data", sets)
    first = waggle("eval", "agent", "acebench-en/similar_api", *options)
    assert first.code == 0, first.err
    assert "right call" in first.out
    assert "0.500 [" in first.out
    name = Path(first.out.strip().splitlines()[-1].split()[-1]).stem
    assert waggle("eval", "agent", "--show", name).out == first.out
    [listed] = waggle("eval", "agent", "--list", "--json").json["runs"]
    assert (listed["run"], listed["outcomes"], listed["wanted"]) == (name, 2, 2)
    assert waggle("eval", "--list", "--json").json["runs"] == []
    asked = len(script.bodies)
    again = waggle("eval", "agent", "--resume", name, "--data", sets)
    assert again.out == first.out
    assert len(script.bodies) == asked


def test_a_run_whose_server_fails_is_kept(waggle: Command, script: Script, sets: Path) -> None:
    script.answers(reply(500, {"error": {"message": "gone"}}))
    options = ("--half", "all", "--way", "json", "--data", sets)
    failed = waggle("eval", "agent", "acebench-en", *options)
    assert failed.code == 1
    assert "waggle eval agent --resume acebench-en-" in failed.err
    name = failed.err.split("--resume ")[1].split()[0]
    script.answers(answering(script))
    done = waggle("eval", "agent", "--resume", name, "--data", sets)
    assert done.code == 0, done.err
    assert "0.500 [" in done.out


def test_what_cannot_be_measured(waggle: Command, script: Script, sets: Path) -> None:
    unknown = waggle("eval", "agent", "bfc")
    assert unknown.code == 2
    assert "bfcl, acebench-en" in unknown.err
    assert waggle("eval", "agent").code == 2
    assert waggle("eval", "agent", "bfcl", "--list").code == 2
    group = waggle("eval", "agent", "acebench-en/none", "--data", sets)
    assert group.code == 2
    assert "similar_api, irrelevant" in group.err
    assert waggle("eval", "--limit", 3, "agent").code == 2
