"""What is to be written into the settings of assistants and editors, so that they know Waggle."""

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from indexes.errors import UsageError
from indexes.i18n import t

Client = Literal[
    "claude", "claude-code", "codex", "cursor", "gemini", "lm-studio", "vscode", "waggle",
    "windsurf", "zed",
]  # fmt: skip
CLIENTS: Final[tuple[Client, ...]] = get_args(Client)
"""The programs whose settings are known."""
VARIABLE: Final = "WAGGLE_KEY"
"""The variable of the environment in which clients look for the key."""
_READING: Final = {"search": "read", "fetch": "read", "ask": "read"}

Tables = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Program:
    """What a client starts."""

    command: str
    arguments: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a client goes. ``keyed``: it needs a key there."""

    url: str
    keyed: bool


@dataclass(frozen=True, slots=True)
class _Form:
    """How a client wants it: in which file, below which table, what of a program and what of an
    address (``None``: it takes no address in this file)."""

    file: str
    table: str
    program: Callable[[Program], Tables]
    address: Callable[[Address], Tables] | None
    toml: bool = False


def configuration(client: Client, server: Program | Address) -> tuple[str, str]:
    """The file, and what is to be written into it: JSON, or TOML where the client reads that.
    Raises `UsageError` for a client that takes no address in its file."""
    form = _FORMS[client]
    if isinstance(server, Program):
        entry = form.program(server)
    elif form.address is not None:
        entry = form.address(server)
    else:
        raise UsageError(
            t(
                "The file of «{client}» names programs only. Add the address {url} in its window "
                "for connectors, or leave out --http.",
                client=client,
                url=server.url,
            )
        )
    tables: Tables = {form.table: {"waggle": entry}}
    if client == "vscode" and isinstance(server, Address) and server.keyed:
        tables = {"inputs": [_ASKED], **tables}
    if form.toml:
        return form.file, _toml(form.table, entry)
    return form.file, json.dumps(tables, indent=2, ensure_ascii=False)


def own_command() -> tuple[str, list[str]]:
    """The program that starts `waggle` wherever it is started from, and its first arguments:
    desktop programs know of no PATH."""
    beside = Path(sys.executable).with_name("waggle")
    found = str(beside) if beside.is_file() else shutil.which("waggle")
    return (found, []) if found else (sys.executable, ["-m", "cli"])


def _program(server: Program) -> Tables:
    tables: Tables = {"command": server.command, "args": list(server.arguments)}
    return {**tables, "env": dict(server.environment)} if server.environment else tables


def _address(name: str, key: str, **more: str) -> Callable[[Address], Tables]:
    """An address below ``name``; ``key`` is how the client writes the value of `VARIABLE`."""

    def made(server: Address) -> Tables:
        tables: Tables = {**more, name: server.url}
        if server.keyed:
            tables["headers"] = {"Authorization": f"Bearer {key}"}
        return tables

    return made


def _codex(server: Address) -> Tables:
    key = {"bearer_token_env_var": VARIABLE} if server.keyed else {}
    return {"url": server.url, **key}


def _declared(server: Program) -> Tables:
    """With what our agent wants to know of tools: which of them only read."""
    return {**_program(server), "effects": _READING}


def _typed(server: Program) -> Tables:
    return {"type": "stdio", **_program(server)}


_ASKED: Final = {"type": "promptString", "id": VARIABLE, "description": "Waggle", "password": True}
_PLAIN: Final = "${" + VARIABLE + "}"
_ENV: Final = "${env:" + VARIABLE + "}"
_FORMS: Final[Mapping[Client, _Form]] = {
    "claude": _Form("claude_desktop_config.json", "mcpServers", _program, None),
    "claude-code": _Form(".mcp.json", "mcpServers", _typed, _address("url", _PLAIN, type="http")),
    "codex": _Form("~/.codex/config.toml", "mcp_servers", _program, _codex, toml=True),
    "cursor": _Form("~/.cursor/mcp.json", "mcpServers", _program, _address("url", _ENV)),
    "gemini": _Form("~/.gemini/settings.json", "mcpServers", _program, _address("httpUrl", _PLAIN)),
    "lm-studio": _Form("~/.lmstudio/mcp.json", "mcpServers", _program, _address("url", "KEY")),
    "vscode": _Form(
        ".vscode/mcp.json", "servers", _typed,
        _address("url", "${input:" + VARIABLE + "}", type="http"),
    ),
    "waggle": _Form("waggle.toml", "mcp", _declared, _address("url", _PLAIN), toml=True),
    "windsurf": _Form(
        "~/.codeium/windsurf/mcp_config.json", "mcpServers", _program, _address("serverUrl", _ENV)
    ),
    "zed": _Form("~/.config/zed/settings.json", "context_servers", _program,
                 _address("url", "KEY")),
}  # fmt: skip


def _toml(table: str, entry: Tables) -> str:
    """One table, whose values JSON and TOML write alike."""
    lines = [f"[{table}.waggle]"]
    for name, value in entry.items():
        if isinstance(value, dict):
            pairs = ", ".join(f"{key} = {_quoted(one)}" for key, one in value.items())
            lines.append(f"{name} = {{ {pairs} }}")
        else:
            lines.append(f"{name} = {_quoted(value)}")
    return "\n".join(lines)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
