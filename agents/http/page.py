"""The page at ``/``, its assets, and the widget for the pages of others.

The assets are files of this package, written by hand; nothing is fetched from elsewhere.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath
from typing import Final

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

router = APIRouter(include_in_schema=False)

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""The content security policy of the page: nothing but its own files runs, is shown or is asked,
and no text becomes markup."""

_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_SAFE: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-DNS-Prefetch-Control": "off",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_PAGE: Final[Mapping[str, str]] = {
    **_SAFE, "Content-Security-Policy": POLICY, "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}  # fmt: skip
_ASSET: Final[Mapping[str, str]] = {
    **_SAFE, "Content-Security-Policy": "default-src 'none'",
    "Cross-Origin-Resource-Policy": "cross-origin",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page; ``etag`` is of its content."""

    data: bytes
    media_type: str
    etag: str


@cache
def assets() -> Mapping[str, Asset]:
    """The files, by name."""
    from importlib.resources import files

    found = {}
    for file in files("agents.http").joinpath("assets").iterdir():
        media_type = _TYPES.get(PurePath(file.name).suffix)
        if media_type is not None:
            data = file.read_bytes()
            etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
            found[file.name] = Asset(data, media_type, etag)
    return found


@router.get("/")
async def page(request: Request) -> Response:
    """The chat page."""
    return _sent(request, "index.html", _PAGE)


@router.get("/widget.js")
async def widget(request: Request) -> Response:
    """The script that puts the assistant on any page."""
    return _sent(request, "embed.js", _ASSET)


@router.get("/favicon.ico")
async def favicon(request: Request) -> Response:
    """What browsers ask for unasked."""
    return _sent(request, "logo.svg", _ASSET)


@router.get("/assets/{name}")
async def asset(request: Request, name: str) -> Response:
    """A file of the page."""
    if name == "index.html" or name not in assets():
        raise HTTPException(404)
    return _sent(request, name, _ASSET)


def _sent(request: Request, name: str, headers: Mapping[str, str]) -> Response:
    """Browsers keep the file, and ask whether it is still the same."""
    asset = assets()[name]
    more = {**headers, "ETag": asset.etag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=304, headers=more)
    return Response(asset.data, media_type=asset.media_type, headers=more)
