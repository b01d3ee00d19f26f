"""agent: a goal, worked on step by step, and what is kept of it."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.agent_server import acts
from tests.rag.scripted_server import Script, scripted_server

Command = Callable[..., Any]

GOAL = "Who decoded the waggle dance, and how much is 6*7?"
SEARCH = ("search_documents", {"query": "Who decoded the waggle dance?", "k": 2})
REFUSED = ("search_documents", {"query": "nothing", "k": "many"})
NOTE = ("write_note", {"name": "dance", "text": "Karl von Frisch decoded it."})
ANSWER = "Karl von Frisch decoded the waggle dance. [1]"


@pytest.fixture
def server() -> Iterator[Script]:
    with scripted_server() as script:
        yield script


@pytest.fixture
def agent(waggle: Command, shelf: Path, server: Script, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs ``waggle agent`` with the scripted model."""
    monkeypatch.setenv("WAGGLE_CHAT_URL", server.url)
    return lambda *arguments: waggle("agent", *arguments)


def test_the_steps_and_the_answer(agent: Command, server: Script) -> None:
    acts(server, SEARCH, ("calculate", {"expression": "6*7"}), ANSWER)
    done = agent(GOAL)
    assert done.code == 0, done.err
    assert done.out.startswith(f"{ANSWER}\n\nSources\n[1] ")
    lines = done.err.splitlines()
    assert lines[0].startswith("Run 2")
    assert '1. search_documents(query="Who decoded the waggle dance?", k=2)' in lines
    assert '2. calculate(expression="6*7")' in lines
    (at,) = [n for n, line in enumerate(lines) if line.startswith("2. ")]
    assert "42" in lines[at + 1]
    assert lines[at + 2].endswith(" s, 3 tokens read, 2 written")
    assert lines[-1].startswith("3 steps, ")
    assert agent(GOAL, "--quiet").err == ""


def test_the_json_is_one_object(agent: Command, server: Script) -> None:
    acts(server, SEARCH, ANSWER)
    done = agent(GOAL, "--json")
    assert (done.code, done.err) == (0, "")
    run = done.json
    assert set(run) == {"run_id", "goal", "status", "answer", "citations", "steps", "plan",
                        "usage"}  # fmt: skip
    assert (run["goal"], run["status"], run["answer"]) == (GOAL, "done", ANSWER)
    assert run["citations"][0]["support"] in ("verbatim", "entailed")
    first, last = run["steps"]
    assert list(first) == ["n", "thought", "tool", "arguments", "observation", "error", "seconds"]
    assert (first["n"], first["tool"], first["arguments"]) == (1, *SEARCH)
    assert (last["tool"], last["observation"], last["error"]) == (None, ANSWER, None)
    assert run["usage"]["prompt_tokens"] >= 6


def test_events_as_lines(agent: Command, server: Script) -> None:
    acts(server, SEARCH, ANSWER)
    done = agent(GOAL, "--jsonl")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [e["event"] for e in events] == ["began", "acting", "stepped", "stepped", "ended"]
    assert events[0]["run_id"] == events[-1]["run"]["run_id"]
    assert events[1]["tool"] == events[2]["step"]["tool"] == "search_documents"
    assert events[2]["usage"] == {"prompt_tokens": 3, "completion_tokens": 2}


def test_a_goal_on_standard_input(
    agent: Command, server: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts(server, "It is 42.")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"How much is 6*7?\n"), "utf-8"))
    assert agent("-", "--json").json["goal"] == "How much is 6*7?"


# -- how it ends ---------------------------------------------------------------------------------


def test_a_limit_stops_it(agent: Command, server: Script) -> None:
    acts(server, SEARCH, ("today", {}), ("calculate", {"expression": "1+1"}), closing=ANSWER)
    done = agent(GOAL, "--max-steps", "2", "--json")
    assert done.code == 3
    assert (done.json["status"], len(done.json["steps"])) == ("stopped", 2)
    assert "2" in done.json["reason"]
    assert done.json["answer"]
    again = agent("--resume", done.json["run_id"], "--max-steps", "2")
    assert again.code == 3
    assert f"Go on with it: waggle agent --resume {done.json['run_id']}" in again.err


def test_a_server_that_is_gone(agent: Command, server: Script) -> None:
    acts(server, server.routes.clear, SEARCH)
    done = agent(GOAL, "--json")
    assert done.code == 1
    assert (done.json["status"], len(done.json["steps"])) == ("failed", 1)
    acts(server, ANSWER)
    gone_on = agent("--resume", done.json["run_id"], "--json")
    assert (gone_on.code, gone_on.json["answer"]) == (0, ANSWER)
    assert [step["tool"] for step in gone_on.json["steps"]] == ["search_documents", None]


