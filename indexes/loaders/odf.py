"""OpenDocument text, presentations and spreadsheets."""

import zipfile
from typing import TypeVar
from xml.etree.ElementTree import Element

from indexes.errors import LoadError
from indexes.i18n import t
from indexes.loaders.draft import Draft
from indexes.loaders.markup import local, parse_xml
from indexes.loaders.tables import render
from indexes.loaders.text import markdown_title
from indexes.loaders.zips import open_zip

_T = TypeVar("_T")

_META = {"title": "title", "creator": "author", "initial-creator": "author", "date": "date",
         "subject": "subject"}  # fmt: skip
# Not shown on the page: change history, forms, declarations.
_SKIPPED = frozenset({"tracked-changes", "forms", "sequence-decls", "settings"})
# An empty cell or row may be "repeated" to the end of the sheet.
_MAX_REPEATED = 100


def read_odf(data: bytes) -> Draft:
    """ODT, ODP or ODS as Markdown; slides and sheets are pages."""
    archive = open_zip(data)
    if b"encryption-data" in archive.read("META-INF/manifest.xml"):
        raise LoadError(t("The file is password protected. Save it without a password."))
    body = next(e for e in _part(archive, "content.xml") if local(e) == "body")
    content = next(iter(body))
    kind = local(content)
    metadata = _metadata(archive)
    title = metadata.pop("title", "")
    if kind in ("presentation", "spreadsheet"):
        pages = [_page(e) for e in content if local(e) in ("page", "table")]
        found = "odp" if kind == "presentation" else "ods"
        return Draft(tuple(pages), "markdown", found, title=title, paged=True, metadata=metadata)
    text = _join(_blocks(content))
    title = title or markdown_title(text)
    return Draft((text,), "markdown", "odt", title=title, metadata=metadata)


def _part(archive: zipfile.ZipFile, name: str) -> Element:
    return parse_xml(archive.read(name).decode("utf-8-sig"))


def _metadata(archive: zipfile.ZipFile) -> dict[str, str]:
    if "meta.xml" not in archive.namelist():
        return {}
    found: dict[str, str] = {}
    for element in _part(archive, "meta.xml").iter():
        key = _META.get(local(element))
        if key and element.text and element.text.strip():
            found.setdefault(key, element.text.strip())
    return found


def _page(element: Element) -> str:
    name = _attribute(element, "name")
    if local(element) == "table":
        table = _table(element)
        return f"## {name}\n\n{table}" if table else ""
    return _join(_blocks(element))


def _join(blocks: list[str]) -> str:
    return "\n\n".join(block for block in blocks if block.strip())


def _attribute(element: Element, name: str) -> str:
    """An attribute by its name without the namespace."""
    return next((v for k, v in element.attrib.items() if k.rpartition("}")[2] == name), "")


def _blocks(element: Element) -> list[str]:
    blocks: list[str] = []
    for child in element:
        tag = local(child)
        if tag == "h":
            level = _attribute(child, "outline-level")
            depth = min(int(level), 6) if level.isdecimal() and level != "0" else 1
            blocks.append("#" * depth + " " + " ".join(_text(child).split()))
        elif tag == "p":
            blocks.append(_text(child))
            blocks.extend(_frames(child))
        elif tag == "list":
            blocks.append("\n".join(_items(child, 0)))
        elif tag == "table":
            blocks.append(_table(child))
        elif tag == "notes":
            notes = _join(_blocks(child))
            blocks.append(f"### Notes\n\n{notes}" if notes else "")
        elif tag not in _SKIPPED:
            blocks.extend(_blocks(child))
    return blocks


def _frames(paragraph: Element) -> list[str]:
    """Text boxes anchored in a paragraph."""
    boxes = [e for e in paragraph.iter() if local(e) == "text-box"]
    return [block for box in boxes for block in _blocks(box)]


def _text(element: Element) -> str:
    parts = [element.text or ""]
    for child in element:
        tag = local(child)
        if tag == "s":
            count = _attribute(child, "c")
            parts.append(" " * min(int(count), 80) if count.isdecimal() else " ")
        elif tag == "tab":
            parts.append("\t")
        elif tag == "line-break":
            parts.append("\n")
        elif tag == "note":
            body = next((e for e in child if local(e) == "note-body"), None)
            parts.append(f" ({_join(_blocks(body))})" if body is not None else "")
        elif tag == "annotation":
            parts.append(f" ({_join(_blocks(child))})")
        elif tag != "frame":
            parts.append(_text(child))
        parts.append(child.tail or "")
    return "".join(parts)


def _items(element: Element, depth: int) -> list[str]:
    lines: list[str] = []
    for item in element:
        for child in item:
            if local(child) == "list":
                lines.extend(_items(child, depth + 1))
            elif local(child) in ("p", "h"):
                lines.append("  " * depth + "- " + " ".join(_text(child).split()))
    return [line for line in lines if line.strip() != "-"]


def _table(element: Element) -> str:
    return render([cells for row in element.iter() if local(row) == "table-row"
                   for cells in _repeated(row, "number-rows-repeated", _row(row))])  # fmt: skip


def _row(row: Element) -> list[str]:
    cells: list[str] = []
    for cell in row:
        if local(cell) in ("table-cell", "covered-table-cell"):
            text = " ".join(_join(_blocks(cell)).split())
            cells.extend(_repeated(cell, "number-columns-repeated", text))
    return cells


def _repeated(element: Element, name: str, value: _T) -> list[_T]:
    count = _attribute(element, name)
    return [value] * (min(int(count), _MAX_REPEATED) if count.isdecimal() else 1)
