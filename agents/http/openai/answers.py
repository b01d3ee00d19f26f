"""What comes while a conversation is answered, by the documents or by the agent: one stream of
parts, from which each of OpenAI's APIs makes its own."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from agents.http.openai.details import DetailsShape, details_of, details_of_run, run_text
from agents.http.openai.writing import Written
from agents.loop.acting import RagAgent
from agents.loop.types import Ended, RunEvent
from indexes.errors import ModelError, ModelFileError
from indexes.i18n import t
from indexes.types import SearchResult
from rag.answering import RAG, AskOptions
from rag.conversing import Conversation
from rag.prompts import unknown
from rag.retrieval.rewriting import condensed
from rag.steps import arun
from rag.types import Citation, Finished, Retrieved, Token, Usage


@dataclass(frozen=True, slots=True)
class Found:
    """The passages that the answer will be made from."""

    contexts: tuple[SearchResult, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """The next piece of the text."""

    text: str


@dataclass(frozen=True, slots=True)
class Acted:
    """What the agent does."""

    event: RunEvent


@dataclass(frozen=True, slots=True)
class Ready:
    """The whole: ``text`` is that of all pieces, and ``ended`` why there are no more."""

    text: str
    citations: tuple[Citation, ...]
    usage: Usage
    details: DetailsShape
    contexts: tuple[SearchResult, ...] = ()
    ended: Literal["stop", "length"] = "stop"


Part = Found | Piece | Acted | Ready
Parts = AsyncGenerator[Part]


async def answered(
    rag: RAG,
    conversation: Conversation,
    options: AskOptions,
    stops: Sequence[str] = (),
    notices: tuple[str, ...] = (),
    *,
    contexts: bool = False,
) -> Parts:
    """An answer from the documents, up to the first of ``stops``. Raises `ModelFileError` where
    there is no chat model, and what `RAG.ask` raises."""
    written = Written(stops)
    asked: AskOptions = {
        **options,
        "history": conversation.history,
        "instructions": conversation.instructions,
    }
    async with aclosing(rag.astream(conversation.question, **asked)) as events:
        async for event in events:
            if isinstance(event, Retrieved):
                if event.contexts and await asyncio.to_thread(rag.chat) is None:
                    raise no_model()
                yield Found(event.contexts)
            elif isinstance(event, Token):
                if shown := written.take(event.text):
                    yield Piece(shown)
            elif isinstance(event, Finished):
                answer = event.answer
                if answer.status == "no_model":
                    raise no_model()
                if shown := written.finish(answer.text or unknown(answer.question)):
                    yield Piece(shown)
                details = details_of(answer, notices, contexts=contexts)
                yield Ready(
                    written.text, answer.citations, answer.usage, details, answer.contexts,
                    "stop" if written.stopped else answer.ended,
                )  # fmt: skip


async def acted(
    agent: RagAgent, conversation: Conversation, notices: tuple[str, ...] = ()
) -> Parts:
    """What an agent comes to, whose goal is the question as it stands without the conversation.
    Raises `ModelError` where it fails."""
    goal = await _alone(agent.rag, conversation)
    async with aclosing(agent.astream(goal)) as events:
        async for event in events:
            if not isinstance(event, Ended):
                yield Acted(event)
                continue
            run = event.run
            if run.status == "failed" and not run.answer:
                raise ModelError(run.reason)
            text = run_text(run)
            yield Piece(text)
            yield Ready(text, run.citations, run.usage, details_of_run(run, notices))


async def whole(parts: Parts) -> Ready:
    """The last part."""
    async with aclosing(parts):
        async for part in parts:
            if isinstance(part, Ready):
                return part
    raise AssertionError("an answer ends with Ready")


def no_model() -> ModelFileError:
    """That nobody is here who could answer."""
    return ModelFileError(t("There is no chat model here. Get one with: waggle models pull"))


async def _alone(rag: RAG, conversation: Conversation) -> str:
    if not conversation.history:
        return conversation.question
    chat = await asyncio.to_thread(rag.chat)
    if chat is None:
        raise no_model()
    way = condensed(chat, rag.prompts, conversation.question, conversation.history)
    return (await arun(way)).value
