"""`/openapi.json`: what FastAPI knows of the routes, and what it does not: how they fail, who may
use them, and what they are called."""

import re
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from agents.http.failures import RefusedShape
from agents.http.hosts import UNCOUNTED

_KEY: Final = "key"
_SCHEMAS: Final = "#/components/schemas/"
_PROBES: Final = frozenset({"/healthz", "/readyz"})
_JSON: Final = "application/json"
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_BELOW: Final = re.compile(r"/\{(\w+)\}")
_IDS: Final = {"run": "run_id", "collection": "name"}
"""What the id is called of that which a parameter names, where it is not «id»."""
_FIRST: Final = re.compile(r"(?<=\.)\s|[:,;]\s")
_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key, as «waggle serve --new-key NAME» makes it.",
}
_TAGS: Final[Mapping[str, str]] = {
    "openai": "OpenAI's API over the collections: its clients work unchanged.",
    "agent": "Runs of the agent, and the decisions for which they wait.",
    "page": "What the chat page uses: whole citations, documents and feedback.",
    "health": "Whether the service lives and can answer, and its figures.",
}
_FAILURES: Final[Mapping[int, str]] = {
    400: "The request is wrong; «param» names the field.",
    401: "A key is needed, and this one does not hold.",
    403: "The key lacks the right, or the web page is not allowed.",
    404: "There is no such thing for this key.",
    408: "The request came too slowly.",
    409: "Somebody else is writing, or the run has gone on meanwhile.",
    413: "The request is too large.",
    421: "The service is not known by the name in «Host».",
    429: "Too much at a time, or in a minute.",
    500: "A mistake of Waggle's; the log of the service says where.",
    503: "The model, or the index, cannot answer now.",
}
_Schema = dict[str, Any]


def describe(app: FastAPI, *, key_needed: bool) -> None:
    """Have the app described by `description`, made when it is first asked for."""

    def openapi() -> _Schema:
        if app.openapi_schema is None:
            app.openapi_schema = description(app, key_needed=key_needed)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def name_of_route(route: APIRoute) -> str:
    """The id of an operation: the module that it stands in, and its function."""
    return f"{route.endpoint.__module__.rpartition('.')[2]}_{route.name}"


def description(app: FastAPI, *, key_needed: bool) -> _Schema:
    """The description of the app's routes, as OpenAPI 3.1 wants it. ``key_needed``: no request is
    let in without a key."""
    schema = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
    )  # fmt: skip
    parts = schema["components"]
    for name in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(name, None)
    refused = RefusedShape.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}")
    parts["schemas"] |= {**refused.pop("$defs"), RefusedShape.__name__: refused}
    parts["securitySchemes"] = {_KEY: _BEARER}
    parts["responses"] = {str(status): _failure(status, text) for status, text in _FAILURES.items()}
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            _complete(operation, method, path, key_needed=key_needed)
        if "post" in operations:
            _link(operations["post"], path, schema["paths"])
    return schema


def _complete(operation: _Schema, method: str, path: str, *, key_needed: bool) -> None:
    """Add to an operation how it fails, its summary, and whether it needs a key."""
    responses = operation["responses"]
    responses.pop("422", None)
    for status in _statuses(operation, method, path):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/{status}"})
    operation["tags"] = list(dict.fromkeys(operation["tags"]))
    operation["summary"] = _FIRST.split(operation["description"])[0].rstrip(".")
    if path not in _PROBES:
        operation["security"] = [{_KEY: []}] if key_needed else [{_KEY: []}, {}]


def _link(made: _Schema, path: str, paths: _Schema) -> None:
    """Tell of an operation that makes something with which others that is looked at."""
    links: _Schema = {}
    for other, operations in paths.items():
        name = _BELOW.match(other.removeprefix(path)) if other.startswith(path) else None
        if name is None:
            continue
        given = {outer: f"$request.path.{outer}" for outer in _PARAMETER.findall(path)}
        given[name[1]] = f"$response.body#/{_IDS.get(name[1], 'id')}"
        if set(given) == set(_PARAMETER.findall(other)):
            links |= {one["operationId"]: {"operationId": one["operationId"], "parameters": given}
                      for one in operations.values()}  # fmt: skip
    if links:
        made["responses"]["201" if "201" in made["responses"] else "200"]["links"] = links


def _statuses(operation: _Schema, method: str, path: str) -> list[int]:
    """The statuses of failures that a request to a route can meet."""
    found = {403, 421, 500}
    if path not in _PROBES:
        found |= {401, 503}
    if path not in UNCOUNTED:
        found |= {429}
    if "parameters" in operation or "requestBody" in operation:
        found |= {400, 404}
    if "requestBody" in operation:
        found |= {408, 413}
    if method != "get" or path.endswith("/runs/{run}"):
        found |= {409}
    return sorted(found)


def _failure(status: int, text: str) -> _Schema:
    headers = {
        429: {"Retry-After": _header("integer", "seconds after which it can be tried again")},
        401: {"WWW-Authenticate": _header("string", "Bearer")},
    }
    content = {_JSON: {"schema": {"$ref": _SCHEMAS + RefusedShape.__name__}}}
    known = headers.get(status)
    return {"description": text, "content": content} | ({"headers": known} if known else {})


def _header(kind: str, text: str) -> _Schema:
    return {"required": True, "description": text, "schema": {"type": kind}}
