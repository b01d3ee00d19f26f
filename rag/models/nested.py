"""One asynchronous generator within another."""

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import Generic, TypeVar

T = TypeVar("T")


class Nested(AsyncIterator[T], Generic[T]):
    """An asynchronous generator that belongs to another one, which closes it.

    An event loop that ends closes all generators that have begun in it, side by side
    (`asyncio.loop.shutdown_asyncgens`). Where it knows of both, it may find the inner one busy
    with the outer one's closing, or the other way round, and reports an error for each. So the loop
    does not learn of this one. It is still told when one is dropped that was not closed.
    """

    def __init__(self, stream: AsyncGenerator[T]) -> None:
        self._stream = stream

    def __anext__(self) -> Awaitable[T]:
        known = sys.get_asyncgen_hooks().firstiter
        sys.set_asyncgen_hooks(firstiter=None)
        try:
            return self._stream.__anext__()
        finally:
            sys.set_asyncgen_hooks(firstiter=known)

    async def aclose(self) -> None:
        """Close it, as `contextlib.aclosing` wants."""
        await self._stream.aclose()
