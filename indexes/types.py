"""The values that travel through the index. All offsets count characters (code points) of the
extracted text, start inclusive, end exclusive."""

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["text", "markdown", "code"]
"""How a text is structured: plain paragraphs, Markdown, or source code."""

Metadata = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a loader read from one file.

    ``page_starts[i]`` is the offset at which page ``i + 1`` begins (pages, slides or sheets; empty
    where the format has none). ``language`` is the programming language of code (a tree-sitter
    grammar name such as ``"python"``), else empty. ``format`` names the file format by its usual
    extension (``"pdf"``, ``"docx"``, ``"md"``). ``title`` may be empty.
    """

    text: str
    kind: Kind
    format: str
    title: str = ""
    language: str = ""
    page_starts: tuple[int, ...] = ()
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage: ``text == extracted.text[start:end]``, exactly.

    ``page`` counts from 1. ``heading`` is the path of headings above the passage, outermost first.
    """

    text: str
    start: int
    end: int
    page: int | None = None
    heading: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it is stored. ``source`` is its absolute path or address, ``size`` is in bytes
    of the original file, ``modified_ns`` in nanoseconds since 1970, ``added`` an ISO 8601 time in
    UTC, ``lang`` an ISO 639-1 code or empty; ``page_starts``, ``kind`` and ``language`` are as in
    `Extracted`. ``text`` is empty in listings."""

    source: str
    title: str
    format: str
    lang: str
    size: int
    modified_ns: int
    sha256: str
    added: str
    metadata: Metadata
    text: str
    page_starts: tuple[int, ...] = ()
    kind: Kind = "text"
    language: str = ""


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk in its place. ``number`` is the row number in the collection."""

    number: int
    chunk: Chunk
    document: Document


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A passage that was found, best first (``rank`` counts from 1).

    ``score`` lies in 0..1 and compares passages of one search only. ``dense`` is the cosine of the
    embeddings and ``lexical`` the BM25 score, each ``None`` where that leg was not asked.
    ``chunk_id`` is derived from source, span and text: the same passage keeps it when the
    collection is built again. ``page`` is that of its first character; ``page_starts`` are those of
    the whole document.
    """

    rank: int
    score: float
    chunk_id: str
    source: str
    title: str
    page: int | None
    heading: tuple[str, ...]
    start: int
    end: int
    text: str
    metadata: Metadata
    dense: float | None = None
    lexical: float | None = None
    page_starts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What one run of indexing did; ``failed`` holds (source, reason)."""

    added: int
    updated: int
    unchanged: int
    removed: int
    failed: tuple[tuple[str, str], ...]
    chunks: int
    seconds: float
    generation: int


@dataclass(frozen=True, slots=True)
class RemovedDocument:
    """A document that is gone, and the names (``chunk_id``) of its passages."""

    source: str
    passages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemoveReport:
    """The receipt of a removal: the documents with their passages, and how many of the passages
    the database, the vectors and the postings no longer hold, as was looked up afterwards."""

    documents: tuple[RemovedDocument, ...]
    chunks: int
    vectors: int
    postings: int
    generation: int

    @property
    def removed(self) -> tuple[str, ...]:
        """The sources."""
        return tuple(document.source for document in self.documents)


@dataclass(frozen=True, slots=True)
class SearchResponse:
    """The results of one search, best first, and the milliseconds that each step took."""

    query: str
    mode: str
    collection: str
    generation: int
    results: tuple[SearchResult, ...]
    timings_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Status:
    """Counts and sizes of a collection. ``bytes`` is what its folder takes on disk."""

    collection: str
    folder: str
    generation: int
    documents: int
    chunks: int
    characters: int
    bytes: int
    formats: Mapping[str, int]
    languages: Mapping[str, int]
    embedder: str
    dimension: int
    format_version: int
    waggle_version: str


def page_at(page_starts: Sequence[int], offset: int) -> int | None:
    """The page, counted from 1, on which the character at ``offset`` stands."""
    return bisect_right(page_starts, offset) or None


def chunk_id(source: str, start: int, text: str) -> str:
    """A name for a passage that depends only on what it is and where it stands."""
    key = f"{source}\0{start}\0{text}".encode()
    return hashlib.sha256(key).hexdigest()[:16]
