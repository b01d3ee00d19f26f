"""XML, read without fetching or expanding anything it refers to."""

import re
from xml.etree.ElementTree import Element, ParseError

from indexes.decoding import decode
from indexes.errors import LoadError
from indexes.i18n import t
from indexes.loaders.draft import Draft
from indexes.loaders.html_markdown import markdown_of
from indexes.loaders.web import declared_charset

_TAG = re.compile(r"<[^>]*>")
# FictionBook's elements that mean the same as HTML's.
_FB2 = {"section": "div", "poem": "div", "stanza": "div", "v": "p", "subtitle": "h4", "epigraph":
        "blockquote", "cite": "blockquote", "text-author": "p", "empty-line": "br"}  # fmt: skip


def parse_xml(text: str) -> Element:
    """The root element.

    Raises:
        LoadError: the document defines entities.
        ParseError: it is not well-formed.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        # As a str: it has been decoded already, whatever encoding its declaration claims.
        root: Element = fromstring(text.lstrip("\ufeff \t\r\n"))
    except DefusedXmlException as error:
        raise LoadError(t("The file defines XML entities. It was not opened.")) from error
    return root


def local(element: Element) -> str:
    """The tag without its namespace, ``""`` for comments."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def read_xml(data: bytes) -> Draft:
    """XML as indented ``name: value`` lines; FictionBook as Markdown; broken XML without tags."""
    text = decode(data, declared_charset(data))
    try:
        root = parse_xml(text)
    except ParseError:
        return Draft((_TAG.sub(" ", text),), "text", "xml")
    if local(root) == "FictionBook":
        return _fiction_book(root)
    lines: list[str] = []
    _outline(root, lines)
    return Draft(("\n".join(lines),), "text", "xml", title=_title(root))


def _outline(root: Element, lines: list[str]) -> None:
    """Appends a line for each element that holds text or attributes, in document order."""
    stack: list[tuple[Element, int]] = [(root, 0)]
    while stack:
        element, depth = stack.pop()
        name = local(element)
        words = " ".join((element.text or "").split())
        marks = [f"{key.rpartition('}')[2]}={value}" for key, value in element.attrib.items()]
        if name and (words or marks):
            label = f"{name} ({', '.join(marks)})" if marks else name
            lines.append("  " * min(depth, 8) + (f"{label}: {words}" if words else label))
        tail = " ".join((element.tail or "").split())
        if tail:
            # The tail follows the element's children; a pseudo-element keeps the order.
            follow = Element("text")
            follow.text = tail
            stack.append((follow, depth))
        stack.extend((child, depth + 1) for child in reversed(element))


def _title(root: Element) -> str:
    found = next((e for e in root if local(e).lower() == "title"), None)
    return (found.text or "") if found is not None else ""


def _fiction_book(root: Element) -> Draft:
    parts = [_book_body(element) for element in root if local(element) == "body"]
    info = next((e for e in root.iter() if local(e) == "title-info"), Element("none"))
    values = {local(e): " ".join("".join(e.itertext()).split()) for e in info}
    return Draft(
        ("\n\n".join(parts),),
        "markdown",
        "fb2",
        title=values.get("book-title", ""),
        metadata={key: values.get(key) for key in ("author", "date", "lang", "annotation")},
    )


def _book_body(body: Element) -> str:
    _to_html(body, 1)
    return markdown_of(body)


def _to_html(element: Element, level: int) -> None:
    """Rename elements in place; nested sections' titles become deeper headings."""
    for child in element:
        name = local(child)
        if name == "title":
            child.tag = f"h{min(level, 6)}"
        else:
            child.tag = _FB2.get(name, name)
            _to_html(child, level + 1 if name == "section" else level)
