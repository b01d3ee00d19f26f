"""From failures to statuses, with the error body that OpenAI's clients read."""

import logging
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agents.shapes import Shape
from indexes.embedding.base import well_formed
from indexes.errors import (
    AccessError,
    BusyError,
    CollectionError,
    ContextOverflowError,
    ForbiddenError,
    LockedError,
    ModelError,
    QuotaError,
    RunError,
    SourceError,
    UnauthorizedError,
    UnknownCollectionError,
    UnknownItemError,
    UnknownSourceError,
    UsageError,
    WaggleError,
)
from indexes.i18n import t

# The first class that an error belongs to counts: status, type, code.
_STATUSES: Sequence[tuple[type[WaggleError], int, str, str]] = (
    (QuotaError, 413, "invalid_request_error", "quota_exceeded"),
    (UsageError, 400, "invalid_request_error", "invalid_value"),
    (UnauthorizedError, 401, "authentication_error", "invalid_api_key"),
    (ForbiddenError, 403, "permission_error", "forbidden"),
    (BusyError, 429, "rate_limit_error", "rate_limit_exceeded"),
    (UnknownItemError, 404, "invalid_request_error", "not_found"),
    (AccessError, 503, "server_error", "unavailable"),
    (UnknownCollectionError, 404, "invalid_request_error", "not_found"),
    (UnknownSourceError, 404, "invalid_request_error", "not_found"),
    (LockedError, 409, "conflict_error", "locked"),
    (RunError, 409, "conflict_error", "conflict"),
    (SourceError, 400, "invalid_request_error", "invalid_file"),
    (CollectionError, 503, "server_error", "index_unavailable"),
    (ContextOverflowError, 400, "invalid_request_error", "context_length_exceeded"),
    (ModelError, 503, "server_error", "model_unavailable"),
)
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_GONE = 499

_log = logging.getLogger("waggle.http")


class ReasonShape(Shape):
    """``param`` is the field that is wrong, where it is one."""

    message: str
    type: str
    param: str | None
    code: str


class RefusedShape(Shape):
    """The body of every failure."""

    error: ReasonShape


def status_of(error: WaggleError) -> tuple[int, str, str]:
    """The status of an error, and its ``type`` and ``code`` in the body."""
    for kind, status, name, code in _STATUSES:
        if isinstance(error, kind):
            return status, name, code
    return 500, "server_error", "internal_error"


def body_of(error: WaggleError, param: str | None = None) -> dict[str, Any]:
    """``{"error": {"message", "type", "param", "code"}}``."""
    _, kind, code = status_of(error)
    return _body(str(error), kind, code, param)


def response_of(error: WaggleError, headers: Mapping[str, str] | None = None) -> Response:
    """The response that tells of the error."""
    status, _, _ = status_of(error)
    more = dict(headers or {})
    if isinstance(error, BusyError):
        more["Retry-After"] = str(max(1, round(error.retry_after + 0.5)))
    if status == 401:
        more["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body_of(error), status, more)


def refusal(status: int, message: str, code: str) -> Response:
    """The response of a request that no error of ours stands for."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return JSONResponse(_body(message, kind, code), status)


def install(app: FastAPI) -> None:
    """Let every failure of the app's routes answer in this form."""
    app.add_exception_handler(WaggleError, _waggle_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)


class Failing:
    """The innermost middleware: a mistake of ours becomes a 500 without details; the log says
    where it happened, and not what was in its message, which may be somebody's text."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            if scope["type"] != "http":
                raise
            _log_mistake(error)
            if not started:
                await _answer_to(error)(scope, receive, send)


def _answer_to(error: Exception) -> Response:
    """What the client reads of an error that reached no handler."""
    if isinstance(error, WaggleError):
        return response_of(error)
    if isinstance(error, HTTPException):
        return refusal(error.status_code, str(error.detail), "refused")
    message = t("Waggle made a mistake. The log of the service says where.")
    return refusal(500, message, "internal_error")


def _log_mistake(error: Exception) -> None:
    if isinstance(error, WaggleError | HTTPException | ClientDisconnect):
        return
    places = [
        f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)
    ]
    _log.error("mistake", extra={"fields": {"kind": type(error).__name__, "at": places[-12:]}})


def _body(message: str, kind: str, code: str, param: str | None = None) -> dict[str, Any]:
    reason = ReasonShape(message=well_formed(message), type=kind, param=param, code=code)
    return RefusedShape(error=reason).model_dump()


async def _waggle_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, WaggleError)
    return response_of(error)


async def _validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    message = t("«{name}» is not usable: {reason}.", name=place or "body", reason=first["msg"])
    body = _body(message, "invalid_request_error", "invalid_value", place or None)
    return JSONResponse(body, 400)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {
        404: t("There is no such route here. The routes are listed at /docs."),
        405: t("This route does not take that method. The routes are listed at /docs."),
    }
    usual = error.detail in ("Not Found", "Method Not Allowed")
    message = sentences[error.status_code] if usual else str(error.detail)
    response = refusal(error.status_code, message, "refused")
    response.headers.update(error.headers or {})
    if error.status_code == 405 and (methods := ", ".join(_methods(request))):
        response.headers["Allow"] = methods
    return response


def _methods(request: Request) -> Iterator[str]:
    """Those that the routes at the path of a request take together; each knows but its own. What is
    no route of ours takes any, and tells by itself which."""
    for method in ("DELETE", "GET", "PATCH", "POST", "PUT"):
        scope = {**request.scope, "method": method}
        routes = (
            route for route in request.app.routes if getattr(route, "methods", ()) is not None
        )
        if any(route.matches(scope)[0] is Match.FULL for route in routes):
            yield method


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=_GONE)
