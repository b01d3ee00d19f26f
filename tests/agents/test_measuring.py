"""Measuring the agent: which cases, the run's file, and figures with their intervals."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.measuring.calls import BFCL
from agents.measuring.figuring import changes, scores
from agents.measuring.records import MeasuredRun, MeasuredRuns
from agents.measuring.running import MeasurePlan, choose, measure
from agents.measuring.sets import SETS, set_named
from agents.measuring.types import Case
from indexes.errors import DamagedError, EndpointError, SourceError, UsageError
from rag.evaluation.datasets import half_of
from rag.models.chat import chat_model
from tests.rag.scripted_server import Script, reply, scripted_server, whole

FUNCTION = {
    "name": "bees.count",
    "description": "Counts bees.",
    "parameters": {"type": "dict", "properties": {"hive": {"type": "string"}}, "required": []},
}
STEP = {"thought": "", "action": {"tool": "bees_count", "arguments": {"hive": "Home"}}}
ALL = MeasurePlan("bfcl", None, "all")


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """BFCL's files with few cases of our own."""
    folder = tmp_path / "sets"
    (folder / "bfcl").mkdir(parents=True)
    for file in BFCL.files:
        name = Path(file).stem
        truth = None if "relevance" in name else [{"bees.count": {"hive": ["home"]}}]
        rows = [
            {"id": f"{name}_{n}", "category": name, "functions": [FUNCTION], "ground_truth": truth,
             "messages": [{"role": "user", "content": f"Count hive Home, {name} {n}"}]}
            for n in range(3)
        ]  # fmt: skip
        (folder / file).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted_server() as script:
        answering(script)
        yield script


def answering(script: Script, most: int = -1, failures: int = -1) -> None:
    """The model makes good steps and no native calls; after ``most`` replies its server fails, for
    good or that many times."""
    left, failing = [most], [failures]

    def respond(handler: Any) -> None:
        if left[0] == 0 and failing[0]:
            failing[0] -= 1
            reply(500, {"error": {"message": "gone"}})(handler)
            return
        left[0] -= 1
        native = "tools" in script.bodies[-1]
        reply(200, whole(content="Hm." if native else json.dumps(STEP)))(handler)

    script.answers(respond)


def measured(script: Script, home: Path, plan: MeasurePlan, **options: Any) -> MeasuredRun:
    chat = chat_model(script.url, "measured", "key", max_retries=0)
    return measure(plan, home, chat, **options)


def figures_of(run: MeasuredRun) -> dict[tuple[str, str, str], float]:
    measured_set = set_named("bfcl")
    return {
        (one.trial, one.group, figure.name): figure.value
        for one in scores(run, measured_set)
        for figure in one.figures
    }


