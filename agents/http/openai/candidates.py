"""Several answers to one question, written side by side."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

from rag.answering import RAG

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

T = TypeVar("T")
_VARIED = 0.7
"""The temperature of all candidates but the first."""


async def candidates(rag: RAG, count: int, temperature: float | None = None) -> list[RAG]:
    """``rag`` itself and, where more than one is wanted, others over the same collection whose
    model writes at a temperature, by default 0.7, so that their answers differ."""
    if count == 1:
        return [rag]
    chat = await asyncio.to_thread(rag.chat)
    if chat is None:
        return [rag] * count
    varied = RAG(rag.collection, _at(chat, temperature or _VARIED), rag.reranker)
    varied.assessor = rag.assessor
    return [rag, *[varied] * (count - 1)]


def _at(chat: "BaseChatModel", temperature: float) -> "BaseChatModel":
    """``chat`` at a temperature, where it has one."""
    if "temperature" not in type(chat).model_fields:
        return chat
    return chat.model_copy(update={"temperature": temperature})


async def side_by_side(streams: Sequence[AsyncGenerator[T]]) -> AsyncGenerator[tuple[int, T]]:
    """What ``streams`` bring, with the number of each from 0, as it comes. What one of them raises
    ends all; closed, it closes them."""
    if len(streams) == 1:
        async with aclosing(streams[0]) as stream:
            async for part in stream:
                yield 0, part
        return
    queue: asyncio.Queue[tuple[int, T] | BaseException | None] = asyncio.Queue(len(streams))

    async def pump(number: int, stream: AsyncGenerator[T]) -> None:
        try:
            async with aclosing(stream):
                async for part in stream:
                    await queue.put((number, part))
        except Exception as error:  # noqa: BLE001 - handed on, not caught
            await queue.put(error)
        else:
            await queue.put(None)

    tasks = [asyncio.create_task(pump(n, stream)) for n, stream in enumerate(streams)]
    try:
        for _ in streams:
            while (came := await queue.get()) is not None:
                if isinstance(came, BaseException):
                    raise came
                yield came
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
