"""A form with one file, written to the disk while it arrives.

FastAPI would take in a whole form before it asks who sent it, and in the system's folder for
temporary files; here the caller is known and the size counted as it comes.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from agents.doors.upload_contents import Incoming
from indexes.errors import UsageError
from indexes.i18n import t

_PIECE = 1_000_000
"""Bytes that are gathered before they are written."""
_LONGEST_FIELD = 64_000
_MOST_PARTS = 50


@dataclass(frozen=True, slots=True)
class Form:
    """The name of the file, as it was sent, and the other fields."""

    filename: str
    fields: Mapping[str, str]


async def receive_form(request: Request, incoming: Incoming) -> Form:
    """Take in a form, whose part ``file`` goes to ``incoming``. Raises `UsageError` for what is no
    such form, or not a whole one."""
    parts = _Parts()
    parser = _parser(request.headers.get("content-type", ""), parts)
    try:
        async for chunk in request.stream():
            parser.write(chunk)
            if len(parts.piece) >= _PIECE:
                await asyncio.to_thread(incoming.write, parts.taken())
        parser.finalize()
    except FormParserError as error:
        _refuse(str(error))
    if not parts.whole:
        _refuse(t("it ends too early"))
    if parts.filename is None:
        _refuse(t("its part «file» holds no file"))
    await asyncio.to_thread(incoming.write, parts.taken())
    return Form(parts.filename, parts.texts())


@dataclass(slots=True)
class _Parts:
    """What the parser has found so far."""

    filename: str | None = None
    whole: bool = False
    piece: bytearray = field(default_factory=bytearray)
    _count: int = 0
    _fields: dict[str, bytearray] = field(default_factory=dict)
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _target: bytearray = field(default_factory=bytearray)

    def taken(self) -> bytes:
        """The bytes of the file that were not taken before."""
        piece, self.piece[:] = bytes(self.piece), b""
        return piece

    def texts(self) -> dict[str, str]:
        """The fields."""
        return {name: value.decode("utf-8", "replace") for name, value in self._fields.items()}

    def begin(self) -> None:
        self._count += 1
        if self._count > _MOST_PARTS:
            _refuse(t("it has too many parts"))
        self._headers = {}

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def headers_end(self) -> None:
        """The part is known by its headers: the file, or a field."""
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name != "file":
            self._target = self._fields.setdefault(name, bytearray())
        elif self.filename is not None or b"filename" not in options:
            _refuse(t("its part «file» must be one file"))
        else:
            self.filename = options[b"filename"].decode("utf-8", "replace")
            self._target = self.piece

    def data(self, data: bytes, start: int, end: int) -> None:
        self._target += data[start:end]
        if self._target is not self.piece and len(self._target) > _LONGEST_FIELD:
            _refuse(t("one of its fields is too long"))

    def end(self) -> None:
        self.whole = True


def _parser(content_type: str, parts: _Parts) -> MultipartParser:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        _refuse(t("it is not «multipart/form-data»"))
    try:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": parts.begin,
                "on_header_field": parts.header_name,
                "on_header_value": parts.header_value,
                "on_header_end": parts.header_end,
                "on_headers_finished": parts.headers_end,
                "on_part_data": parts.data,
                "on_end": parts.end,
            },
        )
    except FormParserError as error:
        _refuse(str(error))


def _refuse(reason: str) -> NoReturn:
    raise UsageError(t("The upload cannot be read: {reason}. Send a form with the parts «file» "
                        "and «purpose».", reason=reason))  # fmt: skip
