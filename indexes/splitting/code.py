"""Where source code may be cut: by its syntax tree, one line at a time."""

import importlib
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from indexes.splitting.outline import Cut, Outline, Scope

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

_GRAMMARS = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "java": ("tree_sitter_java", "language"),
    "go": ("tree_sitter_go", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "c_sharp": ("tree_sitter_c_sharp", "language"),
    "ruby": ("tree_sitter_ruby", "language"),
    "php": ("tree_sitter_php", "language_php"),
    "bash": ("tree_sitter_bash", "language"),
}
LANGUAGES = frozenset(_GRAMMARS)

_DEEPEST = 12
_COST_PER_DEPTH = 0.1
_INSIDE_COST = 1.4  # a line at which nothing begins: a closing brace, a string's second line
_WITHOUT_BLANK_LINE = 0.05
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_WRAPPERS = {"decorated_definition", "export_statement", "template_declaration"}


def code_outline(text: str, language: str) -> Outline | None:
    """Cuts and scopes (classes, functions) of source code; None for an unknown ``language``.

    A line may be cut off more cheaply the nearer to the root of the syntax tree its first node is.
    A comment stays with what follows it.
    """
    if language not in _GRAMMARS:
        return None
    tree = _parser(language).parse(text.encode("utf-8", "replace"))
    lines = [match.start() for match in _LINE.finditer(text)] or [0]
    depths: dict[int, int] = {}
    comments: set[int] = set()
    definitions: list[tuple[int, int, str]] = []
    for node, depth in _walk(tree.root_node):
        row = node.start_point.row
        opens_line = row not in depths
        depths.setdefault(row, depth)
        if "comment" in node.type and opens_line:
            comments.update(range(row, node.end_point.row + 1))
        elif name := _definition_name(node):
            definitions.append((_outer(node).start_point.row, node.end_point.row, name))
    blank = {row for row, start in enumerate(lines) if _is_blank(text, lines, row, start)}
    attached = {row for row in depths if row - 1 in comments}
    cuts = [Cut(start, _cost(row, depths, attached, blank)) for row, start in enumerate(lines)]
    scopes = [
        Scope(lines[_first_row(first, attached)], _line_end(text, lines, last), name)
        for first, last, name in definitions
    ]
    return Outline(cuts, scopes)


@cache
def _parser(language: str) -> "Parser":
    from tree_sitter import Language, Parser

    module, function = _GRAMMARS[language]
    return Parser(Language(getattr(importlib.import_module(module), function)()))


def _walk(root: "Node") -> Iterator[tuple["Node", int]]:
    """Named nodes above ``_DEEPEST``, parents first, in the order of the text."""
    stack = [(child, 0) for child in reversed(root.named_children)]
    while stack:
        node, depth = stack.pop()
        yield node, depth
        # What lies within one line cannot move a cut.
        if depth < _DEEPEST and node.start_point.row < node.end_point.row:
            stack.extend((child, depth + 1) for child in reversed(node.named_children))


def _definition_name(node: "Node") -> str:
    """The name of a class, function or the like that has a body; else an empty string."""
    if node.child_by_field_name("body") is None:
        return ""
    name = node.child_by_field_name("name")
    if name is None and node.type == "impl_item":
        name = node.child_by_field_name("type")
    inner = node.child_by_field_name("declarator")
    while name is None and inner is not None:  # C and C++ wrap the name: int *f(void)
        deeper = inner.child_by_field_name("declarator")
        name = inner if deeper is None else None
        inner = deeper
    return name.text.decode("utf-8", "replace") if name is not None and name.text else ""


def _outer(node: "Node") -> "Node":
    parent = node.parent
    return parent if parent is not None and parent.type in _WRAPPERS else node


def _is_blank(text: str, lines: list[int], row: int, start: int) -> bool:
    return not text[start : _line_end(text, lines, row)].strip()


def _line_end(text: str, lines: list[int], row: int) -> int:
    return lines[row + 1] if row + 1 < len(lines) else len(text)


def _first_row(row: int, attached: set[int]) -> int:
    while row in attached:
        row -= 1
    return row


def _cost(row: int, depths: dict[int, int], attached: set[int], blank: set[int]) -> float:
    if row not in depths or row in attached:
        return _INSIDE_COST
    cost = _COST_PER_DEPTH * depths[row]
    return cost if row - 1 in blank else cost + _WITHOUT_BLANK_LINE
