"""``/v1/chat/completions``: a conversation, of which the last question is answered."""

import time
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from agents.agent_shapes import event_shape
from agents.http.depending import CallerOf, ServiceOf, Slot, attended
from agents.http.openai.answers import Acted, Part, Piece, Ready
from agents.http.openai.asking import Asking, Numbered
from agents.http.openai.chat_shapes import (
    ChatCompletionShape,
    ChatUsageShape,
    ChoiceShape,
    MessageShape,
)
from agents.http.openai.citing import annotations
from agents.http.openai.naming import target_of
from agents.http.openai.sending import STREAMED
from agents.http.openai.shapes import (
    ChatRequest,
    check_format,
    check_tools,
    stops_of,
    text_of,
)
from agents.http.sse import ServerEvent, events
from rag.conversing import Role, Said, conversation_of
from rag.types import Usage

router = APIRouter()
_ROLES: Mapping[str, Role] = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant"
}  # fmt: skip


@router.post(
    "/v1/chat/completions", response_model=ChatCompletionShape, responses=STREAMED, tags=["openai"]
)
async def complete(
    request: Request, body: ChatRequest, service: ServiceOf, caller: CallerOf, _: Slot
) -> Response:
    """Answer the last question of a conversation from the documents, or act on it. The name of the
    model, ``waggle/NAME`` or ``waggle/NAME/agent``, tells the collection."""
    check_format(body.response_format)
    asking = Asking(
        service, caller, target_of(body.model), conversation_of(_said(body)), body.waggle,
        stops_of(body.stop), check_tools(body.tools, body.tool_choice), body.n or 1,
        body.sampling(),
    )  # fmt: skip
    reply = ChatReply(asking)
    if body.stream:
        parts = await attended(request, asking.parts())
        usage = bool(body.stream_options and body.stream_options.include_usage)
        return events(reply.chunks(parts, usage=usage))
    return JSONResponse(await attended(request, reply.whole()))


def _said(body: ChatRequest) -> list[Said]:
    """The messages; what tools said is left out, for none are called."""
    return [
        Said(_ROLES[message.role], text_of(message.content))
        for message in body.messages
        if message.role in _ROLES
    ]


class ChatReply:
    """A completion, whole or in chunks."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._head: dict[str, Any] = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": asking.target.model,
        }

    async def whole(self) -> dict[str, Any]:
        """The completion, when all its answers are there."""
        ready: dict[int, Ready] = {}
        async with aclosing(await self._asking.parts()) as parts:
            async for number, part in parts:
                if isinstance(part, Ready):
                    ready[number] = part
        choices = tuple(self._choice(number, ready[number]) for number in sorted(ready))
        usage = sum((one.usage for one in ready.values()), Usage())
        whole = ChatCompletionShape(**self._head, choices=choices, usage=ChatUsageShape.of(usage))
        return whole.model_dump(mode="json")

    def _choice(self, number: int, ready: Ready) -> ChoiceShape:
        notes = annotations(ready.text, ready.citations)
        message = MessageShape(content=ready.text, annotations=notes)
        return ChoiceShape(
            index=number, message=message, finish_reason=ready.ended, waggle=ready.details
        )

    async def chunks(self, parts: Numbered, *, usage: bool) -> AsyncGenerator[ServerEvent]:
        """The chunks, and the mark of the end."""
        spent = Usage()
        with_usage = {"usage": None} if usage else {}
        async with aclosing(parts):
            for number in range(self._asking.count):
                start = {"role": "assistant", "content": "", "refusal": None}
                yield self._chunk(_choice(number, start), with_usage)
            async for number, part in parts:
                if isinstance(part, Ready):
                    spent += part.usage
                if (choice := self._changed(number, part)) is not None:
                    yield self._chunk(choice, with_usage)
        if usage:
            total = ChatUsageShape.of(spent).model_dump()
            yield self._chunk(None, {"usage": total})
        yield ServerEvent("[DONE]")

    def _changed(self, number: int, part: Part) -> dict[str, Any] | None:
        """What a part adds to its answer, if it shows."""
        if isinstance(part, Piece):
            return _choice(number, {"content": part.text})
        if isinstance(part, Acted):
            event = event_shape(part.event).model_dump(mode="json")
            return {**_choice(number, {}), "waggle": event}
        if isinstance(part, Ready):
            notes = [one.model_dump(mode="json") for one in annotations(part.text, part.citations)]
            delta = {"annotations": notes} if notes else {}
            details = part.details.model_dump(mode="json")
            return {**_choice(number, delta, part.ended), "waggle": details}
        return None

    def _chunk(self, choice: dict[str, Any] | None, more: Mapping[str, Any]) -> ServerEvent:
        choices = [] if choice is None else [choice]
        kind = "chat.completion.chunk"
        return ServerEvent.of({**self._head, "object": kind, "choices": choices, **more})


def _choice(number: int, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": number, "delta": delta, "logprobs": None, "finish_reason": finish}
