"""EPUB books: the XHTML of each chapter, in reading order."""

import posixpath
import zipfile
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from indexes.decoding import decode
from indexes.errors import LoadError
from indexes.i18n import t
from indexes.loaders.draft import Draft
from indexes.loaders.html_markdown import markdown_of, parse_html
from indexes.loaders.markup import local, parse_xml
from indexes.loaders.text import markdown_title
from indexes.loaders.web import declared_charset
from indexes.loaders.zips import open_zip


def read_epub(data: bytes) -> Draft:
    """A book as Markdown."""
    archive = open_zip(data)
    package_path = _package_path(archive)
    package = parse_xml(_member(archive, package_path))
    folder = posixpath.dirname(package_path)
    chapters = [_chapter(archive, folder, href) for href in _spine(package)]
    body = "\n\n".join(chapter for chapter in chapters if chapter)
    metadata = _metadata(package)
    title = metadata.pop("title", "") or markdown_title(body)
    return Draft((body,), "markdown", "epub", title=title, metadata=metadata)


def _member(archive: zipfile.ZipFile, name: str) -> str:
    data = archive.read(name)
    return decode(data, declared_charset(data)) if data.strip() else ""


def _package_path(archive: zipfile.ZipFile) -> str:
    container = parse_xml(_member(archive, "META-INF/container.xml"))
    encrypted = "META-INF/encryption.xml" in archive.namelist() and b"xmlenc#aes" in archive.read(
        "META-INF/encryption.xml"
    )
    path = next((e.get("full-path") for e in container.iter() if local(e) == "rootfile"), None)
    if encrypted:
        raise LoadError(t("The book is protected by DRM. Only its seller's software can read it."))
    if not path or path not in archive.namelist():
        raise LoadError(t("The file is damaged. Get a fresh copy."))
    return path


def _spine(package: Element) -> list[str]:
    """The chapters' paths, relative to the package file."""
    items = {e.get("id"): e for e in package.iter() if local(e) == "item"}
    ordered = [items.get(e.get("idref")) for e in package.iter() if local(e) == "itemref"]
    chapters = [
        item.get("href", "")
        for item in ordered
        if item is not None
        and "html" in item.get("media-type", "")
        and "nav" not in item.get("properties", "").split()
    ]
    return list(dict.fromkeys(chapters))


def _chapter(archive: zipfile.ZipFile, folder: str, href: str) -> str:
    path = posixpath.normpath(posixpath.join(folder, unquote(href)))
    try:
        text = _member(archive, path)
    except KeyError:
        return ""
    return markdown_of(parse_html(text)) if text else ""


def _metadata(package: Element) -> dict[str, str]:
    wanted = {"title": "title", "creator": "author", "date": "date", "language": "lang",
              "publisher": "publisher"}  # fmt: skip
    found: dict[str, str] = {}
    for element in package.iter():
        key = wanted.get(local(element))
        value = " ".join("".join(element.itertext()).split())
        if key and value and key not in found:
            found[key] = value
    return found
