"""How long the command takes to begin, against what a command would take that loads everything.

A ratio of medians in one run holds on a slow machine and on a busy one.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Environment = Callable[[], dict[str, str]]

FORBIDDEN = {"torch", "transformers", "sentence_transformers", "langchain", "langchain_core",
             "pandas", "openai", "markitdown", "httpx"}  # fmt: skip


def seconds(code: list[str], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, *code], env=environment, check=True, capture_output=True, timeout=120
    )
    return time.perf_counter() - started


def loaded(arguments: list[str], environment: dict[str, str]) -> set[str]:
    code = (
        "import sys, cli\n"
        f"code = cli.run({arguments!r})\n"
        "print(code, *sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    code_text, *modules = done.stderr.splitlines()[-1].split()
    assert code_text == "0", done.stderr
    return set(modules)


@pytest.mark.parametrize("as_json", [True, False])
def test_search_loads_no_framework(shelf: Path, environment: Environment, as_json: bool) -> None:
    modules = loaded(["search", "bee", *(["--json"] if as_json else [])], environment())
    assert {"faiss", "numpy"} <= modules
    assert not modules & FORBIDDEN
    assert ("rich" in modules) != as_json


def test_list_and_show_load_no_model_runtime(shelf: Path, environment: Environment) -> None:
    runtimes = {"openvino", "onnxruntime", "tokenizers"}
    for arguments in (["list", "--json"], ["show", "honeys.csv"], ["status", "--json"]):
        assert not loaded(arguments, environment()) & (FORBIDDEN | runtimes)


def test_the_agent_s_lists_load_no_framework(shelf: Path, environment: Environment) -> None:
    for arguments in (["agent", "list", "--json"], ["agent", "facts"]):
        assert not loaded(arguments, environment()) & (FORBIDDEN | {"langgraph", "mcp", "pint"})


def test_help_loads_nothing_heavy(environment: Environment) -> None:
    modules = loaded(["--help"], environment())
    assert not modules & (
        FORBIDDEN | {"rag", "apsw", "numpy", "pydantic", "langgraph", "mcp", "opentelemetry"}
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_startup_time(
    shelf: Path, environment: Environment, record_property: Callable[[str, Any], None]
) -> None:
    commands = {
        "sentence_transformers": (["-c", "import sentence_transformers"], 3),
        "waggle --help": (["-m", "cli", "--help"], 5),
        "waggle search": (["-m", "cli", "search", "bees", "--json"], 5),
    }
    for code, _ in commands.values():  # once, so that all files are in the cache
        seconds(code, environment())
    times = {
        name: statistics.median(seconds(code, environment()) for _ in range(rounds))
        for name, (code, rounds) in commands.items()
    }
    base = times["sentence_transformers"]
    for name, value in times.items():
        record_property(name, round(value, 3))
        sys.stdout.write(f"\n{name}: {value:.2f} s, {value / base:.3f} of the import\n")
    assert times["waggle --help"] <= 0.08 * base
    assert times["waggle search"] <= 0.35 * base
