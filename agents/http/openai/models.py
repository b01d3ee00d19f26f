"""``/v1/models``: each collection is a model, and with the tool loop another one."""

import asyncio
from typing import Literal

from fastapi import APIRouter

from agents.doors.rights import Caller
from agents.doors.service import Service
from agents.http.depending import CallerOf, ServiceOf
from agents.http.openai.naming import Target, target_of, unknown_model
from agents.shapes import Shape

router = APIRouter(tags=["openai"])


class ModelShape(Shape):
    """``created`` is when the collection was made or last changed, in seconds since 1970."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["waggle"] = "waggle"


class ModelsShape(Shape):
    object: Literal["list"] = "list"
    data: tuple[ModelShape, ...]


@router.get("/v1/models")
async def list_models(service: ServiceOf, caller: CallerOf) -> ModelsShape:
    """The models that the key may use."""
    return ModelsShape(data=await asyncio.to_thread(_models, service, caller))


@router.get("/v1/models/{model:path}")
async def get_model(model: str, service: ServiceOf, caller: CallerOf) -> ModelShape:
    """One model."""
    caller.check("read")
    target = target_of(model)
    if target.agent:
        caller.check("agent")
    for one in await asyncio.to_thread(_models, service, caller):
        if one.id == target.model:
            return one
    raise unknown_model(target.model)


def _models(service: Service, caller: Caller) -> tuple[ModelShape, ...]:
    caller.check("read")
    acting = [False, True] if "agent" in caller.rights else [False]
    return tuple(
        ModelShape(id=Target(name, agent).model, created=_created(service, name))
        for name in service.shelf.names(caller)
        for agent in acting
    )


def _created(service: Service, name: str) -> int:
    try:
        return int((service.home / "collections" / name).stat().st_mtime)
    except FileNotFoundError:  # it was deleted a moment ago
        return 0
