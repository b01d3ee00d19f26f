"""`/mcp`: the server over streamable HTTP, with a transport of its own for each request.

Nothing is kept between two requests: the key of each decides what it sees, a key that is revoked
holds no more, and there is no session to be taken over. `/mcp/NAME` is about one collection.
"""

import asyncio
from typing import TYPE_CHECKING, Final

import anyio
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.transport_security import RequestBodyLimitMiddleware, TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route

from agents.http.sse import patient
from agents.mcp_door.access import Access
from agents.mcp_door.server import Context, made

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import Receive, Scope, Send

    from agents.doors.service import Service

PATH: Final = "/mcp"
_ACCESS: Final = "waggle.mcp.access"


def mount(app: "FastAPI", service: "Service") -> None:
    """Answer at `/mcp` and below it. The app's middleware has looked at host, origin and key
    (`agents.http.hosts.Doorman`) before a request comes here."""
    door = _Door(service)
    app.router.routes.append(Route(PATH, door))
    app.router.routes.append(Route(f"{PATH}/{{collection}}", door))


class _Door:
    def __init__(self, service: "Service") -> None:
        self._service = service
        self._server = made(_access_of)
        # It also reads the whole body before anything else sees it, so that one that is too large
        # is refused as everywhere.
        self._bounded = RequestBodyLimitMiddleware(self._answer, service.settings.body_bytes)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["method"] != "POST":
            raise HTTPException(405, "Method Not Allowed", {"Allow": "POST"})
        scope[_ACCESS] = await asyncio.to_thread(self._access, scope)
        try:
            await self._bounded(scope, receive, patient(send))
        except* ClientDisconnect:
            pass  # nobody is there to be told

    async def _answer(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        transport = StreamableHTTPServerTransport(None, security_settings=_security(scope))
        options = self._server.create_initialization_options()
        async with transport.connect() as streams, anyio.create_task_group() as group:
            group.start_soon(self._server.run, *streams, options, False, True)
            try:
                await transport.handle_request(scope, receive, send)
            finally:
                with anyio.CancelScope(shield=True):
                    await transport.terminate()
                group.cancel_scope.cancel()

    def _access(self, scope: "Scope") -> Access:
        """Raises `UnauthorizedError`, and `UnknownCollectionError` for a path that names a
        collection that is not there, or not for this caller to know of."""
        from agents.http.hosts import caller_of

        service, caller = self._service, caller_of(scope)
        public = service.settings.public_url
        named = scope["path_params"].get("collection")
        if named is not None and named not in service.shelf.names(caller):
            service.shelf.rag(caller, named)
        return Access(
            service.shelf, caller, service.audit, service.gate, service.metrics, bound=named,
            page=f"{public}/" if public else str(Request(scope).base_url),
        )  # fmt: skip


def _access_of(context: "Context") -> Access:
    assert context.request is not None
    access: Access = context.request.scope[_ACCESS]
    return access


def _security(scope: "Scope") -> TransportSecuritySettings:
    """The protocol's own look at host and origin, which is off where it is not asked for. It goes
    by names as they are written; both are as the middleware left them, which knows more."""
    headers = Headers(scope=scope)
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[headers["host"]],
        allowed_origins=headers.getlist("origin"),
    )
