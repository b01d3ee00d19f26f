"""Ways of steps: performed one after the other and on an event loop, with the same outcome."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field

from indexes.errors import EndpointError
from rag.steps import Steps, adrive, arun, ask, ask_all, drive, pieces, run, work
from rag.types import Token

T = TypeVar("T")
Perform = Callable[[Steps[Any]], Any]


class Echo(BaseChatModel):
    """Says what it is told, word by word; «break» breaks it."""

    open: list[int] = Field(default_factory=list)
    """One element for each stream that is open."""

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if "break" in str(messages[-1].content):
            raise ConnectionError("broken")
        return ChatResult(generations=[ChatGeneration(message=AIMessage(messages[-1].content))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        self.open.append(1)
        try:
            for word in str(messages[-1].content).split():
                if word == "break":
                    raise ConnectionError("broken")
                yield ChatGenerationChunk(message=AIMessageChunk(content=f"{word} "))
        finally:
            self.open.pop()

    @property
    def _llm_type(self) -> str:
        return "echo"


def performed_in_a_loop(way: Steps[T]) -> T:
    return asyncio.run(arun(way))


@pytest.fixture(params=[run, performed_in_a_loop], ids=["sync", "async"])
def perform(request: pytest.FixtureRequest) -> Perform:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def echo() -> Echo:
    return Echo()


def said(text: str) -> list[BaseMessage]:
    return [HumanMessage(text)]


def shown(chunk: AIMessageChunk) -> Steps[None]:
    yield Token(str(chunk.text))


def test_what_a_step_brings_is_sent_back(perform: Perform) -> None:
    def way() -> Steps[list[int]]:
        first = yield from work(lambda: 1)
        second = yield from work(lambda: first + 1)
        return [first, second]

    assert perform(way()) == [1, 2]


def test_many_prompts_keep_their_order(perform: Perform, echo: Echo) -> None:
    def way() -> Steps[list[str]]:
        one = yield from ask(echo, said("one"))
        rest = yield from ask_all(echo, [said("two"), said("three"), said("four")])
        return [str(reply.text) for reply in (one, *rest)]

    assert perform(way()) == ["one", "two", "three", "four"]


def test_what_goes_wrong_is_thrown_into_the_way(perform: Perform, echo: Echo) -> None:
    def way() -> Steps[list[str]]:
        met = []
        try:
            yield from work(lambda: 1 / 0)
        except ZeroDivisionError:
            met.append("work")
        for broken in (ask(echo, said("break")), pieces(echo, said("one break"), shown)):
            try:
                yield from broken
            except EndpointError:
                met.append("model")
        return met

    assert perform(way()) == ["work", "model", "model"]


def test_what_a_way_does_not_deal_with_reaches_its_caller(perform: Perform, echo: Echo) -> None:
    with pytest.raises(EndpointError):
        perform(ask(echo, said("break")))


def test_events_come_between_the_steps(echo: Echo) -> None:
    way = pieces(echo, said("a b c"), shown)
    texts = [event.text for event in drive(way) if isinstance(event, Token)]
    assert [text for text in texts if text] == ["a ", "b ", "c "]


def test_leaving_closes_the_stream(echo: Echo) -> None:
    events = drive(pieces(echo, said("a b c"), shown))
    next(events)
    assert echo.open == [1]
    events.close()
    assert echo.open == []


def test_leaving_on_a_loop_closes_the_stream(echo: Echo) -> None:
    async def leave() -> list[int]:
        events = adrive(pieces(echo, said("a b c"), shown))
        await anext(events)
        await events.aclose()
        return echo.open

    assert asyncio.run(leave()) == []


def test_a_second_answer_ends_the_first(perform: Perform, echo: Echo) -> None:
    def left(_: AIMessageChunk) -> Steps[None]:
        raise LookupError
        yield

    def way() -> Steps[int]:
        try:
            yield from pieces(echo, said("a b"), left)
        except LookupError:
            yield from pieces(echo, said("c d"), shown)
        return len(echo.open)

    assert perform(way()) == 0


def test_work_does_not_hold_up_the_loop() -> None:
    """Two ways at once: the first can only end because the second goes on."""

    met = threading.Event()

    async def both() -> bool:
        waited, _ = await asyncio.gather(arun(work(lambda: met.wait(30))), arun(work(met.set)))
        return waited

    assert asyncio.run(both())
