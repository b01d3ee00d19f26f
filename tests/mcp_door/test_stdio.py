"""The server over standard input and output, started as assistants start it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client

from tests.mcp_door.clients import object_of, refusal_of, run
from tests.mcp_door.test_http import BEGIN

pytestmark = pytest.mark.timeout(120)  # what waits for input for ever is to fail

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("stdio_program.py")
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "WAGGLE_LANG": "en", "PATH": os.environ["PATH"]}


@asynccontextmanager
async def session_of(*arguments: object) -> AsyncIterator[ClientSession]:
    program = StdioServerParameters(
        command=sys.executable, args=[str(PROGRAM), *map(str, arguments)], env=ENVIRONMENT
    )
    async with stdio_client(program) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        yield session


@contextmanager
def started(*arguments: object) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env=ENVIRONMENT, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def send(process: "subprocess.Popen[bytes]", *messages: dict[str, Any]) -> None:
    assert process.stdin
    for message in messages:
        process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()


def answered(process: "subprocess.Popen[bytes]", number: int) -> dict[str, Any]:
    """The answer to the message of that number; every line is one of the protocol's."""
    assert process.stdout
    while True:
        line = json.loads(process.stdout.readline())
        assert line["jsonrpc"] == "2.0"
        if line.get("id") == number:
            return dict(line)


def call(number: int, tool: str, **arguments: object) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


BEGUN = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def test_nothing_but_the_protocol_goes_out_and_nobody_else_reads(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        send(process, BEGIN)
        answered(process, 1)
        send(process, BEGUN, call(2, "index", text="Bees sleep at noon."))
        assert not answered(process, 2)["result"]["isError"]
        send(process, call(3, "search", query="noon"))
        assert "at noon" in answered(process, 3)["result"]["content"][0]["text"]
        rest, said = process.communicate(timeout=60)
        assert (rest, process.returncode) == (b"", 0)
        for noise in (b"loading", b"a library in C", b"a child"):
            assert noise in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_while_it_waits(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path) as process:
        send(process, BEGIN)
        answered(process, 1)
        process.send_signal(number)
        assert process.wait(30) == 0


def test_a_line_that_is_none_does_not_end_it(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        assert process.stdin
        send(process, BEGIN)
        answered(process, 1)
        process.stdin.write(b"\xff nonsense\n")
        send(process, BEGUN, {"jsonrpc": "2.0", "id": 2, "method": "ping"})
        assert answered(process, 2)["result"] == {}


def test_files_are_read_below_the_folders_alone(tmp_path: Path) -> None:
    lent, secret = tmp_path / "lent", tmp_path / "secret.txt"
    (lent / "sub").mkdir(parents=True)
    (lent / "sub" / "bees.txt").write_text("Bees dance.")
    secret.write_text("canary")
    (lent / "link.txt").symlink_to(secret)
    (lent / "up").symlink_to(tmp_path)

    async def work() -> None:
        async with session_of(tmp_path / "home", lent) as session:
            for path in (secret, lent / "link.txt", lent / "up", lent / ".." / "secret.txt", "~",
                         "/", "a\0b", ""):  # fmt: skip
                done = await session.call_tool("index", {"paths": [str(path)]})
                assert "may not be indexed" in refusal_of(done)
            added = object_of(await session.call_tool("index", {"paths": [str(lent)]}))
            assert added["added"] == 1
            (found,) = object_of(await session.call_tool("search", {"query": "canary"}))["results"]
            assert found["text"] == "Bees dance."
            assert found["url"] == (lent / "sub" / "bees.txt").resolve().as_uri()

    run(work)


def test_without_folders_no_path_is_taken(tmp_path: Path) -> None:
    async def work() -> None:
        async with session_of(tmp_path) as session:
            (tool,) = [one for one in (await session.list_tools()).tools if one.name == "index"]
            assert "paths" not in tool.inputSchema["properties"]
            done = await session.call_tool("index", {"paths": [str(tmp_path)]})
            assert "not usable" in refusal_of(done)

    run(work)
