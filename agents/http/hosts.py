"""Who may come in at all: Host, key, Origin, requests a minute, and the size of a body."""

import asyncio
import math
import re
from ipaddress import ip_address
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agents.doors.keys import PREFIX
from agents.doors.origins import origin_of
from agents.doors.rights import LOCAL, Caller
from agents.doors.service import Service
from agents.doors.settings import is_local
from agents.http.failures import refusal, response_of
from indexes.errors import UnauthorizedError, UsageError, WaggleError
from indexes.i18n import t

_CALLER: Final = "waggle.caller"
_UPLOADS: Final = ("/v1/files",)
UNCOUNTED: Final = ("/healthz", "/readyz", "/metrics")
_ANSWERING: Final = frozenset({"/v1/chat/completions", "/v1/responses", "/v1/embeddings"})
"""Routes that need a place among those that are answered."""
_PUBLIC: Final = ("/widget.js", "/assets/")
_KEYLESS: Final = frozenset({
    "/", "/widget.js", "/favicon.ico", "/docs", "/openapi.json", *UNCOUNTED, "/mcp",
})  # fmt: skip
_KEYLESS_BELOW: Final = ("/assets/", "/mcp/", "/.well-known/")
_WHOLE: Final = 10
_EXPOSED: Final = "x-request-id, retry-after, mcp-session-id"
_METHODS: Final = "GET, POST, PUT, PATCH, DELETE"
_HEADER_NAMES: Final = re.compile(r"[\w\-, ]{0,2000}")


def caller_of(scope: Scope) -> Caller:
    """Who sent the request. Raises `UnauthorizedError` where it needs a key that holds."""
    caller: Caller | WaggleError = scope[_CALLER]
    if isinstance(caller, WaggleError):
        raise caller
    return caller


def caller_in(scope: Scope) -> Caller | WaggleError | None:
    """Who sent the request, or why that is not known."""
    caller: Caller | WaggleError | None = scope.get(_CALLER)
    return caller


