"""docs/agent.md teaches by examples: each of them is run, and what is shown is what is written."""

import io
import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from agents.agent_screen import RunScreen
from agents.agent_settings import AgentSettings
from agents.approving import Dialogue
from agents.commands.agent import CODES
from agents.http.own.runs import DecisionsBody, RunBody
from agents.loop.evidence import Evidence
from agents.loop.policy import Policy
from agents.loop.types import Decision, Pending
from agents.terminal import Terminal
from agents.toolbox.kit import toolkit
from agents.toolbox.mcp_settings import McpServer
from agents.toolbox.notes import note_tools
from indexes.collection import Collection
from indexes.settings import TABLES
from rag.answering import RAG
from tests.agents.shown_run import events
from tests.cli.agent_server import Move, acts
from tests.rag.scripted_server import Script, scripted_server
from tests.warmed import python

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"en": ROOT / "docs" / "agent.md", "zh": ROOT / "docs" / "agent.zh.md"}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| (`[^|]+`) \|.*\| (\S+) \|$", re.MULTILINE)
CODE = re.compile(r"^\| (\d+) \| `(\w+)` \|", re.MULTILINE)
QUESTIONS = {"en": "Do it?", "zh": "执行吗？"}
NOTE = ("write_note", {"name": "dance", "text": "He decoded it."})
FACT = ("remember_fact", {"text": "The user keeps Carniolan bees."})

Shown = pytest.CaptureFixture[str]


def blocks(lang: str, kind: str) -> Iterator[str]:
    for match in BLOCK.finditer(PAGES[lang].read_text("utf-8")):
        if match[1] == kind:
            yield match[2]


def commands(lang: str) -> list[str]:
    lines = "".join(blocks(lang, "console")).splitlines()
    assert all(line.startswith("$ waggle ") for line in lines)
    return [line.removeprefix("$ waggle ") for line in lines]


@pytest.fixture
def server() -> Iterator[Script]:
    with scripted_server() as script:
        yield script


