"""Web pages: the main content where a page has one, else everything that a browser shows."""

import re

from indexes.decoding import decode
from indexes.loaders.draft import Draft
from indexes.loaders.html_markdown import Element, blocks_of, markdown_of, parse_html
from indexes.loaders.text import markdown_title

_DECLARED = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{2,40})""", re.I)
_XML_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{2,40})""")
_NAVIGATION = ("nav", "footer", "aside")
_META = {
    "author": ("author", "article:author", "dc.creator"),
    "date": ("article:published_time", "date", "dc.date", "pubdate"),
    "description": ("description", "og:description"),
}
_SENTENCE = re.compile(r"[.!?;:][\s”\"')]|[.!?]$|[。！？；：，]")
_LINK = re.compile(r"\[([^\[\]\n]*)\]\([^()\s]*\)")
_NOT_WORD = re.compile(r"[\W_]+")
_LARGE = 2_000_000


def declared_charset(data: bytes) -> str | None:
    """The charset that an HTML or XML document names in its first 4 KB."""
    head = data[:4096]
    match = _XML_DECLARED.search(head) or _DECLARED.search(head)
    return match.group(1).decode("ascii") if match else None


def read_html(data: bytes) -> Draft:
    """A web page as Markdown."""
    root = parse_html(decode(data, declared_charset(data)))
    try:
        body = html_to_markdown(root)
    except RecursionError:
        body = "\n".join(" ".join(text.split()) for text in root.itertext() if text.strip())
    title = _title(root) or markdown_title(body)
    return Draft((body,), "markdown", "html", title=title, metadata=_metadata(root))


def html_to_markdown(root: Element) -> str:
    """The page below ``root`` without menus, headers of the site and lists of other pages.

    trafilatura says what the main content is. It also loses headings and some paragraphs, so the
    text is our own rendering of the whole page, and only blocks that it left out *and* that hold
    neither sentence, heading, table nor code are dropped. Changes ``root``.
    """
    whole = markdown_of(root)
    for element in list(root.iter(*_NAVIGATION)):
        if element.getparent() is not None:
            element.drop_tree()
    blocks = blocks_of(root)
    main = _words(_main_content(root)) if len(whole) < _LARGE else ""
    if len(main) * 3 > sum(len(_words(block)) for block in blocks):
        blocks = [block for block in blocks if _stands_alone(block) or _words(block)[:60] in main]
    return "\n\n".join(blocks) or whole


def _main_content(root: Element) -> str:
    import trafilatura

    text: str | None = trafilatura.extract(root, include_tables=True, favor_recall=True)
    return text or ""


def _words(text: str) -> str:
    return _NOT_WORD.sub("", _LINK.sub(r"\1", text)).lower()


def _stands_alone(block: str) -> bool:
    if block.startswith(("#", "|", "```", ">")):
        return True
    prose = _LINK.sub("", block)
    return len(prose) >= 40 and len(prose) * 2 >= len(block) and bool(_SENTENCE.search(prose))


def _title(root: Element) -> str:
    element = next(root.iter("title"), None)
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


def _metadata(root: Element) -> dict[str, object]:
    named = {
        (e.get("name") or e.get("property") or "").lower(): e.get("content", "")
        for e in root.iter("meta")
    }
    found: dict[str, object] = {}
    for key, names in _META.items():
        found[key] = next((named[n] for n in names if named.get(n)), None)
    found["lang"] = root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang")
    return found
