"""Runs that are driven from an event loop: whoever waits for one may leave.

The steps of a run block a thread. Its model is asked on the event loop all the same, so that a
request to a model's server ends at once when nobody waits for the run any more.
"""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rag.steps import Steps, arun, run

if TYPE_CHECKING:
    from langchain_core.language_models import LanguageModelInput
    from langchain_core.messages import AIMessage
    from langchain_core.runnables import Runnable

T = TypeVar("T")


class Left(BaseException):
    """Whoever waited for the run has left. No tool and no middleware is to deal with that: the run
    stays as it is, to be gone on with."""


class Driver:
    """The event loop from which a run is driven."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._lock = loop, threading.Lock()
        self._asked: Future[Any] | None = None
        self._left = False

    def perform(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``, done on the loop while this thread waits. Raises `Left`."""
        with self._lock:
            if self._left:
                work.close()
                raise Left
            asked = self._asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            result: T = asked.result()
        except CancelledError:
            raise Left from None
        return result

    def leave(self) -> None:
        """Nobody waits any more."""
        with self._lock:
            self._left = True
            if self._asked is not None:
                self._asked.cancel()


DRIVER: Final[ContextVar[Driver | None]] = ContextVar("DRIVER", default=None)
"""What drives the run of this context; ``None`` where it is its own thread."""


def performed(way: Steps[T]) -> T:
    """The way's result. Raises `Left`."""
    driver = DRIVER.get()
    return run(way) if driver is None else driver.perform(arun(way))


def invoked(
    chat: "Runnable[LanguageModelInput, AIMessage]", messages: "LanguageModelInput", **options: Any
) -> "AIMessage":
    """The model's reply. Raises `Left`."""
    driver = DRIVER.get()
    if driver is None:
        return chat.invoke(messages, **options)
    return driver.perform(_reply(chat, messages, options))


async def _reply(
    chat: "Runnable[LanguageModelInput, AIMessage]",
    messages: "LanguageModelInput",
    options: dict[str, Any],
) -> "AIMessage":
    return await chat.ainvoke(messages, **options)
