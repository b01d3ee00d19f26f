"""The one event loop, in a thread of its own, on which asynchronous tools and servers live."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def background_loop() -> asyncio.AbstractEventLoop:
    """The loop, started at its first use. It ends with the process."""
    global _loop  # noqa: PLW0603 - one for the process
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="tools", daemon=True).start()
        return _loop


def perform(work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, done on the loop while this thread waits; whoever stops waiting
    (Ctrl-C) cancels it."""
    loop, ready = background_loop(), asyncio.Event()
    # It begins when it can be cancelled: an interrupt may come at any moment.
    future = asyncio.run_coroutine_threadsafe(_after(ready, work), loop)
    try:
        loop.call_soon_threadsafe(ready.set)
        return future.result()
    except BaseException:
        future.cancel()
        raise


async def _after(ready: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    await ready.wait()
    return await work
