"""Texts with places for data. ``{name}`` is such a place, ``{{`` and ``}}`` are braces.

What is put in is data: it is inserted in one pass and never looked at again, so a place that
stands inside it stays what it is. There are no expressions, no attributes, no formats.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from indexes.errors import UsageError
from indexes.i18n import t

_MARKUP = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]*)\}|[{}]")


class BadTemplate(Exception):
    """A brace that is neither a place nor written twice; ``offset`` counts characters."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed text: ``literals[0]``, the value of ``places[0]``, ``literals[1]``, and so on."""

    literals: tuple[str, ...]
    places: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        """The variables that it needs."""
        return frozenset(self.places)

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Raises `BadTemplate` at the first brace that means nothing."""
        literals, places, end = [""], [], 0
        for match in _MARKUP.finditer(text):
            literals[-1] += text[end : match.start()]
            end = match.end()
            if match[1]:
                places.append(match[1])
                literals.append("")
            elif len(match[0]) == 2:
                literals[-1] += match[0][0]
            else:
                raise BadTemplate(match.start())
        literals[-1] += text[end:]
        return cls(tuple(literals), tuple(places))

    @property
    def source(self) -> str:
        """The text that `parse` makes this of."""
        literals = [text.replace("{", "{{").replace("}", "}}") for text in self.literals]
        places = [f"{{{name}}}" for name in self.places]
        return "".join(a + b for a, b in zip(literals, [*places, ""], strict=True))

    def render(self, values: Mapping[str, str]) -> str:
        """The text with ``values`` in their places, each as it is. Raises `UsageError` where one
        is missing, or where one is given that has no place."""
        _check_names(self.names, frozenset(values))
        out = [self.literals[0]]
        for name, literal in zip(self.places, self.literals[1:], strict=True):
            out += (values[name], literal)
        return "".join(out)


def _check_names(wanted: frozenset[str], given: frozenset[str]) -> None:
    if missing := sorted(wanted - given):
        raise UsageError(
            t("The prompt needs a value for {{{name}}}, and none is given.", name=missing[0])
        )
    if undeclared := sorted(given - wanted):
        raise UsageError(t("The prompt has no place for {{{name}}}.", name=undeclared[0]))
