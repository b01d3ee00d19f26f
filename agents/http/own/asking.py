"""``/api/ask``: an answer with every event, and whole citations."""

from collections.abc import AsyncGenerator, Sequence

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from agents.answer_shapes import AnswerShape, ContextShape
from agents.http.depending import ReaderOf, ServiceOf, Slot, rag_of
from agents.http.openai.candidates import candidates, side_by_side
from agents.http.sse import STREAM, ServerEvent, events
from rag.answering import DEFAULT_PASSAGES, RAG, AskOptions
from rag.marks import without_marks
from rag.retrieval.types import Turn
from rag.types import Event, Retrieved, Token

router = APIRouter(tags=["page"])


class TurnBody(BaseModel):
    """A question that was asked before, and its answer."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(max_length=8000)
    answer: str = Field(max_length=40_000)


class AskBody(BaseModel):
    """A question to a collection. ``candidates`` answers are written side by side; the rest is as
    in `rag.answering.AskOptions`."""

    model_config = ConfigDict(extra="forbid")

    collection: str
    question: str = Field(min_length=1, max_length=8000)
    history: tuple[TurnBody, ...] = Field(default=(), max_length=20)
    candidates: int = Field(default=1, ge=1, le=4)
    k: int = Field(default=DEFAULT_PASSAGES, ge=1, le=50)
    where: str | None = Field(default=None, max_length=4000)
    prompt: str | None = Field(default=None, max_length=100)
    plan: str | None = Field(default=None, max_length=100)

    def options(self) -> AskOptions:
        """What `RAG.astream` is to be told."""
        history = tuple(Turn(turn.question, without_marks(turn.answer)) for turn in self.history)
        options = AskOptions(k=self.k, where=self.where, plan=self.plan, history=history)
        if self.prompt is not None:
            options["prompt"] = self.prompt
        return options


@router.post("/api/ask", response_class=Response, responses={200: {"content": STREAM}})
async def ask(service: ServiceOf, caller: ReaderOf, _: Slot, body: AskBody) -> Response:
    """A question, answered as server-sent events: ``retrieved``, ``token``s and ``finished``, each
    with the number of its ``candidate``, from 0."""
    rag = await rag_of(service, caller, body.collection)
    return events(_answers(await candidates(rag, body.candidates), body))


async def _answers(rags: Sequence[RAG], body: AskBody) -> AsyncGenerator[ServerEvent]:
    options = body.options()
    streams = [rag.astream(body.question, **options) for rag in rags]
    async for candidate, event in side_by_side(streams):
        yield ServerEvent.of({"candidate": candidate, **_told(event)})


def _told(event: Event) -> dict[str, object]:
    if isinstance(event, Retrieved):
        shapes = [ContextShape.of(n, context) for n, context in enumerate(event.contexts, 1)]
        return {"event": "retrieved", "contexts": [s.model_dump(mode="json") for s in shapes]}
    if isinstance(event, Token):
        return {"event": "token", "text": event.text}
    answer = AnswerShape.of(event.answer)
    return {"event": "finished", "answer": answer.model_dump(mode="json")}
