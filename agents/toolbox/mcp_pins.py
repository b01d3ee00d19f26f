"""Which tools of which MCP servers the user has approved: ``HOME/agents/mcp.json``.

What a server says of its tools is read by the model as if the user had said it. So the list that it
offers first is remembered, and another one is not used until somebody has looked at it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from indexes.embedding.files import write_atomically
from indexes.errors import WaggleError
from indexes.i18n import t

if TYPE_CHECKING:
    from mcp.types import Tool

FILE: Final = "mcp.json"


class _Pinned(BaseModel):
    """The SHA-256 of each server's tools, by the names of both."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    servers: dict[str, dict[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new, gone and different in a list of tools, by name."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(
            said
            for said, names in (
                (t("new: {names}", names=", ".join(self.added)), self.added),
                (t("gone: {names}", names=", ".join(self.removed)), self.removed),
                (t("changed: {names}", names=", ".join(self.changed)), self.changed),
            )
            if names
        )


def digest_of(tool: "Tool") -> str:
    """The SHA-256 of everything that a server says of a tool."""
    said = tool.model_dump(mode="json", exclude_none=True)
    written = json.dumps(said, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(written.encode("ascii")).hexdigest()


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> Changes | None:
    """What is different between two lists of tools, by name and digest; ``None`` for nothing."""
    if before == now:
        return None
    return Changes(
        tuple(sorted(now.keys() - before.keys())),
        tuple(sorted(before.keys() - now.keys())),
        tuple(sorted(name for name in before.keys() & now.keys() if before[name] != now[name])),
    )


class Pins:
    """The approved lists in ``home``. Several processes may use them."""

    def __init__(self, home: Path) -> None:
        self._path = home / "agents" / FILE

    def changes(self, server: str, offered: Mapping[str, str]) -> Changes | None:
        """What is different from the list that was approved; the first that a server offers is.

        Raises `WaggleError` where the file is damaged."""
        with self._turn():
            pinned = self._read()
            known = pinned.servers.get(server)
            if known is None:
                self._write(pinned, server, offered)
                return None
        return changes(known, offered)

    def approve(self, server: str, offered: Mapping[str, str]) -> None:
        """Take this list for the right one. Raises `WaggleError` where the file is damaged."""
        with self._turn():
            self._write(self._read(), server, offered)

    def _turn(self) -> FileLock:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return FileLock(self._path.with_suffix(".lock"))

    def _read(self) -> _Pinned:
        try:
            return _Pinned.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return _Pinned()
        except ValidationError as error:
            raise WaggleError(
                t(
                    "The file {path} is damaged, so no tool of an MCP server is used. Delete it, "
                    "and look at «waggle agent tools» before you go on.",
                    path=self._path,
                )
            ) from error

    def _write(self, pinned: _Pinned, server: str, offered: Mapping[str, str]) -> None:
        pinned.servers[server] = dict(sorted(offered.items()))
        write_atomically(self._path, pinned.model_dump_json(indent=1).encode())
