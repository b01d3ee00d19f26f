"""Rows of the database and what they stand for."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexes.types import Chunk, Document

FACTS = (
    "source, title, format, lang, size, modified_ns, sha256, added, metadata, page_starts, kind,"
    " language"
)
_FIELDS = (*FACTS.split(", "), "text")


@dataclass(frozen=True, slots=True)
class VectorFile:
    """The live FAISS file: it holds every chunk up to ``last_chunk`` that lived when it was made;
    chunks deleted since are in the table ``removed_vectors``."""

    name: str
    sha256: str
    last_chunk: int


@dataclass(frozen=True, slots=True)
class Span:
    """The numbers of the chunks of one document, from ``first`` to ``last``, and the seal over its
    text, chunks and vectors."""

    first: int
    last: int
    seal: bytes

    def numbers(self) -> range:
        return range(self.first, self.last + 1)


def seal(text: str, chunks: Sequence[Chunk], vectors: NDArray[np.float16]) -> bytes:
    """A checksum over what a document is found by: its text, its chunks and their vectors."""
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    places = [(chunk.start, chunk.end, chunk.page, chunk.heading) for chunk in chunks]
    digest.update(to_json(places).encode())
    digest.update(np.ascontiguousarray(vectors).data)
    return digest.digest()


def enumerated(first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every number of the ranges ``first[i]..last[i]``."""
    lengths = last - first + 1
    offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.asarray(np.repeat(first, lengths) + offsets, dtype=np.int64)


def to_matrix(
    rows: Sequence[tuple[int, bytes]], dimension: int
) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """The chunk numbers (n,) and the vectors (n, dimension) of rows of the table ``vectors``."""
    numbers = np.fromiter((number for number, _ in rows), np.int64, len(rows))
    data = np.frombuffer(b"".join(vector for _, vector in rows), dtype=np.float16)
    return numbers, data.reshape(len(rows), dimension)


def to_json(value: object) -> str:
    """JSON as it is stored."""
    return json.dumps(value, ensure_ascii=False)


def to_row(document: Document) -> list[object]:
    """The values of the columns ``FACTS``."""
    facts = {field: getattr(document, field) for field in FACTS.split(", ")}
    facts["metadata"] = to_json(dict(document.metadata))
    facts["page_starts"] = to_json(document.page_starts)
    return list(facts.values())


def to_document(row: Sequence[Any]) -> Document:
    """The document whose columns ``FACTS`` and text are ``row``."""
    facts: dict[str, Any] = dict(zip(_FIELDS, row, strict=True))
    facts["metadata"] = json.loads(facts["metadata"])
    facts["page_starts"] = tuple(json.loads(facts["page_starts"]))
    return Document(**facts)
