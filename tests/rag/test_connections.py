"""Connections to a model's server are used again, by a request at a time, and not kept for ever."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from rag.models.connections import MOST_IDLE, Connections

SECONDS = 0.4

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Peer:
    """A server that answers each request with its path and the number of its connection. ``/slow``
    takes a while, ``/half`` ends in the middle, ``/held`` waits there, ``/bye`` is the last of its
    connection."""

    def __init__(self) -> None:
        self.begun, self.open = 0, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.begun += 1
        self.open += 1
        number = self.begun
        try:
            while line := await reader.readline():
                path = line.split()[1].decode()
                while await reader.readline() != b"\r\n":
                    pass
                if path == "/slow":
                    await asyncio.sleep(0.05)
                body = f"{path} {number}".encode()
                more = 10 if path in ("/half", "/held") else 0
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) + more))
                writer.write(body)
                if path in ("/half", "/bye"):
                    break
        finally:
            self.open -= 1
            writer.close()

    async def open_are(self, expected: int) -> None:
        deadline = time.monotonic() + 10
        while self.open != expected:
            assert time.monotonic() < deadline, f"{self.open} are open"
            await asyncio.sleep(0.01)


Get = Callable[[str], Awaitable[str]]


@asynccontextmanager
async def peer() -> AsyncIterator[tuple[Peer, httpx.AsyncClient, Get]]:
    one = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=SECONDS)
    server = Peer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=1000)
    port = listening.sockets[0].getsockname()[1]
    transport = Connections(lambda: httpx.AsyncHTTPTransport(limits=one), SECONDS)
    base = f"http://127.0.0.1:{port}"
    async with listening, httpx.AsyncClient(transport=transport, base_url=base) as client:

        async def get(path: str) -> str:
            return (await client.get(path)).text

        yield server, client, get


async def test_one_after_the_other_they_take_the_same_connection() -> None:
    async with peer() as (_, _, get):
        assert [await get("/a") for _ in range(3)] == ["/a 1"] * 3


async def test_side_by_side_each_has_its_own_and_later_ones_take_them_again() -> None:
    async with peer() as (server, _, get):
        for _ in range(2):
            found = await asyncio.gather(*(get("/slow") for _ in range(20)))
            assert sorted(found) == sorted(f"/slow {n}" for n in range(1, 21))
        assert server.begun == 20


async def test_one_whose_answer_is_not_read_yet_is_nobody_elses() -> None:
    async with peer() as (server, client, get):
        async with client.stream("GET", "/a") as response:
            assert await get("/b") == "/b 2"
            assert (await response.aread()) == b"/a 1"
        await server.open_are(2)


async def test_one_that_is_idle_for_long_is_closed_when_another_is_used() -> None:
    async with peer() as (server, _, get):
        await asyncio.gather(*(get("/slow") for _ in range(5)))
        await asyncio.sleep(SECONDS * 1.5)
        assert await get("/a") == "/a 6"
        await server.open_are(1)


async def test_there_are_not_too_many_idle_ones() -> None:
    async with peer() as (server, _, get):
        await asyncio.gather(*(get("/slow") for _ in range(MOST_IDLE + 20)))
        await server.open_are(MOST_IDLE)


async def test_one_that_failed_or_was_closed_by_the_server_is_not_used_again() -> None:
    async with peer() as (server, _, get):
        with pytest.raises(httpx.RemoteProtocolError):
            await get("/half")
        assert await get("/bye") == "/bye 2"
        await server.open_are(0)
        assert await get("/a") == "/a 3"


async def test_one_whose_request_was_cancelled_is_closed() -> None:
    async with peer() as (server, _, get):
        assert await get("/a") == "/a 1"
        asking = asyncio.create_task(asyncio.wait_for(get("/slow"), 0.01))
        with pytest.raises(TimeoutError):
            await asking
        await server.open_are(0)
        assert await get("/a") == "/a 2"


async def test_each_server_has_its_own() -> None:
    async with peer() as (first, client, get), peer() as (second, other, _):
        assert await get("/a") == "/a 1"
        assert (await client.get(other.base_url.join("/b"))).text == "/b 1"
        assert await get("/c") == "/c 1"
        assert (first.begun, second.begun) == (1, 1)


async def test_at_the_end_all_are_closed() -> None:
    async with peer() as (server, client, get):
        await asyncio.gather(*(get("/slow") for _ in range(5)))
        await client.aclose()
        await server.open_are(0)


async def test_one_that_is_given_back_after_the_end_is_closed() -> None:
    async with peer() as (server, client, _):
        response = await client.send(client.build_request("GET", "/a"), stream=True)
        await client._transport.aclose()
        await response.aclose()
        await server.open_are(0)


async def test_one_whose_answer_is_left_in_the_middle_is_closed() -> None:
    async with peer() as (server, client, get):
        async with client.stream("GET", "/held") as response:
            assert await anext(response.aiter_raw()) == b"/held 1"
        await server.open_are(0)
        assert await get("/a") == "/a 2"


async def test_one_that_cannot_be_closed_is_nobody_s_concern() -> None:
    class Stubborn(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, text=str(request.url))

        async def aclose(self) -> None:
            raise OSError("stuck")

    async with httpx.AsyncClient(transport=Connections(Stubborn, -1.0)) as client:
        for path in ("a", "b"):
            assert (await client.get(f"http://bees/{path}")).text == f"http://bees/{path}"
