"""What the parser of each kind of text hands to the packing step."""

from dataclasses import dataclass, field

# The cost of cutting a text before a leaf: 0 is the best place, 1 as bad as an empty chunk.
PARAGRAPH = 0.0
ITEM = 0.1  # list item, table row, line of a fenced block
SENTENCE = 0.25
SEMICOLON = 0.4
LINE = 0.6
CLAUSE = 0.8
WORD = 1.5
CHARACTER = 3.0


@dataclass(frozen=True, slots=True)
class Cut:
    """A place where the text may be cut: before the character at ``start``."""

    start: int
    cost: float


@dataclass(frozen=True, slots=True)
class Scope:
    """A titled stretch of text: the section of a heading, the body of a function."""

    start: int
    end: int
    name: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading's own text, up to the next heading of any depth.

    ``depth`` is 0 for the text before the first heading; ``body`` is where the text
    below the heading and its blank lines begins.
    """

    start: int
    depth: int
    body: int


@dataclass(frozen=True, slots=True)
class Outline:
    """``cuts`` ascend from offset 0; a chunk crosses ``sections`` only where these are tiny."""

    cuts: list[Cut]
    scopes: list[Scope] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
