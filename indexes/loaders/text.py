"""Text that is its own extraction: plain text, Markdown, source code, JSON, notebooks."""

import datetime
import json
import re

from indexes.decoding import decode
from indexes.loaders.draft import Draft
from indexes.loaders.formats import LANGUAGES

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.S)
_HEADING = re.compile(r"^#[ \t]+(.+?)[ \t]*#*[ \t]*$", re.M)
_SETEXT = re.compile(r"^(\S[^\n]*)\n=+[ \t]*$", re.M)
_BRACKET = re.compile(r"[\[\]{}]")
_MAX_DEPTH = 40
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)


def read_text(data: bytes, suffix: str) -> Draft:
    """Plain text or source code, unchanged."""
    language = LANGUAGES.get(suffix, "")
    return Draft((decode(data),), "code" if language else "text", suffix, language=language)


def read_markdown(data: bytes) -> Draft:
    """Markdown, unchanged; its front matter is read as metadata and stays in the text."""
    text = decode(data).replace("\r\n", "\n").replace("\r", "\n")
    metadata = front_matter(text)
    title = str(metadata.pop("title", "")) or markdown_title(text)
    return Draft((text,), "markdown", "md", title=title, metadata=metadata)


def front_matter(text: str) -> dict[str, object]:
    """The YAML block at the head of ``text``; lists of plain values become ``"a, b"``."""
    match = _FRONT_MATTER.match(text[:16_384])
    # Merge keys multiply: a few lines of them would keep the YAML reader busy for ever.
    if match is None or "<<" in match.group(1):
        return {}
    import yaml

    try:
        values = yaml.safe_load(match.group(1))
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}  # a rule between two lines of prose, not front matter
    if not isinstance(values, dict):
        return {}
    plain = {str(key).lower(): _plain(value) for key, value in values.items()}
    return {key: value for key, value in plain.items() if value is not None}


def _plain(value: object) -> str | int | float | bool | None:
    if isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, list):
        items = [_plain(item) for item in value[:100] if not isinstance(item, list | dict)]
        return ", ".join(str(item) for item in items if item is not None) or None
    return None


def markdown_title(text: str) -> str:
    """The first top-level heading outside code, or ``""``."""
    head = _FENCE.sub("", text[:65_536])
    matches = [m for m in (_HEADING.search(head), _SETEXT.search(head)) if m is not None]
    return min(matches, key=lambda m: m.start()).group(1) if matches else ""


def read_json(data: bytes) -> Draft:
    """JSON, indented and with readable Chinese; broken JSON as it stands."""
    text = decode(data)
    try:
        value = json.loads(text)
        title = value.get("title", "") if isinstance(value, dict) else ""
        # Each level would indent each of its lines: megabytes of brackets would become gigabytes.
        indent = 2 if _depth(text) <= _MAX_DEPTH else None
        text = json.dumps(value, ensure_ascii=False, indent=indent)
    except (ValueError, RecursionError):
        title = ""
    return Draft((text,), "text", "json", title=title if isinstance(title, str) else "")


def _depth(text: str) -> int:
    """How deep the brackets are nested; those inside strings count as well."""
    depth = deepest = 0
    for match in _BRACKET.finditer(text):
        depth += 1 if match.group() in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def read_jsonl(data: bytes) -> Draft:
    """One JSON value a line; flat objects become ``key: value; …`` so that a line reads alone."""
    lines = []
    for line in decode(data).splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            lines.append(line)
            continue
        if isinstance(value, dict):
            parts = (f"{key}: {_inline(item)}" for key, item in value.items())
            lines.append("; ".join(parts))
        else:
            lines.append(_inline(value))
    return Draft(("\n".join(lines),), "text", "jsonl")


def _inline(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_notebook(data: bytes) -> Draft:
    """A Jupyter notebook's cells as Markdown; outputs are left out."""
    text = decode(data)
    try:
        notebook = json.loads(text)
        cells = notebook["cells"]
        language = str(notebook.get("metadata", {}).get("kernelspec", {}).get("language", "python"))
        parts = [_cell(cell, language) for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Draft((text,), "text", "ipynb")
    body = "\n\n".join(part for part in parts if part.strip())
    return Draft((body,), "markdown", "ipynb", title=markdown_title(body))


def _cell(cell: dict[str, object], language: str) -> str:
    source = cell.get("source", "")
    text = "".join(map(str, source)) if isinstance(source, list) else str(source)
    if cell.get("cell_type") == "code" and text.strip():
        return f"```{language}\n{text}\n```"
    return text
