"""Whether the service lives, and whether it can answer."""

import asyncio
import os
import time
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from agents.doors.service import Service
from indexes.errors import WaggleError
from rag.models.chat import key_of, list_models, server_of

router = APIRouter(tags=["health"])

State = Literal["ok", "missing", "failed"]

_FRESH_SECONDS = 2.0
_MODEL_SECONDS = 3.0


class Health(BaseModel):
    """The process runs and its event loop turns."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether questions can be answered, and what is amiss. It names no collection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ready: bool
    ending: bool
    storage: State
    embedder: State
    chat: State


class Examining:
    """Looks at what an answer needs: at most every few seconds, however often it is asked."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._task: asyncio.Task[Readiness] | None = None
        self._begun = 0.0

    async def found(self) -> Readiness:
        """What there is to say now."""
        if self._service.ending.is_set() or self._task is None or self._stale(self._task):
            self._task = asyncio.create_task(asyncio.to_thread(examine, self._service))
            self._begun = time.monotonic()
        return await asyncio.shield(self._task)

    def _stale(self, task: "asyncio.Task[Readiness]") -> bool:
        return task.done() and time.monotonic() - self._begun > _FRESH_SECONDS


@router.get("/healthz")
async def healthz() -> Health:
    """Whether the service lives."""
    return Health()


@router.get("/readyz", responses={503: {"model": Readiness}})
async def readyz(request: Request, response: Response) -> Readiness:
    """Whether the service can answer: 503 where the disk cannot be written, a model is missing or
    does not answer, or the service is about to end."""
    examining: Examining = request.app.state.examining
    found = await examining.found()
    response.status_code = 200 if found.ready else 503
    response.headers["Cache-Control"] = "no-store"
    return found


def examine(service: Service) -> Readiness:
    """Look at what an answer needs; may take seconds, and longer where a model has to be loaded."""
    ending = service.ending.is_set()
    if ending:
        return Readiness(ready=False, ending=True, storage="ok", embedder="ok", chat="ok")
    storage, embedder, chat = _storage(service), _embedder(service), _chat(service)
    ready = (storage, embedder, chat) == ("ok", "ok", "ok")
    return Readiness(ready=ready, ending=False, storage=storage, embedder=embedder, chat=chat)


def _storage(service: Service) -> State:
    if not service.uploads.works():
        return "failed"
    probe = service.home / f".ready-{os.getpid()}"
    try:
        probe.write_bytes(b"ok")
        probe.unlink()
    except OSError:
        return "failed"
    return "ok"


def _embedder(service: Service) -> State:
    try:
        service.shelf.embedder().embed_query("ready")
    except WaggleError:
        return "failed"
    return "ok"


def _chat(service: Service) -> State:
    try:
        chat = service.shelf.chat()
        if chat is None:
            return "missing"
        if (server := server_of(chat)) is not None:
            list_models(server[0], key_of(chat), _MODEL_SECONDS)
    except WaggleError:
        return "failed"
    return "ok"
