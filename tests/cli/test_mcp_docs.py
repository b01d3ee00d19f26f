"""docs/mcp.md teaches by examples: each of them is run, and what is shown is what is written."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.mcp_door.configurations import CLIENTS, Client, Program, configuration
from tests.http.serving import NAME, fill_home, opened, running

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "mcp.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

Environment = Callable[[], dict[str, str]]


def blocks(kind: str) -> Iterator[str]:
    return (match[2] for match in BLOCK.finditer(PAGE) if match[1] == kind)


def test_the_commands_show_what_programs_read(
    waggle: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAGGLE_HOME", str(home))
    shown = set()
    for line in "".join(blocks("console")).splitlines():
        arguments = shlex.split(line.removeprefix("$ waggle "))
        done = waggle(*arguments)
        assert done.code == 0, (line, done)
        client = arguments[arguments.index("--config") + 1]
        shown.add(client)
        text = done.out
        tables = tomllib.loads(text) if client in ("codex", "waggle") else json.loads(text)
        assert "waggle" in next(table for name, table in tables.items() if name != "inputs")
        named = "http://127.0.0.1:8400/mcp" if "--http" in arguments else str(home)
        assert named in text
        assert [option for option in ("--write", "--folder") if option in text] == [
            option for option in arguments if option in ("--write", "--folder")
        ]
    assert shown == set(CLIENTS)


def test_the_configuration_is_as_shown() -> None:
    (shown,) = blocks("json")
    program = Program(
        "/usr/local/bin/waggle", ["mcp", "--home", "/home/me/.local/share/waggle"], {}
    )
    client: Client = "claude"
    assert configuration(client, program) == ("claude_desktop_config.json", shown.rstrip())


def test_the_python_runs(
    library: tuple[Path, Path], tmp_path: Path, environment: Environment
) -> None:
    starting, going = blocks("python")
    variables = environment()
    program = tmp_path / "bin" / "waggle"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\nexport WAGGLE_HOME='{library[0]}' PYTHONPATH='{ROOT}'\n"
        f"exec '{sys.executable}' -m cli \"$@\"\n"
    )
    program.chmod(0o700)
    path = f"{program.parent}:{variables['PATH']}"
    assert run(starting, {**variables, "PATH": path}) == "The waggle dance\n"
    fill_home(tmp_path, NAME)
    with opened(tmp_path, None) as service, running(service) as server:
        going = going.replace("http://127.0.0.1:8400", server.url)
        assert run(going, variables) == "['ask', 'fetch', 'index', 'search'] True\n"


def run(code: str, variables: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--http", "--write"], "the key says"),
        (["--port", "8401"], "for --http"),
        (["--config", "claude", "--http"], "connectors"),
    ],
)
def test_what_does_not_go_together_is_told(
    waggle: Callable[..., Any], home: Path, arguments: list[str], said: str
) -> None:
    done = waggle("mcp", *arguments, "--home", home)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
