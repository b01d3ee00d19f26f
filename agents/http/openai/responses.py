"""``/v1/responses``: a question, or a conversation that goes on from an earlier response."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError

from agents.doors.filters import where_of
from agents.doors.rights import Caller
from agents.doors.service import Service
from agents.http.depending import CallerOf, ServiceOf, Slot, attended
from agents.http.openai.asking import Asking
from agents.http.openai.kept import KeptResponses
from agents.http.openai.naming import Target, target_of
from agents.http.openai.replying import ResponseReply, input_items, said
from agents.http.openai.response_shapes import (
    DeletedShape,
    InputItemShape,
    InputItemsShape,
    ResponseShape,
)
from agents.http.openai.sending import STREAMED
from agents.http.openai.shapes import (
    FileSearch,
    ResponseRequest,
    WaggleOptions,
    check_format,
    check_tools,
)
from agents.http.sse import events
from indexes.errors import UsageError
from indexes.i18n import t
from rag.conversing import Said, conversation_of

router = APIRouter(tags=["openai"])


@router.post("/v1/responses", response_model=ResponseShape, responses=STREAMED)
async def respond(
    request: Request, body: ResponseRequest, service: ServiceOf, caller: CallerOf, _: Slot
) -> Response:
    """Answer a question from the documents, or act on it. The name of the model, ``waggle/NAME`` or
    ``waggle/NAME/agent``, tells the collection. A response is kept unless ``store`` is false, and
    ``previous_response_id`` goes on from it."""
    reply = await _reply(body, service, caller)
    if body.stream:
        parts = await attended(request, reply.asking.parts())
        return events(reply.events(parts))
    return JSONResponse(await attended(request, reply.whole()))


@router.get("/v1/responses/{response_id}", response_model=ResponseShape)
async def get_response(response_id: str, service: ServiceOf, caller: CallerOf) -> Response:
    """A response that was kept."""
    caller.check("read")
    kept = await asyncio.to_thread(KeptResponses(service.home).get, caller, response_id)
    return JSONResponse(kept.response)


@router.delete("/v1/responses/{response_id}")
async def delete_response(response_id: str, service: ServiceOf, caller: CallerOf) -> DeletedShape:
    """Forget a response. What went on from it does not remember it any more."""
    caller.check("read")
    await asyncio.to_thread(KeptResponses(service.home).delete, caller, response_id)
    return DeletedShape(id=response_id)


@router.get("/v1/responses/{response_id}/input_items")
async def list_input(response_id: str, service: ServiceOf, caller: CallerOf) -> InputItemsShape:
    """The messages that a response answers."""
    caller.check("read")
    kept = await asyncio.to_thread(KeptResponses(service.home).get, caller, response_id)
    items = tuple(InputItemShape.model_validate(item) for item in kept.input)
    ends = (items[0].id, items[-1].id) if items else ("", "")
    return InputItemsShape(data=items, first_id=ends[0], last_id=ends[1])


async def _reply(body: ResponseRequest, service: Service, caller: Caller) -> ResponseReply:
    """Raises `UsageError` for what cannot be had here."""
    caller.check("read")
    _check(body)
    target, items = target_of(body.model), input_items(body.input)
    messages = [Said("system", body.instructions)] if body.instructions else []
    messages += map(said, items)
    kept = KeptResponses(service.home)
    earlier = (
        await asyncio.to_thread(kept.turns, caller, body.previous_response_id)
        if body.previous_response_id
        else ()
    )
    asking = Asking(
        service, caller, target, conversation_of(messages, earlier), _options(body, target),
        notices=check_tools(body.tools, body.tool_choice), sampling=body.sampling(),
    )  # fmt: skip
    return ResponseReply(asking, body, items, kept)


def _check(body: ResponseRequest) -> None:
    check_format(body.text.format if body.text else None)
    for name in ("background", "conversation", "prompt"):
        if getattr(body, name):
            raise UsageError(
                t("«{name}» is not offered here: leave it out. A conversation goes on with "
                  "previous_response_id.", name=name)
            )  # fmt: skip


def _options(body: ResponseRequest, target: Target) -> WaggleOptions:
    """The request's own options, and what its tool for searching files asks for."""
    options = body.waggle
    for tool in body.tools or ():
        if tool.get("type") == "file_search":
            options = _narrowed(options, _file_search(tool), target)
    return options


def _file_search(tool: Mapping[str, Any]) -> FileSearch:
    try:
        return FileSearch.model_validate(tool)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("tools", *first["loc"])))
        raise UsageError(
            t("«{name}» is not usable: {reason}.", name=place, reason=first["msg"])
        ) from error


def _narrowed(options: WaggleOptions, tool: FileSearch, target: Target) -> WaggleOptions:
    """Raises `UsageError` for another vector store than that of the collection."""
    store = f"vs_{target.collection}"
    if tool.vector_store_ids not in ([], [store]):
        raise UsageError(
            t("The model {model} answers from the vector store {store} alone: name no other in "
              "file_search.", model=target.model, store=store)
        )  # fmt: skip
    filters = where_of(tool.filters) if tool.filters else None
    both = [f"({one})" for one in (options.where, filters) if one]
    return options.model_copy(
        update={"k": options.k or tool.max_num_results, "where": " and ".join(both) or None}
    )