class Doorman:
    """The middleware that every request passes, those of mounted apps included."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # there are no web sockets here
        headers = Headers(scope=scope)
        refused = self._refused(scope, headers)
        if refused is not None:
            await refused(scope, receive, send)
            return
        origin = headers.get("origin")
        out = _with_cors(send, origin) if origin else send
        if _is_preflight(scope, headers):
            await _preflight(headers)(scope, receive, out)
            return
        try:
            if _needs_key(scope["path"]):
                caller_of(scope)
            self._count(scope)
        except WaggleError as error:
            await response_of(error)(scope, receive, out)
            return
        await self._let_in(scope, headers, receive, out)

    def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        """Why the request does not get in, if it does not."""
        names = headers.getlist("host")
        if len(names) != 1 or not self._is_ours(_without_port(names[0])):
            return refusal(
                421,
                t("The service is not known by the name «{host}». Add it to [serve] hosts.",
                  host=", ".join(names)[:200]),
                "unknown_host",
            )  # fmt: skip
        scope[_CALLER] = self._identify(headers)
        origins = headers.getlist("origin")
        if origins and not (len(origins) == 1 and self._allows(scope, origins[0], headers)):
            return refusal(
                403,
                t("Scripts of this web page may not use the service. Add its origin to [serve] "
                  "origins, or to the key: waggle serve --new-key NAME --origins ORIGIN"),
                "origin_not_allowed",
            )  # fmt: skip
        return None

    def _is_ours(self, host: str) -> bool:
        """Names that somebody else's DNS may point here are ours only if the settings say so."""
        settings = self._service.settings
        if is_local(host):
            return True
        if host in {settings.host.lower(), *settings.names}:
            return True
        return not settings.loopback and _is_address(host)

    def _identify(self, headers: Headers) -> Caller | WaggleError:
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        secret = secret.strip() if scheme.lower() == "bearer" else ""
        service = self._service
        if service.settings.open and not secret.startswith(PREFIX):
            return LOCAL  # OpenAI's clients always send a key, whatever it is
        if not secret:
            return UnauthorizedError(
                t("A key is needed: Authorization: Bearer KEY. Make one with: "
                  "waggle serve --new-key NAME")
            )  # fmt: skip
        try:
            return service.keys.caller(secret)
        except WaggleError as error:
            return error

    def _allows(self, scope: Scope, origin: str, headers: Headers) -> bool:
        """Whether scripts of the page may send this request: our own page's, those that the
        settings name, and those that the key names. Before a browser sends the key it asks."""
        try:
            page = origin_of(origin)
        except UsageError:
            return False
        if page.partition("://")[2] == _plain_host(headers["host"]):
            return True
        service, caller = self._service, scope[_CALLER]
        if page in (*service.settings.origins, service.settings.public_url):
            return True
        if _is_preflight(scope, headers) or scope["path"].startswith(_PUBLIC):
            return page in service.keys.origins()
        return isinstance(caller, Caller) and page in caller.origins

    def _count(self, scope: Scope) -> None:
        caller = scope[_CALLER]
        if not isinstance(caller, Caller) or scope["path"] in UNCOUNTED:
            return
        self._service.gate.count(caller)
        if scope["path"] in _ANSWERING and scope["method"] == "POST":
            self._service.gate.look(caller)

    async def _let_in(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        settings = self._service.settings
        upload = scope["path"] in _UPLOADS
        most = settings.upload_bytes if upload else settings.body_bytes
        if headers.get("content-length", "0").isdigit() and (
            int(headers.get("content-length", "0")) > most
        ):
            await refusal(413, _too_large(most), "too_large")(scope, receive, send)
            return
        seconds = settings.read_seconds
        whole = math.inf if upload else _WHOLE * seconds
        await self._app(scope, _Bounded(receive, most, seconds, whole), send)


class _Bounded:
    """Receives a body up to ``most`` bytes, each piece of it within ``seconds``, and all of it
    within ``all_seconds``."""

    def __init__(self, receive: Receive, most: int, seconds: float, all_seconds: float) -> None:
        self._receive, self._most, self._seconds = receive, most, seconds
        self._until = asyncio.get_running_loop().time() + all_seconds
        self._seen, self._whole = 0, False

    async def __call__(self) -> Message:
        if self._whole:  # from now on it is told only that the client has left
            return await self._receive()
        try:
            now = asyncio.get_running_loop().time()
            async with asyncio.timeout_at(min(now + self._seconds, self._until)):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(
                408, t("The request did not arrive in time. Send it again.")
            ) from None
        if message["type"] == "http.request":
            self._seen += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._seen > self._most:
                raise HTTPException(413, _too_large(self._most))
        return message


def _too_large(most: int) -> str:
    return t("The request has more than {megabytes:g} MB. Send less, or raise the limit in "
             "[serve].", megabytes=most / 1_000_000)  # fmt: skip


def _without_port(host: str) -> str:
    return re.sub(r":\d*$", "", host.strip().lower()).strip("[]").rstrip(".")


def _plain_host(host: str) -> str:
    """Host and port as an origin writes them."""
    return re.sub(r":(80|443)$", "", host.strip().lower())


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _needs_key(path: str) -> bool:
    """Whether nothing, also of the body, is read without a key that holds. The rest is public, or
    looks at the key itself before it reads."""
    return path not in _KEYLESS and not path.startswith(_KEYLESS_BELOW)


def _is_preflight(scope: Scope, headers: Headers) -> bool:
    return scope["method"] == "OPTIONS" and "access-control-request-method" in headers


def _preflight(headers: Headers) -> Response:
    wanted = headers.get("access-control-request-headers", "")
    allowed = {
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": wanted if _HEADER_NAMES.fullmatch(wanted) else "",
        "Access-Control-Max-Age": "600",
    }
    if headers.get("access-control-request-private-network") == "true":
        allowed["Access-Control-Allow-Private-Network"] = "true"
    return Response(status_code=204, headers=allowed)


def _with_cors(send: Send, origin: str) -> Send:
    """Let the page's scripts read the response."""

    async def out(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = _EXPOSED
            headers.add_vary_header("Origin")
        await send(message)

    return out