@pytest.fixture
def here(tmp_path: Path, examples: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of whoever reads the page."""
    folder = tmp_path / "here"
    shutil.copytree(examples, folder / "examples")
    monkeypatch.chdir(folder)
    return folder


def moves(command: str) -> tuple[Move, ...]:
    """What the model does with a goal of the page."""
    if "calculate" in command:
        return ("calculate", {"expression": "3 km / 20 min to m/s"}), "It is 2.5 m/s."
    if "--json" in command:
        return NOTE, "It is written."
    if "Carniolan" in command or "卡尼鄂拉" in command:
        return FACT, "It is remembered."
    search = ("search_documents", {"query": "Who decoded the waggle dance?"})
    return search, "Karl von Frisch decoded the waggle dance. [1]"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_commands_run(
    lang: str, waggle: Callable[..., Any], home: Path, here: Path, server: Script,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("WAGGLE_HOME", str(home))
    monkeypatch.setenv("WAGGLE_CHAT_URL", server.url)
    run = call = ""
    for line in commands(lang):
        acts(server, *moves(line), closing="Nothing is missing.")
        done = waggle(*shlex.split(line.replace("RUN", run).replace("CALL", call)))
        waits = "--json" in line or "Carniolan" in line or "卡尼鄂拉" in line
        plans = "--mode plan" in line
        assert done.code == 5 if waits else done.code in ((0, 3) if plans else (0,)), (line, done)
        if found := re.search(r"\d{8}-\d{6}-[0-9a-f]{6}", done.err):
            run = found[0]
        if "--json" in line:
            run, call = done.json["run_id"], done.json["pending"][0]["call_id"]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_python_runs(
    lang: str, waggle: Callable[..., Any], library: tuple[Path, Path], server: Script,
    environment: Callable[[], dict[str, str]],
) -> None:  # fmt: skip
    first, second = blocks(lang, "python")
    variables = {"WAGGLE_HOME": str(library[0]), "WAGGLE_CHAT_URL": server.url}
    apiary = {"en": "Linden Lane", "zh": "青石坡"}[lang]
    acts(server, ("hives", {"apiary": apiary}), "There are 12.")
    assert run(first, environment(), variables).splitlines() == [
        "done There are 12.", f"1 hives {{'apiary': '{apiary}'}} 12", "2 None {} There are 12.",
    ]  # fmt: skip
    acts(server, NOTE, "I may not write it down.")
    told = run(second, environment(), variables)
    assert told.startswith("1 write_note {")
    assert "\nasked: write_note {" in told
    assert told.endswith("done I may not write it down.\n")


def run(code: str, environment: dict[str, str], variables: dict[str, str]) -> str:
    done = python(code, ROOT, {**environment, **variables})
    assert done.code == 0, done.err
    return done.out


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_is_shown_is_what_is_written(
    lang: str, capsys: Shown, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WAGGLE_LANG", lang)
    run, asked = blocks(lang, "text")
    terminal = Terminal()
    terminal._err = terminal._stdout()  # as they stand one below the other on a terminal
    RunScreen(terminal).follow(events())
    assert capsys.readouterr().out == run
    pending = waiting(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert Dialogue(terminal).decide(pending) is None
    assert capsys.readouterr().out == f"\n{asked}"


def waiting(folder: Path) -> Pending:
    """The call of the page, as the policy lets it wait."""
    text = "Karl von Frisch decoded it."
    goal = HumanMessage("Write a note.")
    read = ToolMessage(f"It is known: {text}", tool_call_id="call_2", name="search_documents")
    read.additional_kwargs["waggle"] = {"tainted": True}
    call = {"name": "write_note", "args": {"name": "dance", "text": text}, "id": "call_3",
            "type": "tool_call"}  # fmt: skip
    (tool,) = [one for one in note_tools(folder) if one.name == "write_note"]
    judged = Policy("ask", (goal.text,)).judge(
        tool, call, [goal, read, AIMessage("", tool_calls=[call])]
    )
    assert isinstance(judged, Pending)
    assert Decision(judged.call_id, "approve").arguments is None
    return judged


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_names_every_tool_and_code(
    lang: str, collection: Collection, tmp_path: Path
) -> None:
    page = PAGES[lang].read_text("utf-8")
    words = {"read": "读取", "write": "写入", "network": "网络"}
    named = {
        name: effect
        for names, effect in ROW.findall(page)
        for name in re.findall(r"`(\w+)`", names)
    }
    tools = toolkit(RAG(collection), Evidence(), tmp_path, web=True)
    from agents.toolbox.effects import effect_of

    effects = {tool.name: effect_of(tool) for tool in tools} | {"remember_fact": "write"}
    assert named == {
        name: effect if lang == "en" else words[effect] for name, effect in effects.items()
    }
    assert {status: int(code) for code, status in CODE.findall(page)} == CODES


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_settings_are_accepted(lang: str) -> None:
    (text,) = blocks(lang, "toml")
    tables = tomllib.loads(text)
    assert set(tables) <= set(TABLES)
    AgentSettings.model_validate(tables["agent"])
    for server in tables["mcp"].values():
        McpServer.model_validate(server)
    page = PAGES[lang].read_text("utf-8")
    assert all(re.search(rf"\b{name}\b", page) for name in AgentSettings.model_fields)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_requests_are_accepted(lang: str) -> None:
    begun, decided = blocks(lang, "json")
    assert RunBody.model_validate_json(begun).wanted().steps == 8
    assert DecisionsBody.model_validate_json(decided).decisions[0].decision().call_id == "CALL"


def test_both_pages_show_the_same_commands() -> None:
    def bare(lang: str) -> list[str]:
        return [re.sub(r'"[^"]*"', '""', line) for line in commands(lang)]

    assert bare("en") == bare("zh")
    assert len(list(blocks("en", "python"))) == len(list(blocks("zh", "python")))
    assert json.dumps(bare("en")).count("agent") >= 12
