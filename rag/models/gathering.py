"""Server-sent events of a streamed answer, as many at a time as have come.

A piece of an answer passes through a dozen layers before a reader sees it. Where a service has many
streams its event loop comes back to each only after a while, and meanwhile several pieces have
come: then they take the way together. Where it has few, each goes alone, and at once.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final

import httpx
import openai

from rag.models.nested import Nested
from rag.models.wire import WatchedStream

_MOST_WAITING: Final = 1 << 20
"""Bytes; of more nothing is read until they are taken."""
_DONE: Final = b"[DONE]"
_DRAIN_SECONDS: Final = 0.1
"""For the end of a response whose last event has come."""


class GatheredStream(openai.AsyncStream[object]):
    """A stream of dictionaries; the texts of pieces that came together are one piece."""

    async def __aiter__(self) -> AsyncIterator[object]:
        decoder, leash = Events(), _Leash(self.response.stream)
        async with aclosing(Nested(gathered(self.response.aiter_bytes()))) as batches:
            async for batch in batches:
                chunks, failure = self._read(decoder.feed(batch))
                for chunk in joined(chunks):
                    yield chunk
                if failure is not None:
                    raise failure
                if decoder.done:
                    await _drain(batches)
                    break
        leash.stream = None
        await self.response.aclose()
        chunks, failure = self._read(decoder.close())
        for chunk in joined(chunks):
            yield chunk
        if failure is not None:
            raise failure

    def _read(self, events: Iterable[bytes]) -> tuple[list[Any], Exception | None]:
        """The chunks up to one that cannot be read, or tells of an error, and what that is."""
        chunks: list[Any] = []
        for data in events:
            try:
                chunk = json.loads(data)
            except ValueError as error:
                return chunks, error
            if isinstance(chunk, dict) and (told := chunk.get("error")):
                return chunks, self._failure(told)
            chunks.append(chunk)
        return chunks, None

    def _failure(self, told: Any) -> openai.APIError:
        message = told.get("message") if isinstance(told, dict) else None
        sentence = message if isinstance(message, str) and message else str(told)
        return openai.APIError(sentence, request=self.response.request, body=told)


class Events:
    """Takes bytes, gives the data of the events that are whole; ``done`` after the last one."""

    def __init__(self) -> None:
        self.done = False
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Those that are whole now."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in (one.removesuffix(b"\r") for one in lines):
            if self.done:
                return
            if not line:
                yield from self._event()
            elif line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))

    def close(self) -> Iterator[bytes]:
        """The last one, if no empty line follows it."""
        yield from self.feed(b"\n\n")

    def _event(self) -> Iterator[bytes]:
        data, self._data = b"\n".join(self._data), []
        self.done = data.startswith(_DONE)
        if data and not self.done:
            yield data


@dataclass(slots=True)
class _Leash:
    """Goes with the reader; the task that reads may last for as long as its event loop."""

    stream: Any

    def __del__(self) -> None:
        if isinstance(self.stream, WatchedStream):
            self.stream.drop()


async def gathered(source: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """What has come of ``source`` since it was last asked for, joined. It is read in a task of its
    own, which has ended when this has."""
    waiting = _Waiting()
    task = asyncio.create_task(waiting.fill(source))
    try:
        while (batch := await waiting.taken()) is not None:
            yield batch
        await task
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # was raised above, or nobody waits for it any more


async def _drain(batches: AsyncIterator[bytes]) -> None:
    """A response that ends at once leaves its connection to the next request. The answer is whole:
    no fault behind it matters."""
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in batches:
                pass


class _Waiting:
    """Bytes that have come and were not taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._ended = False
        self._came, self._room = asyncio.Event(), asyncio.Event()

    async def fill(self, source: AsyncIterator[bytes]) -> None:
        try:
            async for part in source:
                self._parts.append(part)
                self._size += len(part)
                self._came.set()
                if self._size > _MOST_WAITING:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._ended = True
            self._came.set()

    async def taken(self) -> bytes | None:
        """All of them, as soon as there are some; ``None`` at the end."""
        await self._came.wait()
        if not self._parts and self._ended:
            return None
        batch, self._parts, self._size = b"".join(self._parts), [], 0
        if not self._ended:
            self._came.clear()
        self._room.set()
        return batch


def joined(chunks: Iterable[Any]) -> Iterator[Any]:
    """The chunks; one that has nothing but text is joined to those before it that have not."""
    first: Any = None
    texts: list[str] = []
    for chunk in chunks:
        text = _only_text(chunk)
        if text is None:
            yield from _one(first, texts)
            first, texts = None, []
            yield chunk
        else:
            first = chunk if first is None else first
            texts.append(text)
    yield from _one(first, texts)


def _one(first: Any, texts: list[str]) -> Iterator[Any]:
    if texts:
        if len(texts) > 1:
            first["choices"][0]["delta"]["content"] = "".join(texts)
        yield first


def _only_text(chunk: Any) -> str | None:
    """The text of a chunk that has nothing else to tell; else ``None``."""
    if not isinstance(chunk, dict) or chunk.get("usage"):
        return None
    choices = chunk.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        return None
    choice = choices[0]
    delta = choice.get("delta")
    told = choice.get("finish_reason") or choice.get("logprobs") or choice.get("index")
    if told or not isinstance(delta, dict):
        return None
    if any(value is not None for name, value in delta.items() if name not in ("content", "role")):
        return None
    content = delta.get("content")
    return content if isinstance(content, str) else None
