"""Responses that are kept, so that a conversation can go on from one by its id.

``HOME/responses/OF_A_KEY/ID.json``, each bound to the key that asked; of each key the latest ones.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from agents.doors.rights import Caller
from indexes.embedding.files import read_json, write_atomically
from indexes.errors import UnknownItemError
from indexes.i18n import t
from rag.conversing import TURNS, answered
from rag.retrieval.types import Turn

_ID = re.compile(r"resp_[0-9a-f]{32}")
_MOST = 1000
_MOST_BYTES = 64_000_000


class KeptResponse(BaseModel):
    """A response as it was sent, with what was asked: ``input`` are the items of the request, and
    ``said`` its questions with their answers, without what came before ``previous``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    id: str
    key: str
    collection: str
    previous: str | None
    said: tuple[tuple[str, str], ...]
    input: tuple[Mapping[str, Any], ...]
    response: Mapping[str, Any]


class KeptResponses:
    """The responses below ``home``, of each key the latest ``most``, and no more than
    ``most_bytes``. Its methods block."""

    def __init__(self, home: Path, most: int = _MOST, most_bytes: int = _MOST_BYTES) -> None:
        self._folder, self._most, self._most_bytes = home / "responses", most, most_bytes

    def keep(self, kept: KeptResponse) -> None:
        """Store a response, and drop the oldest of its key where there are too many. Raises
        `OSError` where it cannot be written."""
        path = self._path(kept.key, kept.id)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(path, kept.model_dump_json().encode())
        self._prune(path.parent)

    def get(self, caller: Caller, response_id: str) -> KeptResponse:
        """A response of the caller's. Raises `UnknownItemError` for any other one, and for one
        from a collection that the caller does not see any more."""
        path = self._path(caller.key, response_id)
        kept = read_json(path, KeptResponse) if _ID.fullmatch(response_id) else None
        if kept is None or kept.key != caller.key or not caller.sees(kept.collection):
            raise UnknownItemError(
                t("There is no response «{id}» of this key.", id=response_id[:64])
            )
        return kept

    def delete(self, caller: Caller, response_id: str) -> None:
        """Delete a response. Raises as `get` does."""
        self._path(caller.key, self.get(caller, response_id).id).unlink(missing_ok=True)

    def turns(self, caller: Caller, response_id: str) -> tuple[Turn, ...]:
        """The conversation up to a response, as far back as it matters and is still kept. Raises
        as `get` does."""
        kept = self.get(caller, response_id)
        turns = _turns(kept)
        while kept.previous and len(turns) < TURNS:
            try:
                kept = self.get(caller, kept.previous)
            except UnknownItemError:
                break
            turns = _turns(kept) + turns
        return turns[-TURNS:]

    def _path(self, key: str, response_id: str) -> Path:
        owner = hashlib.sha256(key.encode()).hexdigest()[:32]
        return self._folder / owner / f"{response_id}.json"

    def _prune(self, folder: Path) -> None:
        latest = sorted(_sized(folder), reverse=True)
        total = 0
        for number, (_, path, size) in enumerate(latest):
            total += size
            if number >= self._most or total > self._most_bytes:
                path.unlink(missing_ok=True)


def _sized(folder: Path) -> Iterator[tuple[int, Path, int]]:
    """When each response was kept, its file and its bytes; without those that go meanwhile."""
    for path in folder.glob("resp_*.json"):
        with suppress(FileNotFoundError):
            found = path.stat()
            yield found.st_mtime_ns, path, found.st_size


def _turns(kept: KeptResponse) -> tuple[Turn, ...]:
    return tuple(answered(Turn(question, ""), answer) for question, answer in kept.said)
