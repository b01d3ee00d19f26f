"""The ``[mcp.NAME]`` tables of the settings: the MCP servers whose tools an agent has."""

import os
import re
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from agents.toolbox.effects import Effect
from indexes.errors import UsageError
from indexes.i18n import t
from indexes.settings import load_settings

_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,24}")
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")


class McpServer(BaseModel):
    """A program that talks over its standard input and output (``command`` with ``args`` and
    ``env``), or an address (``url`` with ``headers``). Values of ``env`` and ``headers`` may name a
    variable of the environment: ``${TOKEN}``. ``effects`` says of its tools, by their own names,
    what they do, where it is not to count as writing (a program) or as telling another machine
    something (an address)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str | None = Field(default=None, min_length=1)
    args: tuple[str, ...] = ()
    env: dict[str, SecretStr] = Field(default_factory=dict)
    url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    effects: dict[str, Effect] = Field(default_factory=dict)
    seconds: float = Field(default=120.0, gt=0, description="the longest that a call may take")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("give either command or url")
        return self

    def effect_of(self, tool: str) -> Effect:
        """What the tool of this name does."""
        return self.effects.get(tool, "write" if self.url is None else "network")


class _McpSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, McpServer]


def load_mcp_servers() -> dict[str, McpServer]:
    """The servers of the settings, by name. Raises `UsageError` that names the offending entry."""
    servers = dict(load_settings(_McpSettings, "mcp").__pydantic_extra__ or {})
    for name in servers:
        if not _NAME.fullmatch(name):
            raise UsageError(
                t(
                    "«{name}» cannot be the name of an MCP server: use at most 24 letters, digits "
                    "and «-».",
                    name=name,
                )
            )
    return servers


def filled(values: dict[str, SecretStr]) -> dict[str, str]:
    """The values with the variables that they name. Raises `UsageError` for one that is not set."""
    return {
        name: _VARIABLE.sub(_value, secret.get_secret_value()) for name, secret in values.items()
    }


def _value(match: re.Match[str]) -> str:
    try:
        return os.environ[match[1]]
    except KeyError as error:
        raise UsageError(
            t("The variable {name} is not set, and the settings name it.", name=match[1])
        ) from error
