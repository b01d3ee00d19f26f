"""Word documents and Excel workbooks (Office Open XML)."""

import datetime
import zipfile
from collections.abc import Iterator
from io import BytesIO
from typing import Any, BinaryIO
from xml.etree.ElementTree import Element, ParseError

from indexes.loaders.draft import Draft
from indexes.loaders.html_markdown import markdown_of, parse_html
from indexes.loaders.markup import local, parse_xml
from indexes.loaders.tables import render
from indexes.loaders.text import markdown_title
from indexes.loaders.zips import open_zip, refuse_entities

_CORE = {"title": "title", "creator": "author", "modified": "date", "subject": "subject",
         "keywords": "keywords"}  # fmt: skip
_BLANK_ROWS = 1000
# mammoth knows the English names of Word's own styles; WPS stores them in Chinese.
_STYLES = "\n".join(
    ["p[style-name='Title'] => h1:fresh", "p[style-name='标题'] => h1:fresh"]
    + [f"p[style-name='标题 {level}'] => h{level}:fresh" for level in range(1, 7)]
)


def opened(data: bytes) -> zipfile.ZipFile:
    """The archive of an Office file that defines no entities."""
    archive = open_zip(data)
    refuse_entities(archive)
    return archive


def core_properties(archive: zipfile.ZipFile) -> dict[str, object]:
    """Title, author, date of the last change, as far as the file has them."""
    try:
        root = parse_xml(archive.read("docProps/core.xml").decode("utf-8-sig"))
    except (KeyError, ParseError, UnicodeDecodeError):
        return {}
    found = {_CORE[local(e)]: (e.text or "").strip() for e in root if local(e) in _CORE}
    return {key: value for key, value in found.items() if value}


def paragraphs(archive: zipfile.ZipFile, member: str) -> list[str]:
    """The text runs of each paragraph of an XML part; for files that the libraries refuse."""
    root = parse_xml(archive.read(member).decode("utf-8-sig"))
    return [text for e in root.iter() if local(e) == "p" and (text := _runs(e)).strip()]


def _runs(paragraph: Element) -> str:
    marks = {"tab": "\t", "br": "\n", "cr": "\n"}
    return "".join(
        (e.text or "") if local(e) == "t" else marks.get(local(e), "") for e in paragraph.iter()
    )


def read_docx(data: bytes) -> Draft:
    """A Word document as Markdown: headings, lists, tables, notes, formulas as LaTeX."""
    archive = opened(data)
    metadata = core_properties(archive)
    try:
        body = markdown_of(parse_html(_docx_html(archive, data)))
    except (KeyError, IndexError, AttributeError, ValueError, TypeError):
        body = "\n\n".join(paragraphs(archive, "word/document.xml"))
    if not body.strip():
        body = "\n\n".join(paragraphs(archive, "word/document.xml"))
    title = str(metadata.pop("title", "")) or markdown_title(body)
    return Draft((body,), "markdown", "docx", title=title, metadata=metadata)


def _docx_html(archive: zipfile.ZipFile, data: bytes) -> str:
    import mammoth

    stream: BinaryIO = BytesIO(data)
    if b"<m:oMath" in archive.read("word/document.xml"):
        # Slow to import, and only formulas need it: mammoth would drop them.
        from markitdown.converter_utils.docx.pre_process import pre_process_docx

        stream = pre_process_docx(stream)
    # Pictures would arrive as data URIs, megabytes of base64.
    pictures = mammoth.images.img_element(lambda image: {"src": "", "alt": image.alt_text or ""})
    result = mammoth.convert_to_html(
        stream,
        convert_image=pictures,
        style_map=_STYLES,
        include_embedded_style_map=False,
        external_file_access=False,
    )
    return f"<html><body>{result.value}</body></html>"


def read_xlsx(data: bytes) -> Draft:
    """A workbook: one page for each sheet, formulas by their stored results."""
    metadata = core_properties(opened(data))
    pages = [(f"## {name}\n\n{render(rows)}", bool(rows)) for name, rows in _sheets(data)]
    if not any(has_rows for _, has_rows in pages):
        pages = []
    title = str(metadata.pop("title", ""))
    return Draft(
        tuple(text for text, _ in pages),
        "markdown",
        "xlsx",
        title=title,
        paged=True,
        metadata={**metadata, "sheets": len(pages)},
    )


def workbook_rows(data: bytes) -> Iterator[tuple[str, list[list[str]]]]:
    """Each sheet of a workbook: its name, and its rows that are not empty, as text.

    Raises:
        LoadError: damaged, encrypted, or a ZIP bomb.
    """
    opened(data)
    yield from _sheets(data)


def _sheets(data: bytes) -> Iterator[tuple[str, list[list[str]]]]:
    import openpyxl

    workbook = openpyxl.load_workbook(
        BytesIO(data), read_only=True, data_only=True, keep_links=False
    )
    try:
        for sheet in workbook.worksheets:
            if hasattr(sheet, "iter_rows"):  # chart sheets have no rows
                yield sheet.title, _rows(sheet)
    finally:
        workbook.close()


def _rows(sheet: Any) -> list[list[str]]:
    """The rows of a ReadOnlyWorksheet that are not empty."""
    sheet.reset_dimensions()  # some programs store a wrong size, and rows would be cut off
    rows: list[list[str]] = []
    blank = 0
    for row in sheet.iter_rows(values_only=True):
        cells = [_cell(value) for value in row]
        if any(cells):
            rows.append(cells)
            blank = 0
        else:
            blank += 1
            if blank > _BLANK_ROWS:
                break  # formatting without content may go on for a million rows
    return rows


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
    if isinstance(value, datetime.datetime):
        midnight = (value.hour, value.minute, value.second) == (0, 0, 0)
        return value.date().isoformat() if midnight else value.isoformat(" ", "seconds")
    return str(value)
