"""`/docs`: the routes for people, drawn from the OpenAPI description; nothing is fetched.

FastAPI's own page fetches its scripts from a foreign server.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from indexes.i18n import t

router = APIRouter(include_in_schema=False)

_STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
summary { cursor: pointer; padding: .3rem 0; }
code { font-family: ui-monospace, monospace; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 600; }
details { border-bottom: 1px solid #8884; }
td, th { text-align: start; vertical-align: top; padding: .1rem 1rem .1rem 0; }
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_Schema = Mapping[str, Any]


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """The routes, for people."""
    return HTMLResponse(page(request.app.openapi()), headers=_HEADERS)


def page(schema: _Schema) -> str:
    """The whole page."""
    info = schema["info"]
    title = escape(f"{info['title']} {info['version']}")
    rows = "".join(
        _operation(schema, method, path, operation)
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    )
    machine = t("For machines: {link}", link='<a href="/openapi.json">openapi.json</a>')
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width">'
        f"<style>{_STYLE}</style><h1>{title}</h1><p>{escape(info.get('description', ''))}</p>"
        f"<p>{machine}</p>{rows}</html>"
    )


def _operation(schema: _Schema, method: str, path: str, operation: _Schema) -> str:
    text = operation.get("description") or operation.get("summary", "")
    fields = "".join(f"<tr>{row}</tr>" for row in _fields(schema, operation))
    return (
        f'<details><summary><code><span class="method">{method.upper()}</span>{escape(path)}</code>'
        f"</summary><p>{escape(text)}</p><table>{fields}</table></details>"
    )


def _fields(schema: _Schema, operation: _Schema) -> Iterator[str]:
    """What the operation takes: its parameters, then the fields of its body."""
    for one in operation.get("parameters", ()):
        yield _row(one["name"], one.get("schema", {}), one.get("description", ""), one["in"])
    for content in operation.get("requestBody", {}).get("content", {}).values():
        shape = _resolved(schema, content.get("schema", {}))
        needed = shape.get("required", ())
        for name, field in shape.get("properties", {}).items():
            place = t("body, needed") if name in needed else t("body")
            yield _row(name, field, field.get("description", ""), place)


def _row(name: str, shape: _Schema, description: str, place: str) -> str:
    cells = (f"<code>{escape(name)}</code>", escape(_kind(shape)), escape(place))
    return "".join(f"<td>{cell}</td>" for cell in (*cells, escape(description)))


def _kind(shape: _Schema) -> str:
    """The type of a field in a few words."""
    if "anyOf" in shape:
        return " | ".join(dict.fromkeys(map(_kind, shape["anyOf"])))
    if "$ref" in shape:
        return str(shape["$ref"]).rsplit("/", 1)[1]
    if "enum" in shape or "const" in shape:
        return " | ".join(map(str, shape.get("enum", [shape.get("const")])))
    if shape.get("type") == "array":
        return f"[{_kind(shape.get('items', {}))}]"
    return str(shape.get("type", "any"))


def _resolved(schema: _Schema, shape: _Schema) -> _Schema:
    while "$ref" in shape:
        shape = schema["components"]["schemas"][shape["$ref"].rsplit("/", 1)[1]]
    return shape
