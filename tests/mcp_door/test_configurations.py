"""Each configuration is read by what reads such a file, and names the same server."""

import json
import tomllib
from typing import Any

import pytest

from agents.mcp_door.configurations import CLIENTS, Address, Client, Program, configuration
from indexes.errors import UsageError

PROGRAM = Program("/opt/waggle", ("mcp", "--home", '/home/蜜 "bees"'), {})
KEYED = Address("https://docs.example.org/mcp", keyed=True)


def read(client: Client, server: Program | Address) -> dict[str, Any]:
    file, text = configuration(client, server)
    tables: dict[str, Any] = (tomllib if file.endswith(".toml") else json).loads(text)
    inner = {name: table for name, table in tables.items() if name != "inputs"}
    ((entry,),) = [table.values() for table in inner.values()]
    return dict(entry)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_program_is_started_with_its_arguments(client: Client) -> None:
    entry = read(client, PROGRAM)
    assert entry["command"] == PROGRAM.command
    assert entry["args"] == list(PROGRAM.arguments)


@pytest.mark.parametrize("client", [one for one in CLIENTS if one != "claude"])
def test_an_address_is_reached_with_its_key(client: Client) -> None:
    entry = read(client, KEYED)
    assert KEYED.url in entry.values()
    told = entry.get("bearer_token_env_var") or entry["headers"]["Authorization"]
    assert "KEY" in told
    assert "KEY" not in json.dumps(read(client, Address(KEYED.url, keyed=False)))


def test_a_file_for_programs_alone_is_told_of() -> None:
    with pytest.raises(UsageError, match=KEYED.url):
        configuration("claude", KEYED)
