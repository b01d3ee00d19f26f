"""The server over standard input and output, as desktop assistants and editors start it."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

import anyio
from mcp.server.stdio import stdio_server

from agents.mcp_door.access import Access
from agents.mcp_door.server import made

_BYTES = 1 << 16


def serve(access: Access) -> None:
    """Serve one client, until it closes our input, or SIGINT or SIGTERM comes. Standard output
    carries nothing but the protocol: what libraries and child processes print goes to standard
    error."""
    with _protocol() as (source, writing), _ended_at_will(source) as (reading, end):
        asyncio.run(_served(access, reading, writing, end))


async def _served(access: Access, reading: IO[str], writing: IO[str], end: threading.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows
            asyncio.get_running_loop().add_signal_handler(number, end.set)
    server = made(lambda _: access)
    async with stdio_server(anyio.wrap_file(reading), anyio.wrap_file(writing)) as (
        read,
        write,
    ):
        await server.run(read, write, server.create_initialization_options())


@contextmanager
def _protocol() -> Iterator[tuple[int, IO[str]]]:
    """Standard input and output under other numbers, which no child process inherits; their own
    numbers lead to nothing, and to standard error."""
    sys.stdout.flush()
    source, target = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    with os.fdopen(target, "w", encoding="utf-8", newline="\n") as writing, suppress(OSError):
        yield source, writing


@contextmanager
def _ended_at_will(source: int) -> Iterator[tuple[IO[str], threading.Event]]:
    """What comes from ``source``, whose end also comes when the event is set: nothing else ends a
    read that waits."""
    end, (out, into) = threading.Event(), os.pipe()
    writing = os.fdopen(into, "wb", buffering=0)

    def copy() -> None:
        with suppress(OSError, ValueError):
            while data := os.read(source, _BYTES):
                writing.write(data)
        end.set()

    def close() -> None:
        end.wait()
        writing.close()

    for work in (copy, close):
        threading.Thread(target=work, daemon=True).start()
    try:
        with os.fdopen(out, "r", encoding="utf-8", errors="replace") as reading:
            yield reading, end
    finally:
        end.set()
