"""HTTP to an MCP server, of which it is seen that an answer broke off.

The protocol's own client waits on for an answer whose connection is gone.
"""

from collections.abc import AsyncIterator, Callable

import httpx

from agents.toolbox.mcp_settings import McpServer, filled
from indexes.addresses import is_loopback


def client_for(
    server: McpServer, connecting: float, broke: Callable[[], None]
) -> httpx.AsyncClient:
    """A client for the server's address, which may take ``connecting`` seconds to be reached;
    ``broke`` is called when the answer to a message breaks off."""
    assert server.url is not None

    async def watch(response: httpx.Response) -> None:
        if response.request.method == "POST" and isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _Watched(response.stream, broke)

    return httpx.AsyncClient(
        headers=filled(server.headers),
        timeout=httpx.Timeout(connecting, read=server.seconds),
        trust_env=not is_loopback(server.url),
        event_hooks={"response": [watch]},
    )


class _Watched(httpx.AsyncByteStream):
    """The body of a response."""

    def __init__(self, stream: httpx.AsyncByteStream, broke: Callable[[], None]) -> None:
        self._stream, self._broke = stream, broke

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._stream:
                yield piece
        except httpx.TransportError:
            self._broke()
            raise

    async def aclose(self) -> None:
        await self._stream.aclose()