def test_a_call_waits_until_it_is_decided(agent: Command, server: Script, shelf: Path) -> None:
    acts(server, NOTE, ANSWER)
    done = agent("Note who decoded the dance.", "--json")
    assert (done.code, done.json["status"]) == (5, "waiting_for_approval")
    (pending,) = done.json["pending"]
    assert (pending["tool"], pending["arguments"], pending["effect"]) == (*NOTE, "write")
    run = done.json["run_id"]
    waits = agent("--resume", run)
    assert waits.code == 5
    assert '  text = "Karl von Frisch decoded it."' in waits.err
    assert agent("show", run, "--json").json["pending"] == [pending]
    wrong = agent("--resume", run, "--accept", "other")
    assert (wrong.code, pending["call_id"] in wrong.err) == (2, True)
    accepted = agent("--resume", run, "--accept", pending["call_id"], "--json")
    assert (accepted.code, accepted.json["steps"][0]["error"]) == (0, None)


def test_a_call_that_is_rejected(agent: Command, server: Script) -> None:
    acts(server, NOTE, "I may not write it down.")
    done = agent("Note who decoded the dance.", "--json").json
    call = done["pending"][0]["call_id"]
    rejected = agent("--resume", done["run_id"], "--reject", call, "--json")
    assert rejected.code == 0
    assert rejected.json["steps"][0]["error"]


@pytest.mark.parametrize(("approve", "written"), [("never", False), ("always", True)])
def test_nobody_is_asked(
    agent: Command, server: Script, approve: str, written: bool
) -> None:  # fmt: skip
    acts(server, NOTE, "It is done.")
    done = agent("Note who decoded the dance.", "--approve", approve, "--json")
    assert done.code == 0
    assert (done.json["steps"][0]["error"] is None) == written


def test_an_interruption_is_told_how_to_go_on(
    agent: Command, server: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    import agents.agent_screen as screen

    show = screen.RunScreen._show

    def interrupted(self: Any, event: Any) -> None:
        show(self, event)
        if type(event).__name__ == "Stepped":
            raise KeyboardInterrupt

    acts(server, SEARCH, ANSWER)
    with monkeypatch.context() as patch:
        patch.setattr(screen.RunScreen, "_show", interrupted)
        done = agent(GOAL)
    assert done.code == 130
    (line,) = [line for line in done.err.splitlines() if "--resume" in line]
    run = line.rpartition(" ")[2]
    (listed,) = agent("list", "--json").json["runs"][:1]
    assert (listed["run_id"], listed["state"], listed["goal"]) == (run, "interrupted", GOAL)
    gone_on = agent("--resume", run, "--json")
    assert (gone_on.code, gone_on.json["answer"]) == (0, ANSWER)
    assert len(gone_on.json["steps"]) == 2


# -- what is kept --------------------------------------------------------------------------------


def test_a_run_is_listed_shown_and_done_again(agent: Command, server: Script) -> None:
    acts(server, SEARCH, ANSWER)
    run = agent(GOAL, "--json").json
    name = run["run_id"]
    listed = agent("list")
    (line,) = [line for line in listed.out.splitlines() if line.startswith(name)]
    assert line.split()[1] == "done"
    assert GOAL in line
    shown = agent("show", name, "--json")
    assert (shown.code, shown.json) == (0, run)
    text = agent("show", name).out
    assert run["steps"][0]["observation"].splitlines()[-1] in text
    assert text.count(ANSWER) == 1
    server.routes.clear()
    again = agent("replay", name)
    assert (again.code, again.out) == (0, "The run comes to the same end again.\n"), again.err
    assert agent("replay", name, "--json").json == {"run_id": name, "same": True, "divergences": []}


def test_a_plan_that_waits_is_shown_with_the_task_under_way(agent: Command, server: Script) -> None:
    acts(server, SEARCH, NOTE, "It is written.", closing="Nothing is missing.")
    done = agent("Note who decoded the dance.", "--mode", "plan", "--json")
    assert done.code == 5, done.err
    run = done.json
    assert [(task["n"], task["status"]) for task in run["plan"]] == [(1, "open")]
    assert [(step["tool"], step["task"]) for step in run["steps"]] == [("search_documents", 1)]
    shown = agent("show", run["run_id"], "--json")
    assert shown.json == run
    call = run["pending"][0]["call_id"]
    ended = agent("--resume", run["run_id"], "--accept", call, "--json").json
    assert [step["tool"] for step in ended["steps"]][:2] == ["search_documents", "write_note"]
    assert agent("show", run["run_id"], "--json").json == ended
    text = agent("show", run["run_id"]).out
    assert "Goal: Note who decoded the dance." in text


def test_the_tools_and_what_they_do(agent: Command) -> None:
    tools = {tool["name"]: tool for tool in agent("tools", "--json").json["tools"]}
    assert (tools["search_documents"]["effect"], tools["write_note"]["effect"]) == ("read", "write")
    assert tools["search_documents"]["tainted"]
    assert not tools["calculate"]["tainted"]
    assert "fetch_page" not in tools
    assert "calculate" in agent("tools").out


def test_only_the_tools_that_are_named(agent: Command, server: Script) -> None:
    acts(server, "It is 42.")
    run = agent("6*7?", "--tools", "calculate,today", "--json").json
    offered = [tool["function"]["name"] for tool in server.bodies[-1]["tools"]]
    assert offered == ["calculate", "today"]
    assert agent("replay", run["run_id"]).code == 0
    wrong = agent("6*7?", "--tools", "calculator")
    assert (wrong.code, "calculate" in wrong.err) == (2, True)


def test_facts_are_listed_and_forgotten(agent: Command, server: Script) -> None:
    acts(server, ("remember_fact", {"text": "The user keeps Carniolan bees."}), "I will.")
    done = agent("Remember that I keep Carniolan bees.", "--approve", "always", "--json")
    assert done.json["steps"][0]["error"] is None
    (fact,) = agent("facts", "--json").json["facts"]
    assert fact["text"] == "The user keeps Carniolan bees."
    assert "Carniolan" in agent("facts").out
    assert agent("facts", "--forget", fact["n"]).out == f"Forgotten: {fact['text']}\n"
    assert agent("facts").out == ""
    assert agent("facts", "--forget", fact["n"]).code == 2


# -- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [("", "--resume", "x"), ("--resume", "x", "--mode", "plan"), ("--max-steps", "4"),
     ("--accept", "x", "goal"), ("--json", "list"), ("goal", "--max-steps", "0"),
     ("goal", "--approve", "maybe"), ("show",), ("--resume", "x"),
     ("replay", "x"), (" ",)],
)  # fmt: skip
def test_wrong_usage_is_a_sentence(agent: Command, server: Script, wrong: tuple[str, ...]) -> None:
    acts(server, "Nothing.")
    done = agent(*wrong)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert not server.bodies


