"""What is seen of the service: a log line, figures, a span and an audit line for each request."""

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Response
from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agents.doors.rights import LOCAL, Caller
from agents.doors.service import Service
from agents.http.depending import ReaderOf, ServiceOf
from agents.http.hosts import UNCOUNTED, caller_in
from indexes.errors import ForbiddenError, UsageError
from indexes.home import check_name
from indexes.i18n import t

router = APIRouter(tags=["health"])

_REFUSED: Final = frozenset({401, 403, 413, 421, 429})
_READING: Final = frozenset({
    "/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/api/ask", "/mcp",
    "/v1/vector_stores/{vector_store_id}/search",
})  # fmt: skip
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_FIGURES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
}
_ID: Final = re.compile(r"[\w-]{8,64}")

_log = logging.getLogger("waggle.http")


@router.get("/metrics", response_class=Response, responses=_FIGURES)
async def metrics(service: ServiceOf, caller: ReaderOf) -> Response:
    """The figures of the service, as Prometheus reads them. They tell of every collection, so a
    key that is bound to some does not get them."""
    if caller.collections is not None:
        raise ForbiddenError(t("The metrics need a key that is bound to no collection."))
    text = await asyncio.to_thread(service.metrics.text)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


class Observed:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = _Seen(scope)

        async def out(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = seen.id
            await send(message)

        async with self._watching(seen):
            await self._app(scope, receive, out)

    @asynccontextmanager
    async def _watching(self, seen: "_Seen") -> AsyncGenerator[None]:
        figures = self._service.metrics
        with _span(seen) as span, figures.counting():
            try:
                yield
            finally:
                self._tell(seen, span)

    def _tell(self, seen: "_Seen", span: Span) -> None:
        seconds = time.perf_counter() - seen.started
        figures = self._service.metrics
        figures.requests.labels(seen.route, str(seen.status)).inc()
        figures.request_seconds.labels(seen.route).observe(seconds)
        span.update_name(f"{seen.method} {seen.route}")
        span.set_attribute("http.route", seen.route)
        span.set_attribute("http.response.status_code", seen.status)
        if seen.route not in UNCOUNTED or seen.status >= 400:
            _log.info("request", extra={"fields": {
                "id": seen.id, "key": seen.key, "method": seen.method, "route": seen.route,
                "status": seen.status, "seconds": round(seconds, 4),
            }})  # fmt: skip
        if seen.status in _REFUSED or seen.changes:
            outcome = "done" if seen.status < 400 else str(seen.status)
            what = f"{seen.method} {seen.route}"
            audit = self._service.audit
            keyless = not seen.key or (seen.key == LOCAL.key and seen.status in _REFUSED)
            write = audit.refused if keyless else audit.write
            write(seen.key, what, outcome, seen.collection)


class _Seen:
    """A request and what became of it. Only what cannot hold anybody's text goes out of here: the
    pattern of the route, not the path."""

    def __init__(self, scope: Scope) -> None:
        given = Headers(scope=scope).get("x-request-id", "")
        self.id = given if _ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"
        self.scope, self.status, self.started = scope, 499, time.perf_counter()

    @property
    def method(self) -> str:
        method: str = self.scope["method"]
        return method if method in _METHODS else "OTHER"

    @property
    def route(self) -> str:
        """The pattern; «other» for what is no route of ours."""
        path = getattr(self.scope.get("route"), "path", None)
        return str(path) if path else "/mcp" if self.scope["path"].startswith("/mcp") else "other"

    @property
    def key(self) -> str:
        caller = caller_in(self.scope)
        return caller.key if isinstance(caller, Caller) else ""

    @property
    def collection(self) -> str:
        """The one that the path names; empty for what no collection can be called."""
        given = self.scope.get("path_params", {})
        name = str(given.get("vector_store_id", "")).removeprefix("vs_") or given.get("collection")
        try:
            return check_name(str(name or ""))
        except UsageError:
            return ""

    @property
    def changes(self) -> bool:
        return self.method not in ("GET", "HEAD", "OPTIONS") and self.route not in _READING


def _span(seen: _Seen) -> Any:
    headers = Headers(scope=seen.scope)
    return trace.get_tracer("waggle").start_as_current_span(
        seen.method,
        context=propagate.extract(headers),
        kind=SpanKind.SERVER,
        attributes={"http.request.method": seen.method, "waggle.request.id": seen.id},
        record_exception=False,
    )


class JsonLines(logging.Formatter):
    """A log record as one JSON object: when, level, event, and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "when": when, "level": record.levelname.lower(), "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }  # fmt: skip
        return json.dumps(line, ensure_ascii=False)
