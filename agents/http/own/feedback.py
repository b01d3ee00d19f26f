"""``/api/feedback``: what people say of answers."""

import asyncio
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from agents.doors.feedback import Kind, Opinion
from agents.http.depending import ReaderOf, ServiceOf, rag_of

router = APIRouter(tags=["page"])

_Text = Annotated[str, Field(max_length=40_000)]


class OpinionBody(BaseModel):
    """What somebody did with an answer; ``others`` are the candidates that it was chosen from."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    collection: str
    question: str = Field(min_length=1, max_length=8000)
    answer: _Text
    others: tuple[_Text, ...] = Field(default=(), max_length=8)
    model: str = Field(default="", max_length=300)
    prompt: str = Field(default="", max_length=300)


@router.post("/api/feedback", status_code=204)
async def say(service: ServiceOf, caller: ReaderOf, body: OpinionBody) -> None:
    """Keep an opinion about an answer."""
    await rag_of(service, caller, body.collection)
    opinion = Opinion(**body.model_dump())
    await asyncio.to_thread(service.feedback.keep, caller.key, opinion)
