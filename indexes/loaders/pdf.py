"""PDF: the text layer of each page, as PDFium reads it, in reading order."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from indexes.cleaning import one_line
from indexes.decoding import looks_like_text
from indexes.errors import LoadError
from indexes.i18n import t
from indexes.loaders.draft import Draft
from indexes.loaders.pdf_layout import arrange
from indexes.loaders.pdf_page import read_page
from indexes.loaders.pdf_structure import (
    Entry,
    Page,
    drop_running_heads,
    has_listings,
    heading_levels,
    page_text,
)

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_MAX_BOOKMARKS = 5000
_DATE = re.compile(r"D?:?(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?")
# Titles that a program wrote, not a person.
_SENSELESS = re.compile(
    r"(?i)^(?:microsoft (?:word|powerpoint|excel)\b.*|untitled.*|unnamed.*|anonymous|unspecified"
    r"|无标题.*|slide 1|document\d*|title"
    r"|.*\.(?:docx?|pptx?|xlsx?|pdf|tex|dvi|indd|qxd|ps|rtf|odt|html?))$"
)


def read_pdf(data: bytes) -> Draft:
    """Each page as Markdown: columns one after the other, tables, headings, joined lines.

    Raises:
        LoadError: encrypted, damaged, or without a text layer.
    """
    document = _opened(data)
    try:
        pages = [_page(document, index) for index in range(len(document))]
        info = document.get_metadata_dict()
        if not any(page.lines for page in pages):
            raise _without_text(document)
        outline = _outline(document)
    finally:
        document.close()
    if not looks_like_text("".join(line.text for page in pages for line in page.lines)):
        raise LoadError(
            t("The PDF's fonts do not say which characters they show. Run OCR on it first.")
        )
    empty = sum(not page.lines for page in pages)
    pages = drop_running_heads(pages)
    levels = heading_levels(pages, outline)
    listings = has_listings(pages)
    texts = [page_text(page, levels, listings) for page in pages]
    return Draft(
        tuple(texts),
        "markdown",
        "pdf",
        title=_title(info.get("Title", ""), texts),
        paged=True,
        metadata={
            "pages": len(pages),
            "pages_without_text": empty or None,
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


def _page(document: PdfDocument, index: int) -> Page:
    """One page, without lines where the page itself is damaged: the others still count."""
    import pypdfium2

    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        return Page([], 0, 0)
    try:
        content = read_page(page)
    except pypdfium2.PdfiumError:
        return Page([], 0, 0)
    finally:
        page.close()
    return Page(arrange(content), content.top, content.bottom)


def _without_text(document: PdfDocument) -> LoadError:
    import pypdfium2.raw as pdfium

    for index in range(min(len(document), 20)):
        page = document[index]
        if any(True for _ in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3)):
            return LoadError(
                t("The PDF's pages ({pages}) are images without text. Run OCR on the file first, "
                  "for example with ocrmypdf.", pages=len(document))
            )  # fmt: skip
    return LoadError(
        t("The PDF has {pages} pages and no text on them. If they show text, it is drawn as "
          "pictures: run OCR on the file first.", pages=len(document))
    )  # fmt: skip


def _outline(document: PdfDocument) -> list[Entry]:
    """The bookmarks that lead to a page of the document."""
    entries = []
    for bookmark in islice(document.get_toc(), _MAX_BOOKMARKS):
        target = bookmark.get_dest()
        page = target.get_index() if target is not None else None
        if page is not None and page >= 0:
            entries.append(Entry(bookmark.get_title(), bookmark.level + 1, page))
    return entries


def _title(declared: str, pages: list[str]) -> str:
    declared = one_line(declared)
    if len(declared) > 1 and not _SENSELESS.match(declared) and looks_like_text(declared):
        return declared
    first = next((line for page in pages[:1] for line in page.split("\n") if line.strip()), "")
    first = one_line(first.lstrip("#"))
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
