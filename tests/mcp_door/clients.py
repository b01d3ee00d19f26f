"""The official client, over each way to the server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent

T = TypeVar("T")
Session = ClientSession


def run(work: Callable[[], Awaitable[T]], seconds: float = 60) -> T:
    """The result of ``work`` on an event loop of its own."""

    async def limited() -> T:
        async with asyncio.timeout(seconds):
            return await work()

    return asyncio.run(limited())


@asynccontextmanager
async def over_http(url: str, key: str = "", **headers: str) -> AsyncIterator[ClientSession]:
    """A session with the server at ``url``, begun."""
    if key:
        headers["Authorization"] = f"Bearer {key}"
    async with (
        httpx.AsyncClient(headers=headers, trust_env=False, timeout=30) as client,
        streamable_http_client(url, http_client=client) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        yield session


def text_of(result: CallToolResult) -> str:
    """The text of a result."""
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def object_of(result: CallToolResult) -> dict[str, Any]:
    """The object of a result that went well."""
    assert not result.isError, text_of(result)
    assert result.structuredContent is not None
    return result.structuredContent


def refusal_of(result: CallToolResult) -> str:
    """The sentence of a result that did not."""
    assert result.isError
    assert result.structuredContent is None
    return text_of(result)
