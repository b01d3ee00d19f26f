"""A response on its way: as a whole, or as the events of a stream."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Literal

from agents.doors.upload_names import file_id_of
from agents.http.openai.answers import Found, Piece, Ready
from agents.http.openai.asking import Asking, Numbered
from agents.http.openai.citing import annotations
from agents.http.openai.kept import KeptResponse, KeptResponses
from agents.http.openai.response_shapes import (
    ErrorShape,
    FileSearchShape,
    FoundShape,
    IncompleteShape,
    InputItemShape,
    InputTextShape,
    OutputMessageShape,
    OutputTextShape,
    ResponseShape,
    ResponseUsageShape,
)
from agents.http.openai.shapes import InputItem, ResponseRequest, text_of
from agents.http.sse import ServerEvent
from agents.shapes import Shape
from indexes.errors import UsageError, WaggleError
from indexes.i18n import t
from indexes.shown import filename_of
from indexes.types import SearchResult
from rag.conversing import Said, conversation_of

_RESULTS = "file_search_call.results"
_log = logging.getLogger("waggle.http")

_Told = AsyncGenerator[tuple[str, dict[str, Any]]]
"""Types of events, each with what it tells."""


def input_items(given: str | Sequence[InputItem]) -> tuple[InputItemShape, ...]:
    """The messages of a request. Raises `UsageError` for a reference to what is not kept here, and
    for what is not text."""
    items = [InputItem(role="user", content=given)] if isinstance(given, str) else given
    if any(item.type == "item_reference" for item in items):
        raise UsageError(
            t("A reference to an item cannot be followed: send the message itself, or "
              "previous_response_id.")
        )  # fmt: skip
    return tuple(_item(item) for item in items if item.type == "message" and item.role)


def _item(item: InputItem) -> InputItemShape:
    kind: Any = "output_text" if item.role == "assistant" else "input_text"
    content = (InputTextShape(type=kind, text=text_of(item.content)),)
    return InputItemShape.model_validate({"id": _new("msg"), "role": item.role, "content": content})


def said(item: InputItemShape) -> Said:
    """The message of an item."""
    text = "\n".join(part.text for part in item.content)
    return Said("system" if item.role == "developer" else item.role, text)


class ResponseReply:
    """A response, whole or as events."""

    def __init__(
        self,
        asking: Asking,
        body: ResponseRequest,
        items: Sequence[InputItemShape],
        kept: KeptResponses,
    ) -> None:
        self.asking, self._body, self._items, self._kept = asking, body, items, kept
        self._id, self._message_id, self._search_id = _new("resp"), _new("msg"), _new("fs")
        self._created = int(time.time())
        self._include = body.include or []
        asked = any(tool.get("type") == "file_search" for tool in body.tools or ())
        self._tells_search = asked or _RESULTS in self._include
        self._output: list[OutputMessageShape | FileSearchShape] = []

    async def whole(self) -> dict[str, Any]:
        """The response, when it is complete. It is kept, unless that is not wanted."""
        async with aclosing(await self.asking.parts()) as parts:
            async for _, part in parts:
                if isinstance(part, Found) and self._tells_search:
                    self._output.append(self._search(part.contexts))
                elif isinstance(part, Ready):
                    self._output.append(self._message(part))
                    return await self._completed(part)
        raise AssertionError("an answer ends with Ready")

    async def events(self, parts: Numbered) -> AsyncGenerator[ServerEvent]:
        """The events, numbered from 0. Where the answer fails, the last one tells why."""
        number = -1
        async with aclosing(self._told(parts)) as told:
            async for kind, fields in told:
                number += 1
                event = {"type": kind, "sequence_number": number, **fields}
                yield ServerEvent.of(event, kind)

    async def _told(self, parts: Numbered) -> _Told:
        started = False
        async with aclosing(parts):
            yield "response.created", {"response": self._shape("in_progress")}
            yield "response.in_progress", {"response": self._shape("in_progress")}
            try:
                async for _, part in parts:
                    if isinstance(part, Found) and self._tells_search:
                        for event in self._search_events(part.contexts):
                            yield event
                    if isinstance(part, Piece | Ready) and not started:
                        started = True
                        for event in self._begin_events():
                            yield event
                    if isinstance(part, Piece):
                        more = {**self._place(), "delta": part.text, "logprobs": []}
                        yield "response.output_text.delta", more
                    elif isinstance(part, Ready):
                        for event in self._end_events(part):
                            yield event
                        response = await self._completed(part)
                        yield f"response.{response['status']}", {"response": response}
            except WaggleError as error:
                failed = ErrorShape(code="server_error", message=str(error))
                yield "response.failed", {"response": self._shape("failed", error=failed)}

    # -- events ------------------------------------------------------------------------------

    def _search_events(self, contexts: Sequence[SearchResult]) -> list[tuple[str, dict[str, Any]]]:
        begun = FileSearchShape(
            id=self._search_id, status="in_progress", queries=(self.asking.conversation.question,)
        )
        done = self._search(contexts)
        place = {"output_index": 0, "item_id": self._search_id}
        self._output.append(done)
        return [
            ("response.output_item.added", {"output_index": 0, "item": _json(begun)}),
            ("response.file_search_call.in_progress", place),
            ("response.file_search_call.searching", place),
            ("response.file_search_call.completed", place),
            ("response.output_item.done", {"output_index": 0, "item": _json(done)}),
        ]

    def _begin_events(self) -> list[tuple[str, dict[str, Any]]]:
        item = OutputMessageShape(id=self._message_id, status="in_progress", content=())
        at = {"output_index": len(self._output)}
        return [
            ("response.output_item.added", {**at, "item": _json(item)}),
            ("response.content_part.added",
             {**self._place(), "part": _json(OutputTextShape(text=""))}),
        ]  # fmt: skip

    def _end_events(self, ready: Ready) -> list[tuple[str, dict[str, Any]]]:
        place, message = self._place(), self._message(ready)
        part = message.content[0]
        told = [
            ("response.output_text.annotation.added",
             {**place, "annotation_index": n, "annotation": _json(one)})
            for n, one in enumerate(part.annotations)
        ]  # fmt: skip
        told += [
            ("response.output_text.done", {**place, "text": part.text, "logprobs": []}),
            ("response.content_part.done", {**place, "part": _json(part)}),
            ("response.output_item.done",
             {"output_index": place["output_index"], "item": _json(message)}),
        ]  # fmt: skip
        self._output.append(message)
        return told

    def _place(self) -> dict[str, Any]:
        index = len(self._output)
        return {"item_id": self._message_id, "output_index": index, "content_index": 0}

    # -- shapes ------------------------------------------------------------------------------

    def _message(self, ready: Ready) -> OutputMessageShape:
        notes = annotations(ready.text, ready.citations)
        part = OutputTextShape(text=ready.text, annotations=notes)
        return OutputMessageShape(id=self._message_id, status=_status(ready), content=(part,))

    def _search(self, contexts: Sequence[SearchResult]) -> FileSearchShape:
        results = tuple(map(self._found, contexts)) if _RESULTS in self._include else None
        question = self.asking.conversation.question
        return FileSearchShape(
            id=self._search_id, status="completed", queries=(question,), results=results
        )

    def _found(self, result: SearchResult) -> FoundShape:
        return FoundShape(
            file_id=file_id_of(result.source), filename=filename_of(result.source),
            score=result.score, text=result.text, attributes=dict(result.metadata),
        )  # fmt: skip

    async def _completed(self, ready: Ready) -> dict[str, Any]:
        """The complete response, which is kept, unless that is not wanted."""
        response = self._shape(
            _status(ready), completed_at=int(time.time()), waggle=ready.details,
            incomplete_details=IncompleteShape() if ready.ended == "length" else None,
            usage=ResponseUsageShape.of(ready.usage),
        )  # fmt: skip
        if self._body.store is not False:
            await self._keep(self._kept_as(response, ready))
        return response

    async def _keep(self, kept: KeptResponse) -> None:
        """A disk that is full takes no answer away."""
        try:
            await asyncio.to_thread(self._kept.keep, kept)
        except OSError as error:
            fields = {"id": kept.id, "reason": error.strerror or type(error).__name__}
            _log.warning("response not kept", extra={"fields": fields})

    def _kept_as(self, response: dict[str, Any], ready: Ready) -> KeptResponse:
        own = conversation_of(map(said, self._items))
        turns = [*((turn.question, turn.answer) for turn in own.history),
                 (own.question, ready.text)]  # fmt: skip
        return KeptResponse(
            id=self._id, key=self.asking.caller.key, collection=self.asking.target.collection,
            previous=self._body.previous_response_id, said=tuple(turns),
            input=tuple(map(_json, self._items)), response=response,
        )  # fmt: skip

    def _shape(self, status: Any, **more: Any) -> dict[str, Any]:
        body = self._body
        return _json(ResponseShape(
            id=self._id, created_at=self._created, status=status, model=self.asking.target.model,
            output=tuple(self._output), instructions=body.instructions,
            max_output_tokens=body.max_output_tokens, metadata=body.metadata or {},
            previous_response_id=body.previous_response_id, store=body.store is not False,
            temperature=body.temperature, top_p=body.top_p, tools=tuple(body.tools or ()),
            tool_choice="none" if body.tool_choice == "none" else "auto", **more,
        ))  # fmt: skip


def _status(ready: Ready) -> Literal["completed", "incomplete"]:
    return "incomplete" if ready.ended == "length" else "completed"


def _json(shape: Shape) -> dict[str, Any]:
    return shape.model_dump(mode="json")


def _new(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex}"
