"""What came from the web, read as a file of its type would be."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agents.toolbox.fetching import Fetched
from indexes.decoding import decode
from indexes.loaders import Limits
from indexes.loaders.formats import IN_PROCESS, ZIPPED, suffix_of, supported
from indexes.types import Extracted

_SUFFIXES: Final = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/json": "json",
    "application/ld+json": "json",
    "application/xml": "xml",
    "application/rss+xml": "xml",
    "application/atom+xml": "xml",
    "text/xml": "xml",
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "text/markdown": "md",
    "application/pdf": "pdf",
    "application/epub+zip": "epub",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
}
_UNTOLD: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})
"""Types by which a server says that it does not know one."""
_MAGIC: Final = (b"%PDF", b"PK\x03\x04")
READING: Final = Limits(seconds=30.0)
"""Of a child process that reads pages; it may start for one alone."""
_NOT_CODED: Final = ZIPPED | {"pdf", "rtf", "msg"}


def is_readable(kind: str) -> bool:
    """Whether documents of that type can be read."""
    return kind in _SUFFIXES or kind.startswith("text/")


def is_readable_as(kind: str, url: str) -> bool:
    """The same, where the address may tell more than the type."""
    seen = kind.startswith(("image/", "audio/", "video/", "font/"))
    return is_readable(kind) or kind in _UNTOLD or (not seen and supported(_named(url)))


def extracted_from(page: Fetched, load: Callable[[Path], Extracted]) -> Extracted:
    """The text of ``page``; ``load`` reads a file. Raises `LoadError`."""
    suffix = _suffix(page)
    with tempfile.TemporaryDirectory(prefix="waggle-page-") as folder:
        path = Path(folder) / f"page.{suffix}"
        path.write_bytes(_in_utf8(page) if _is_coded(page, suffix) else page.data)
        return load(path)


def _suffix(page: Fetched) -> str:
    """By the type; where that says little, by the address, as far as it names a known format."""
    if page.kind in _SUFFIXES:
        return _SUFFIXES[page.kind]
    named = suffix_of(_named(page.url))
    if page.kind.startswith("text/"):
        return named if named in IN_PROCESS else "txt"
    return named if supported(_named(page.url)) else "txt"


def _named(url: str) -> Path:
    return Path(urlsplit(url).path)


def _is_coded(page: Fetched, suffix: str) -> bool:
    """Whether the server says how the page is coded, and means text."""
    binary = suffix in _NOT_CODED or page.kind in _UNTOLD or page.data.startswith(_MAGIC)
    return bool(page.charset) and not binary


def _in_utf8(page: Fetched) -> bytes:
    return decode(page.data, page.charset).encode("utf-8-sig", "replace")
