"""What a route asks for: the service, the caller, a slot; and how it waits."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from starlette.requests import ClientDisconnect, Request

from agents.doors.rights import Caller
from agents.doors.service import Service
from agents.http.hosts import caller_of
from agents.http.sse import until_gone
from rag.answering import RAG

T = TypeVar("T")


# None of these blocks; declared without «async», each would be a thread's work.
async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _caller(request: Request) -> Caller:
    return caller_of(request.scope)


async def _reader(caller: "CallerOf") -> Caller:
    caller.check("read")
    return caller


async def _writer(caller: "CallerOf") -> Caller:
    caller.check("write")
    return caller


async def _actor(caller: "CallerOf") -> Caller:
    caller.check("agent")
    return caller


async def _slot(request: Request, service: "ServiceOf", caller: "CallerOf") -> AsyncGenerator[None]:
    async with AsyncExitStack() as stack:
        await attended(request, stack.enter_async_context(service.gate.slot(caller)))
        yield


ServiceOf = Annotated[Service, Depends(_service)]
"""The service."""
CallerOf = Annotated[Caller, Depends(_caller)]
"""Who asks; 401 without a key that holds, where one is needed."""
ReaderOf = Annotated[Caller, Depends(_reader)]
"""`CallerOf` with the right «read», else 403."""
WriterOf = Annotated[Caller, Depends(_writer)]
"""`CallerOf` with the right «write», else 403."""
ActorOf = Annotated[Caller, Depends(_actor)]
"""`CallerOf` with the right «agent», else 403."""
Slot = Annotated[None, Depends(_slot)]
"""A place among the requests that are answered at a time, held until the response, also a
streamed one, has ended; 429 where there is none. Whoever leaves waits no more: so a route that
reads its body itself, instead of declaring it, does not ask for one."""


async def rag_of(service: Service, caller: Caller, name: str) -> RAG:
    """`Shelf.rag` without blocking the event loop."""
    ready = service.shelf.ready(caller, name)
    if ready is not None:
        return ready
    return await asyncio.to_thread(service.shelf.rag, caller, name)


async def attended(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled when the client leaves. To be called after the
    request's body has been read."""
    task = asyncio.create_task(work)
    gone = asyncio.create_task(until_gone(request.receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def attended_thread(request: Request, work: Callable[[threading.Event], T]) -> T:
    """`attended` for what blocks: the event that ``work`` is given is set when the client leaves,
    upon which it should end. It has ended when this does, so that a slot is held until then."""
    gone = threading.Event()
    task = asyncio.create_task(asyncio.to_thread(work, gone))

    async def result() -> T:
        return await asyncio.shield(task)

    try:
        return await attended(request, result())
    finally:
        gone.set()
        await asyncio.wait({task})
