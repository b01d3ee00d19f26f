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
_COST_PER_DEPTH = 0.05
_STATEMENT_COST = 0.45
_INSIDE_COST = 1.4  # a line at which nothing begins: a closing brace, a string's second line
_WITHOUT_BLANK_LINE = 0.05
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_WRAPPERS = {"decorated_definition", "export_statement", "template_declaration"}


def code_outline(text: str, language: str) -> Outline | None:
    """Cuts and scopes (classes, functions) of source code; None for an unknown ``language``.

    A cut before a line is the cheaper, the nearer to the root of the syntax tree its first node
    is. A comment stays with what follows it, the head of a definition with its first line.
    """
    if language not in _GRAMMARS:
        return None
    tree = _parser(language).parse(text.encode("utf-8", "replace"))
    lines = [match.start() for match in _LINE.finditer(text)] or [0]
    depths: dict[int, int] = {}
    comments: set[int] = set()
    attached: set[int] = set()
    definitions: list[tuple[int, int, str]] = []
    for node, depth, opens_body in _walk(tree.root_node):
        row = node.start_point.row
        if row not in depths and _opens_line(text, lines[row], node.start_point.column):
            depths[row] = depth
            if opens_body or row - 1 in comments:
                attached.add(row)
            if "comment" in node.type:
                comments.update(range(row, node.end_point.row + 1))
        if name := _definition_name(node):
            definitions.append((_outer(node).start_point.row, node.end_point.row, name))
    blank = {row for row, start in enumerate(lines) if _is_blank(text, lines, row, start)}
    heads = {_first_row(first, comments) for first, _, _ in definitions}
    costs = {row: _cost(depth, row in heads) for row, depth in depths.items()}
    cuts = []
    for row, start in enumerate(lines):
        cost = _INSIDE_COST if row in attached else costs.get(row, _INSIDE_COST)
        cuts.append(Cut(start, cost if row - 1 in blank else cost + _WITHOUT_BLANK_LINE))
    scopes = [
        Scope(lines[_first_row(first, comments)], _line_end(text, lines, last), name)
        for first, last, name in definitions
    ]
    return Outline(cuts, scopes)


@cache
def _parser(language: str) -> "Parser":
    from tree_sitter import Language, Parser

    module, function = _GRAMMARS[language]
    return Parser(Language(getattr(importlib.import_module(module), function)()))


def _walk(root: "Node") -> Iterator[tuple["Node", int, bool]]:
    """Named nodes above ``_DEEPEST`` in the order of the text, with depth, and whether the node is
    the first in the body of its parent. A body is no node of its own here."""
    stack = [(child, 0, False) for child in reversed(root.named_children)]
    while stack:
        node, depth, opens_body = stack.pop()
        yield node, depth, opens_body
        # What lies within one line cannot move a cut.
        if depth < _DEEPEST and node.start_point.row < node.end_point.row:
            stack.extend(
                (child, depth + 1, first) for child, first in reversed(list(_children(node)))
            )


def _children(node: "Node") -> Iterator[tuple["Node", bool]]:
    body = node.child_by_field_name("body")
    for child in node.named_children:
        if child == body:
            yield from ((inner, at == 0) for at, inner in enumerate(child.named_children))
        else:
            yield child, False


def _opens_line(text: str, line_start: int, column: int) -> bool:
    """Whether only white space precedes; a column counts bytes, as white space mostly does."""
    return not text[line_start : line_start + column].strip()


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


def _first_row(row: int, comments: set[int]) -> int:
    while row - 1 in comments:
        row -= 1
    return row


def _cost(depth: int, is_definition: bool) -> float:
    """Between definitions, and at the outermost level, a cut is good; inside a function less so."""
    between = 0.0 if is_definition or depth == 0 else _STATEMENT_COST
    return between + _COST_PER_DEPTH * depth
