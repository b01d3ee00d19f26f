"""What answering a question asks of the world, one step at a time.

A *way* is a generator. It yields steps, which are to be performed, and events, which are to be
shown. What a step brought is sent back into it, and what went wrong is thrown into it. `drive`
performs the steps one after the other, `adrive` on an event loop; so each technique is written
once and serves both. Ways are put together with ``yield from``::

    def condensed(chat, history, question) -> Steps[str]:
        reply = yield from ask(chat, condense_messages(history, question))
        return str(reply.text)
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import aclosing, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from rag.models.failures import endpoint_errors
from rag.models.nested import Nested
from rag.types import Event

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage

T = TypeVar("T")
Steps = Generator["Step | Event", Any, T]
"""A way whose result is a ``T``."""
Messages = Sequence["BaseMessage"]


@dataclass(frozen=True, slots=True)
class Work:
    """Something that takes a while and blocks, such as a search; its result is sent back."""

    do: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """Each of ``many`` prompts, put to the chat model side by side; a tuple of its messages is
    sent back, in the same order."""

    chat: "BaseChatModel"
    many: Sequence[Messages]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Write:
    """The beginning of a streamed answer, of which `Read` brings the pieces."""

    chat: "BaseChatModel"
    messages: Messages
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Read:
    """The next message chunk of the answer that `Write` began, or ``None`` at its end."""

    chat: "BaseChatModel"


Step = Work | Ask | Write | Read


def work(do: Callable[[], T]) -> Steps[T]:
    """The result of ``do``, which may block."""
    result: T = yield Work(do)
    return result


def ask(chat: "BaseChatModel", messages: Messages, **options: Any) -> "Steps[AIMessage]":
    """The chat model's reply. Raises `EndpointError` where its server fails."""
    replies: tuple[AIMessage, ...] = yield Ask(chat, (messages,), options)
    return replies[0]


def ask_all(
    chat: "BaseChatModel", many: Sequence[Messages], **options: Any
) -> "Steps[tuple[AIMessage, ...]]":
    """The chat model's replies to several prompts, asked side by side."""
    replies: tuple[AIMessage, ...] = yield Ask(chat, tuple(many), options)
    return replies


def pieces(
    chat: "BaseChatModel",
    messages: Messages,
    take: "Callable[[AIMessageChunk], Steps[None]]",
    **options: Any,
) -> Steps[None]:
    """A streamed answer, each of its chunks handed to ``take``."""
    yield Write(chat, messages, options)
    while (chunk := (yield Read(chat))) is not None:
        yield from take(chunk)


def through(way: Steps[T], taken: "Callable[[Step | Event], Steps[Any]]") -> Steps[T]:
    """The way, each of whose steps and events is ``taken`` on, and brings what that returns or
    raises. An exception is for the way to deal with."""
    came: Any = None
    error: Exception | None = None
    with closing(way):
        while True:
            try:
                step = way.send(came) if error is None else way.throw(error)
            except StopIteration as end:
                return cast("T", end.value)
            came = error = None
            try:
                came = yield from taken(step)
            except Exception as problem:  # noqa: BLE001 - handed on, not caught
                error = problem


def run(way: Steps[T]) -> T:
    """The way's result, for whoever does not look at its events."""
    events = drive(way)
    while True:
        try:
            next(events)
        except StopIteration as end:
            return cast("T", end.value)


async def arun(way: Steps[T]) -> T:
    """`run` without blocking the event loop."""
    result: list[T] = []

    def ending() -> Steps[None]:
        result.append((yield from way))

    async for _ in adrive(ending()):
        pass
    return result[0]


def drive(way: Steps[T]) -> Generator[Event, None, T]:
    """Perform the steps and yield the events. Closed before its end, it closes the model's stream,
    and the server stops writing."""
    walk, hands = _Walk(way), _Hands()
    with closing(way), closing(hands):
        while (step := walk.next()) is not None:
            if isinstance(step, Event):
                yield step
            else:
                with walk.performing():
                    walk.came = hands.perform(step)
    return walk.result


async def adrive(way: Steps[T]) -> AsyncGenerator[Event]:
    """`drive` without blocking the event loop. Closed or cancelled, it closes the model's stream at
    once, even while the model is still silent."""
    walk, hands = _Walk(way), _AsyncHands()
    with closing(way):
        async with aclosing(hands):
            while (step := walk.next()) is not None:
                if isinstance(step, Event):
                    yield step
                else:
                    with walk.performing():
                        walk.came = await hands.perform(step)


class _Walk(Generic[T]):
    """A way, what came of its last step, and at its end its result."""

    result: T

    def __init__(self, way: Steps[T]) -> None:
        self._way = way
        self._error: Exception | None = None
        self.came: Any = None

    def next(self) -> Step | Event | None:
        """The next step or event; ``None`` when the way has come to its end."""
        came, error = self.came, self._error
        self.came = self._error = None
        try:
            return self._way.send(came) if error is None else self._way.throw(error)
        except StopIteration as end:
            self.result = end.value
            return None

    @contextmanager
    def performing(self) -> Iterator[None]:
        """What goes wrong in a step is for the way to deal with."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - handed on, not caught
            self._error = error


class _Hands:
    """Performs steps, blocking."""

    def __init__(self) -> None:
        self._stream: Generator[AIMessageChunk] | None = None

    def perform(self, step: Step) -> Any:
        if isinstance(step, Work):
            return step.do()
        if isinstance(step, Write):
            self.close()
            stream = step.chat.stream(step.messages, **step.options)
            self._stream = cast("Generator[AIMessageChunk]", stream)
            return None
        if isinstance(step, Read):
            assert self._stream is not None
            with endpoint_errors(step.chat):
                return next(self._stream, None)
        with endpoint_errors(step.chat):
            return tuple(step.chat.batch(list(step.many), **step.options))

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()


class _AsyncHands:
    """Performs steps on an event loop."""

    def __init__(self) -> None:
        self._stream: Nested[AIMessageChunk] | None = None

    async def perform(self, step: Step) -> Any:
        if isinstance(step, Work):
            return await asyncio.to_thread(step.do)
        if isinstance(step, Write):
            await self.aclose()
            stream = step.chat.astream(step.messages, **step.options)
            self._stream = Nested(cast("AsyncGenerator[AIMessageChunk]", stream))
            return None
        if isinstance(step, Read):
            assert self._stream is not None
            with endpoint_errors(step.chat):
                return await anext(self._stream, None)
        with endpoint_errors(step.chat):
            return tuple(await step.chat.abatch(list(step.many), **step.options))

    async def aclose(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()
