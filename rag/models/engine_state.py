"""What is known of a running engine, and whether it can be trusted."""

import http.client
import json
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from indexes.errors import ModelFileError
from indexes.i18n import t
from rag.models.engine_main import ALIVE_LOCK, STATE_FILE

_HEALTH_SECONDS = 5.0
_PROMPT_CACHE_MIB = 256


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running engine: OpenAI's protocol at ``url`` (ends in ``/v1``)."""

    url: str
    api_key: str = field(repr=False)
    model: str
    pid: int


class Options(BaseModel):
    """What the engine was started with. Another value of any of these needs another engine."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str
    model_path: str
    model_bytes: int
    model_mtime_ns: int
    context: int
    slots: int
    threads: int | None
    cache_mib: int = _PROMPT_CACHE_MIB


class State(BaseModel):
    """The record that the engine's process writes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: int
    ready: bool
    url: str
    api_key: str
    started: float
    options: Options

    def endpoint(self) -> Endpoint:
        return Endpoint(self.url, self.api_key, self.options.model, self.pid)


def options_for(
    model_path: Path, name: str, context: int, slots: int, threads: int | None
) -> Options:
    if not model_path.is_file():
        raise ModelFileError(
            t(
                "The model file {path} is not there. Fetch one with `waggle models pull`.",
                path=model_path,
            )
        )
    status = model_path.stat()
    return Options(
        model=name,
        model_path=str(model_path.resolve()),
        model_bytes=status.st_size,
        model_mtime_ns=status.st_mtime_ns,
        context=context,
        slots=slots,
        threads=threads,
    )


def is_alive(state_dir: Path) -> bool:
    try:
        with FileLock(state_dir / ALIVE_LOCK, mode=0o600, timeout=0):
            return False
    except Timeout:
        return True


def read_state(state_dir: Path) -> State | None:
    try:
        return State.model_validate_json((state_dir / STATE_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def get(state: State, path: str) -> bytes | None:
    """The body of a 200 answer, or ``None``. The loopback is never reached through a proxy."""
    address = urlsplit(state.url)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=_HEALTH_SECONDS
    )
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {state.api_key}"})
        response = connection.getresponse()
        body = response.read()
        return body if response.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def answers(state: State) -> bool:
    body = get(state, "/v1/models")
    try:
        models = json.loads(body or b"{}").get("data", [])
    except ValueError:
        return False
    return any(model.get("id") == state.options.model for model in models)
