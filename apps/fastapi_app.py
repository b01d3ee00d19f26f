"""A FastAPI app of one's own with a page that asks the documents.

uvicorn --app-dir apps fastapi_app:app --port 8500
curl 'http://127.0.0.1:8500/help?question=When+is+the+honey+harvested'
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from indexes import Collection
from rag import RAG
from rag.types import Token


class Help(BaseModel):
    """What the app answers; ``sources`` are the places that its sentences lean on."""

    answer: str
    known: bool
    sources: list[str]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The collection stays open as long as the app runs."""
    with Collection.open(create=False) as collection:
        app.state.rag = RAG(collection)
        yield


app = FastAPI(title="Help desk", lifespan=lifespan)


@app.get("/help")
async def help_with(question: str, request: Request) -> Help:
    """One cited answer; sentences that no passage supports are left out."""
    answer = await request.app.state.rag.aask(question, strict=True)
    places = [f"{c.source}:{c.start}-{c.end}" for c in answer.supported]
    return Help(answer=answer.text, known=answer.status == "answered", sources=places)


@app.get("/help/stream")
async def help_streamed(question: str, request: Request) -> StreamingResponse:
    """The answer's text as it is written. A client that leaves stops the model."""

    async def text() -> AsyncIterator[str]:
        async for event in request.app.state.rag.astream(question):
            if isinstance(event, Token):
                yield event.text

    return StreamingResponse(text(), media_type="text/plain; charset=utf-8")
