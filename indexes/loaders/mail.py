"""E-mail: the headers that people look for, then the body, then the attachments' names."""

from __future__ import annotations

import datetime
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

from indexes.cleaning import clean
from indexes.decoding import decode
from indexes.loaders.draft import Draft
from indexes.loaders.html_markdown import markdown_of, parse_html
from indexes.loaders.web import read_html

if TYPE_CHECKING:
    from olefile import OleFileIO

_LABELS = {"subject": "Subject", "from": "From", "to": "To", "cc": "Cc", "date": "Date"}


def read_eml(data: bytes) -> Draft:
    """An Internet message (RFC 5322)."""
    message = message_from_bytes(data, policy=policy.default)
    headers = {key: _header(message, key) for key in _LABELS}
    plain = message.get_body(preferencelist=("plain",))
    html = message.get_body(preferencelist=("html",))
    body = _part_text(plain) if plain is not None else ""
    if not body.strip() and html is not None:
        body = markdown_of(parse_html(_part_text(html)))
    names = [part.get_filename() or "" for part in message.iter_attachments()]
    return _mail(headers, body, names, "eml")


def read_mhtml(data: bytes) -> Draft:
    """A web page that a browser has saved in one file (RFC 2557)."""
    message = message_from_bytes(data, policy=policy.default)
    page = next((p for p in message.walk() if p.get_content_type() == "text/html"), None)
    if page is None:
        return read_eml(data)
    return replace(read_html(_part_text(page).encode("utf-8")), format="mhtml")


def _header(message: EmailMessage, name: str) -> str:
    try:
        value = str(message.get(name, ""))
    except (ValueError, IndexError, AttributeError, TypeError):
        # The standard library's header parser fails on some malformed addresses.
        value = next((str(v) for k, v in message.raw_items() if k.lower() == name), "")
    return " ".join(clean(value).split())


def _part_text(part: MIMEPart) -> str:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes) or not content:
        return ""
    return decode(content, part.get_content_charset())


def _mail(headers: dict[str, str], body: str, attachments: list[str], found: str) -> Draft:
    lines = [f"{_LABELS[key]}: {value}" for key, value in headers.items() if value]
    names = [name for name in attachments if name]
    if names:
        lines.append("Attachments: " + ", ".join(names))
    metadata: dict[str, object] = {**headers, "date": _iso_date(headers.get("date", ""))}
    return Draft(
        ("\n".join(lines) + "\n\n" + body.strip(),),
        "text",
        found,
        title=headers.get("subject", ""),
        metadata={**metadata, "attachments": len(names)},
    )


def _iso_date(value: str) -> str:
    try:
        return parsedate_to_datetime(value).isoformat()
    except (ValueError, TypeError, IndexError):
        return value


# Property numbers of [MS-OXPROPS].
_SUBJECT, _BODY, _SENDER, _SENDER_ADDRESS, _TO, _CC = "0037", "1000", "0C1A", "0C1F", "0E04", "0E03"
_HTML, _LONG_NAME, _SHORT_NAME = "1013", "3707", "3704"
_SENT = bytes.fromhex("40003900")  # PidTagClientSubmitTime, PtypTime, as stored


def read_msg(data: bytes) -> Draft:
    """An Outlook message ([MS-OXMSG])."""
    import olefile

    with olefile.OleFileIO(BytesIO(data)) as ole:
        sender, address = _property(ole, "", _SENDER), _property(ole, "", _SENDER_ADDRESS)
        shown = f"{sender} <{address}>" if "@" in address and address != sender else sender
        headers = {
            "subject": _property(ole, "", _SUBJECT),
            "from": shown,
            "to": _property(ole, "", _TO),
            "cc": _property(ole, "", _CC),
            "date": _sent(ole),
        }
        body = _property(ole, "", _BODY)
        if not body.strip():
            markup = _property(ole, "", _HTML)
            body = markdown_of(parse_html(markup)) if markup.strip() else ""
        folders = {path[0] for path in ole.listdir() if path[0].startswith("__attach_version1.0_")}
        names = [
            _property(ole, folder + "/", _LONG_NAME) or _property(ole, folder + "/", _SHORT_NAME)
            for folder in sorted(folders)
        ]
    return _mail(headers, body, names, "msg")


def _property(ole: OleFileIO[Any], folder: str, number: str) -> str:
    """A text property; the last four digits of a stream's name give its type."""
    for kind in ("001F", "001E", "0102"):
        path = f"{folder}__substg1.0_{number}{kind}"
        if ole.exists(path):
            content: bytes = ole.openstream(path).read()
            if kind == "001F":
                return content.decode("utf-16-le", errors="replace").rstrip("\0")
            content = content.rstrip(b"\0")
            return decode(content) if content.strip() else ""
    return ""


def _sent(ole: OleFileIO[Any]) -> str:
    """The time of sending: 100 ns since 1601, as Windows counts."""
    if not ole.exists("__properties_version1.0"):
        return ""
    table: bytes = ole.openstream("__properties_version1.0").read()
    for offset in range(32, len(table) - 15, 16):
        if table[offset : offset + 4] == _SENT:
            ticks = int.from_bytes(table[offset + 8 : offset + 16], "little")
            start = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)
            return (start + datetime.timedelta(microseconds=ticks // 10)).isoformat()
    return ""
