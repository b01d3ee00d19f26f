"""The house keeps its shape: one direction of imports, heavy ones only where they are needed."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("indexes", "rag", "agents", "cli")
HEAVY = {"torch", "sentence_transformers", "transformers", "openvino", "onnxruntime",
         "faiss", "markitdown", "trafilatura", "pandas", "langchain_openai", "openai",
         "xllamacpp"}  # fmt: skip
PARSERS = {"typer", "click"}
COMMANDS = ROOT / "agents" / "commands"
MOST_LINES = 350
# What `openai-agents` has in its own package `agents`: see docs/decisions/0001-package-names.md.
THEIRS = set(
    re.findall(
        r"\w+",
        "agent agent_output agent_tool_input agent_tool_state apply_diff computer decorators "
        "editor exceptions extensions function_schema guardrail handoffs items lifecycle logger "
        "mcp memory model_settings models prompts realtime repl result retry run run_config "
        "run_context run_error_handlers run_internal run_state sandbox stream_events "
        "strict_schema tool tool_context tool_guardrails tracing usage util version voice",
    )
)


def modules() -> Iterator[tuple[str, Path]]:
    for room in ROOMS[:-1]:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield room, path
    yield "cli", ROOT / "cli.py"


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("room", "path"), list(modules()), ids=lambda v: str(v)[-40:])
def test_imports_go_one_way(room: str, path: Path) -> None:
    above = ROOMS[ROOMS.index(room) + 1 :]
    tree = ast.parse(path.read_text("utf-8"))
    wrong = [name for name in imported(tree) if name.split(".")[0] in above]
    assert not wrong


@pytest.mark.parametrize(("room", "path"), list(modules()), ids=lambda v: str(v)[-40:])
def test_arguments_are_parsed_in_one_place(room: str, path: Path) -> None:
    """Only `cli` and the commands that it assembles know of them, and nobody else of those."""
    if room == "cli" or path.is_relative_to(COMMANDS):
        return
    names = set(imported(ast.parse(path.read_text("utf-8"))))
    assert not {name.split(".")[0] for name in names} & PARSERS
    assert "agents.commands" not in names
    assert not any(name.startswith("agents.commands.") for name in names)


@pytest.mark.parametrize("path", [ROOT / "cli.py", *sorted((ROOT / "agents").rglob("*.py"))],
                         ids=lambda path: path.stem)  # fmt: skip
def test_the_doors_stay_short(path: Path) -> None:
    """Commands pile up here: the next group has a module of its own."""
    assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES


def test_no_name_in_agents_is_one_of_openai_agents() -> None:
    assert not {path.stem for path in (ROOT / "agents").iterdir()} & THEIRS


def test_importing_the_rooms_is_free() -> None:
    code = (
        "import sys, indexes, rag, agents, cli, indexes.collection, rag.answering\n"
        f"print(sorted({HEAVY!r} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("room", "path"), list(modules()), ids=lambda v: str(v)[-40:])
def test_functions_fit_on_a_screen(room: str, path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [f.name for f in functions if (f.end_lineno or 0) - f.lineno > 60]
    assert not long


def test_contributing_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    targets = re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE)
    assert re.findall(r"^\| `make ([a-z-]+)`", contributing, re.MULTILINE) == targets