def test_every_case_is_done_in_every_way(script: Script, sets: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    plan = replace(ALL, data=sets, concurrency=1)
    run = measured(script, tmp_path, plan, progress=lambda _, done, of: seen.append((done, of)))
    assert (len(run.lines), run.wanted, run.complete) == (48, 48, True)
    assert seen[0] == (0, 48)
    assert seen[-1] == (48, 48)
    found = figures_of(run)
    assert (
        found["json", "simple", "right call"] == found["json", "simple and multiple", "valid"] == 1
    )
    assert found["native", "simple", "right call"] == 0
    assert found["json", "irrelevance", "no call"] == 0
    assert found["native", "irrelevance", "no call"] == 1
    assert ("native", "simple", "valid") not in found
    assert found["json", "simple", "prompt tokens"] == 3
    told = {(one.group, one.name): one for one in changes(run, set_named("bfcl"))}
    pooled = told["simple and multiple", "right call"]
    assert (pooled.first, pooled.second, pooled.difference.mean, pooled.count) == (0, 1, 1, 6)
    assert ("simple", "valid") not in told
    assert MeasuredRuns(tmp_path).read(run.header.run) == run
    header = run.header
    assert (header.model, header.trials, header.way) == ("measured", ("json", "native"), "both")
    assert len(header.code) == len(header.sha256) == 64


def test_a_group_and_a_way_by_themselves(script: Script, sets: Path, tmp_path: Path) -> None:
    plan = MeasurePlan("bfcl/multiple", 2, "all", way="json", data=sets)
    run = measured(script, tmp_path, plan)
    assert run.header.run.startswith("bfcl-multiple-")
    assert {line.group for line in run.lines} == {"multiple"}
    assert [line.trial for line in run.lines] == ["json", "json"]
    with pytest.raises(UsageError, match=r"no group «nothing».*simple, multiple"):
        measured(script, tmp_path, MeasurePlan("bfcl/nothing", data=sets))
    two = MeasurePlan("bfcl/irrelevance,simple", 1, "all", way="json", data=sets)
    assert {line.group for line in measured(script, tmp_path, two).lines} == {
        "irrelevance", "simple",
    }  # fmt: skip
    with pytest.raises(UsageError, match=r"no set «bfc».*gsm8k"):
        measured(script, tmp_path, MeasurePlan("bfc", data=sets))


def test_a_run_that_was_stopped_goes_on(script: Script, sets: Path, tmp_path: Path) -> None:
    plan = MeasurePlan("bfcl/simple", None, "all", way="json", data=sets)
    answering(script, 2)
    with pytest.raises(EndpointError):
        measured(script, tmp_path, plan)
    runs = MeasuredRuns(tmp_path)
    [name] = runs.names()
    before = runs.read(name)
    assert (len(before.lines), before.complete) == (2, False)
    file = runs.folder / f"{name}.jsonl"
    file.write_bytes(file.read_bytes() + b'{"kind": "case", "tri')
    answering(script)
    asked = len(script.bodies)
    after = measured(script, tmp_path, MeasurePlan.of(before.header, 1, sets), resume=name)
    assert len(script.bodies) == asked + 1
    assert after.complete
    assert after.lines[:2] == before.lines
    assert runs.names() == [name]


def test_a_case_is_tried_twice(script: Script, sets: Path, tmp_path: Path) -> None:
    plan = MeasurePlan("bfcl/simple", None, "all", way="json", data=sets)
    answering(script, most=1, failures=1)
    assert measured(script, tmp_path, plan).complete
    answering(script, most=0, failures=2)
    with pytest.raises(EndpointError):
        measured(script, tmp_path, plan)


def test_a_run_about_something_else_does_not(script: Script, sets: Path, tmp_path: Path) -> None:
    plan = MeasurePlan("bfcl/simple", 1, "all", way="json", data=sets)
    name = measured(script, tmp_path, plan).header.run
    with pytest.raises(UsageError, match="seed"):
        measured(script, tmp_path, replace(plan, seed=5), resume=name)
    file = sets / BFCL.files[1]
    file.write_text(file.read_text().replace("Home", "House"))
    with pytest.raises(UsageError, match="sha256"):
        measured(script, tmp_path, plan, resume=name)


def test_files_that_are_no_set(script: Script, sets: Path, tmp_path: Path) -> None:
    (sets / BFCL.files[0]).write_text("{}\n")
    with pytest.raises(SourceError, match="not as expected"):
        measured(script, tmp_path, replace(ALL, data=sets))
    runs = MeasuredRuns(tmp_path)
    runs.folder.mkdir(parents=True)
    (runs.folder / "other.jsonl").write_text('{"kind": "run"}\n')
    with pytest.raises(DamagedError, match="other"):
        runs.read("other")


@given(st.integers(1, 30), st.integers(0, 3))
def test_fewer_cases_are_a_part_of_more(limit: int, seed: int) -> None:
    cases = [Case(f"{group}{n}", {}, group) for n in range(60) for group in "ab"]
    few, more = (
        {case.id for case in choose(cases, MeasurePlan("x", size, "tune", seed))}
        for size in (limit, limit + 3)
    )
    assert few < more or len(few) == len(more) == 2 * len([c for c in cases if c.group == "a"])
    assert all(half_of(one) == "tune" for one in more)
    backwards = choose(cases[::-1], MeasurePlan("x", limit, "tune", seed))
    assert {case.id for case in backwards} == few
    chosen = choose(cases, MeasurePlan("x", limit, "tune", seed))
    assert [case.group for case in chosen[:4]] == ["a", "b", "a", "b"][: len(chosen)]


@pytest.mark.parametrize("name", SETS)
def test_every_set_is_there_under_its_name(name: str) -> None:
    found = set_named(name)
    assert found.name == name
    assert found.figures
    assert found.files
