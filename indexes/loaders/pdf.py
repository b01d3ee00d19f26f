"""PDF: the text layer of each page, as PDFium reads it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from indexes.decoding import looks_like_text
from indexes.errors import LoadError
from indexes.i18n import t
from indexes.loaders.draft import Draft, one_line
from indexes.loaders.lines import drop_running_heads, rejoin

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_DATE = re.compile(r"D?:?(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?")
# Titles that a program wrote, not a person.
_SENSELESS = re.compile(
    r"(?i)^(?:microsoft (?:word|powerpoint|excel)\b.*|untitled.*|unnamed.*|anonymous|unspecified"
    r"|无标题.*|slide 1|document\d*|title"
    r"|.*\.(?:docx?|pptx?|xlsx?|pdf|tex|dvi|indd|qxd|ps|rtf|odt|html?))$"
)


def read_pdf(data: bytes) -> Draft:
    """The text of each page, with the line breaks of the layout undone.

    Raises:
        LoadError: encrypted, damaged, or without a text layer.
    """
    document = _opened(data)
    try:
        pages = [_page_text(document, index) for index in range(len(document))]
        info = document.get_metadata_dict()
    finally:
        document.close()
    if not any(page.strip() for page in pages):
        raise LoadError(
            t("The PDF has {pages} pages and no text: probably scanned images. "
              "Run OCR on it first.", pages=len(pages))
        )  # fmt: skip
    if not looks_like_text("".join(pages)):
        raise LoadError(
            t("The PDF's fonts do not say which characters they show. Run OCR on it first.")
        )
    pages = [rejoin(page) for page in drop_running_heads(pages)]
    return Draft(
        tuple(pages),
        "text",
        "pdf",
        title=_title(info.get("Title", ""), pages),
        paged=True,
        metadata={
            "pages": len(pages),
            "author": info.get("Author"),
            "date": _iso_date(info.get("CreationDate", "")),
        },
    )


def _opened(data: bytes) -> PdfDocument:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
        len(document)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower() or "security" in str(error).lower():
            raise LoadError(
                t("The file is password protected. Save it without a password.")
            ) from error
        raise LoadError(t("The file is damaged. Get a fresh copy.")) from error
    return document


def _page_text(document: PdfDocument, index: int) -> str:
    """One page's text, ``""`` where the page itself is damaged: the others still count."""
    import pypdfium2

    try:
        page = document[index]
        text_page = page.get_textpage()
    except pypdfium2.PdfiumError:
        return ""
    text: str = text_page.get_text_range()
    text_page.close()
    page.close()
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _title(declared: str, pages: list[str]) -> str:
    declared = one_line(declared)
    if len(declared) > 1 and not _SENSELESS.match(declared) and looks_like_text(declared):
        return declared
    first = next((line for page in pages[:1] for line in page.split("\n") if line.strip()), "")
    first = one_line(first)
    ends_open = first[-1:] not in ".,;:，。；："
    return first if 2 <= len(first) <= 80 and ends_open and any(map(str.isalpha, first)) else ""


def _iso_date(value: str) -> str:
    match = _DATE.match(value)
    if match is None:
        return ""
    year, month, day, hour, minute, second = match.groups()
    if not month or not day:
        return year + (f"-{month}" if month else "")
    date = f"{year}-{month}-{day}"
    return f"{date}T{hour}:{minute}:{second or '00'}" if hour and minute else date