def test_a_goal_that_is_the_name_of_a_command(agent: Command, server: Script) -> None:
    acts(server, "There is nothing to list.")
    assert agent("--json", "--", "list").json["goal"] == "list"


def test_the_help_shows_options_and_commands(waggle: Command) -> None:
    for arguments in (("agent", "--help"), ("agent",)):
        shown = waggle(*arguments).out
        assert "--max-steps" in shown
        assert "replay" in shown
        assert "agent run" not in shown
    assert "--max-steps" in waggle("agent", "a goal", "--help").out


def test_without_a_model(waggle: Command, shelf: Path) -> None:
    done = waggle("agent", GOAL)
    assert done.code == 1
    assert "waggle models pull" in done.err


def test_the_settings_reach_the_run(
    agent: Command, server: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "waggle.toml").write_text('[agent]\nsteps = 1\ntools = ["today"]\n')
    monkeypatch.chdir(tmp_path)
    acts(server, ("today", {}), closing="It is late.")
    done = agent("What day is it?", "--json")
    assert (done.code, len(done.json["steps"])) == (3, 1)
    monkeypatch.setenv("WAGGLE_AGENT_STEPS", "none")
    assert agent("What day is it?").code == 2


def kept(agent: Command) -> set[str]:
    """The runs that there are."""
    return {run["run_id"] for run in agent("list", "--json").json["runs"]}


def test_runs_are_removed(agent: Command, server: Script) -> None:
    acts(server, "It is 42.")
    before = kept(agent)
    first, second, third = (agent("6*7?", "--json").json["run_id"] for _ in range(3))
    wrong = agent("remove", first, "20200101-000000-abcdef")
    assert (wrong.code, "no run" in wrong.err) == (2, True)
    assert agent("remove", first, second, "--json").json == {"removed": sorted([first, second])}
    assert kept(agent) == before | {third}
    assert agent("remove", third).out == f"Removed: {third}\n"
    assert agent("show", third).code == 2


def test_a_tool_that_is_not_there_leaves_no_run(agent: Command, server: Script) -> None:
    acts(server, "It is 42.")
    before = kept(agent)
    assert agent("6*7?", "--tools", "calculator").code == 2
    assert kept(agent) == before
