"""A tree of HTML elements as Markdown: headings, lists, tables, links, code, quotations.

Characters that Markdown could take for markup are not escaped: the text is searched and quoted,
and ``snake_case`` must stay ``snake_case``.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from indexes.errors import LoadError
from indexes.loaders.draft import too_deep
from indexes.loaders.tables import render

# lxml has no type information; an element is anything with tag, text, tail and attrib.
Element = Any

_DROPPED = frozenset({
    "script", "style", "noscript", "template", "head", "iframe", "object", "embed", "svg", "canvas",
    "audio", "video", "map", "form", "select", "button", "input", "textarea", "dialog", "rp",
    "math-error",
})  # fmt: skip
_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "div", "dl",
    "dt", "fieldset", "figcaption", "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6",
    "header", "hgroup", "hr", "html", "legend", "li", "main", "nav", "ol", "p", "pre", "section",
    "summary", "table", "ul", "caption", "title",
})  # fmt: skip
_HIDDEN_STYLE = re.compile(
    r"(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?:\D|$)|opacity\s*:\s*0(?:[;\s]|$)"
    r"|(?<![\w-])(?:left|top|text-indent)\s*:\s*-\d{3,})",
    re.I,
)
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_SAFE_LINK = re.compile(r"(?:https?|mailto|ftp):", re.I)


def parse_html(markup: str) -> Element:
    """The root element of ``markup``, without anything that a browser would not show.

    Raises:
        ValueError: there is no element at all.
        LoadError: elements are nested thousands deep.
    """
    from lxml import html

    # Bytes, because lxml refuses a str that has an encoding declaration.
    parser = html.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True
    )
    root: Element = html.document_fromstring(
        markup.encode("utf-8", errors="replace"), parser=parser
    )
    # Where a limit of its own stops it, libxml2 leaves out the rest of the page in silence.
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        raise LoadError(too_deep())
    for element in [e for e in root.iter() if e is not root and _is_hidden(e)]:
        if element.getparent() is not None:
            element.drop_tree()
    return root


def _is_hidden(element: Element) -> bool:
    return (
        "hidden" in element.attrib
        or element.tag in ("script", "style", "noscript", "template")
        or bool(_HIDDEN_STYLE.search(element.get("style", "")))
    )


def markdown_of(root: Element) -> str:
    """The Markdown of everything below ``root``."""
    return "\n\n".join(blocks_of(root))


def blocks_of(root: Element) -> list[str]:
    """The paragraphs, headings, lists, tables and so on below ``root``, in reading order."""
    return [block for block in _blocks(root) if block.strip()]


def _local(element: Element) -> str:
    """The tag without its namespace, which XHTML has."""
    return str(element.tag).rpartition("}")[2].lower() if isinstance(element.tag, str) else ""


def _blocks(element: Element) -> Iterator[str]:
    """The blocks below ``element``; runs of inline content between them are paragraphs."""
    run: list[str] = [element.text or ""]
    for child in element:
        tag = _local(child)
        if tag in _DROPPED or not tag:
            pass
        elif tag in _BLOCKS or _has_block(child):
            yield _paragraph(run)
            run = []
            yield from _block(child, tag)
        else:
            run.append(_inline(child, tag))
        run.append(child.tail or "")
    yield _paragraph(run)


def _below(element: Element) -> Iterator[Element]:
    # lxml's iterdescendants would do, but ElementTree, which reads XML, lacks it.
    return islice(element.iter(), 1, None)


def _has_block(element: Element) -> bool:
    return any(_local(e) in _BLOCKS for e in _below(element))


def _paragraph(run: list[str]) -> str:
    lines = "".join(run).split("\n\x00")
    return "\n".join(" ".join(line.split()) for line in lines).strip()


def _block(element: Element, tag: str) -> Iterator[str]:
    if tag in _HEADINGS:
        text = " ".join(_flat(element).split())
        yield _HEADINGS[tag] + text if text else ""
    elif tag == "pre":
        code = "".join(element.itertext()).strip("\n")
        yield f"```\n{code}\n```" if code.strip() else ""
    elif tag in ("ul", "ol"):
        yield _list(element, tag == "ol")
    elif tag == "table":
        yield from _table(element)
    elif tag == "blockquote":
        inner = markdown_of(element)
        yield "\n".join(f"> {line}".rstrip() for line in inner.split("\n")) if inner else ""
    elif tag == "hr":
        yield ""
    else:
        yield from _blocks(element)


def _flat(element: Element) -> str:
    """Inline Markdown of a whole element, blocks inside it included."""
    parts = [element.text or ""]
    for child in element:
        tag = _local(child)
        if tag and tag not in _DROPPED:
            parts.append(f" {_flat(child)} " if tag in _BLOCKS else _inline(child, tag))
        parts.append(child.tail or "")
    return "".join(parts)


def _inline(element: Element, tag: str) -> str:
    if tag == "br":
        return "\n\x00"
    if tag == "img":
        return element.get("alt") or ""
    text = _flat(element)
    if tag == "a" and text.strip():
        target = (element.get("href") or "").strip()
        if _SAFE_LINK.match(target) and " " not in target and text.strip() != target:
            return f"[{text}]({target})"
    if tag in ("code", "kbd", "samp") and text.strip() and "`" not in text:
        return f"`{text}`"
    if tag == "q":
        return f"“{text}”"
    return text


def _list(element: Element, ordered: bool) -> str:
    items: list[str] = []
    for child in element:
        if not _local(child) or _local(child) in _DROPPED:
            continue
        mark = f"{len(items) + 1}. " if ordered else "- "
        if _local(child) in ("ul", "ol"):
            body = _list(child, _local(child) == "ol")
            mark = "  "
        else:
            body = "\n".join(block for block in _blocks(child) if block.strip())
        if body.strip():
            items.append(mark + body.replace("\n", "\n" + " " * len(mark)))
    return "\n".join(items)


def _table(element: Element) -> Iterator[str]:
    nested = any(_local(e) == "table" for e in _below(element))
    rows = []
    for row in _below(element):
        if _local(row) == "caption":
            yield " ".join(_flat(row).split())
        if _local(row) == "tr":
            rows.append([cell for cell in row if _local(cell) in ("td", "th")])
    if nested or max((len(row) for row in rows), default=0) <= 1:
        # A table that only lays out the page: its cells are blocks in reading order.
        for child in element:
            yield from _cells(child)
        return
    yield render([[_flat(cell).replace("\x00", "") for cell in row] for row in rows])


def _cells(element: Element) -> Iterator[str]:
    if _local(element) in ("thead", "tbody", "tfoot", "tr"):
        for child in element:
            yield from _cells(child)
    elif _local(element) in ("td", "th"):
        yield from _blocks(element)
