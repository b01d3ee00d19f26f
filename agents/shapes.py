"""The JSON that Waggle writes. These shapes are a promise to other programs."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from indexes.findings import VerifyReport
from indexes.types import Document, IndexReport, RemoveReport, SearchResponse, Status


class Shape(BaseModel):
    """A JSON object with exactly these members, written from a value that has them."""

    model_config = ConfigDict(extra="forbid", from_attributes=True, frozen=True)


class ResultShape(Shape):
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
    metadata: Mapping[str, Any]


class SearchShape(Shape):
    query: str
    mode: str
    collection: str
    generation: int
    results: tuple[ResultShape, ...]
    timings_ms: Mapping[str, float]

    @classmethod
    def of(cls, response: SearchResponse) -> Self:
        return cls.model_validate(response)


class FailureShape(Shape):
    source: str
    reason: str


class IndexShape(Shape):
    added: int
    updated: int
    unchanged: int
    removed: int
    failed: tuple[FailureShape, ...]
    chunks: int
    seconds: float
    generation: int

    @classmethod
    def of(cls, report: IndexReport) -> Self:
        values = {name: getattr(report, name) for name in cls.model_fields}
        failed = tuple(FailureShape(source=s, reason=r) for s, r in report.failed)
        return cls(**{**values, "failed": failed, "seconds": round(report.seconds, 3)})


class RemovedShape(Shape):
    source: str
    passages: tuple[str, ...]


class RemoveShape(Shape):
    removed: tuple[str, ...]
    documents: tuple[RemovedShape, ...]
    chunks: int
    vectors: int
    postings: int
    generation: int

    @classmethod
    def of(cls, report: RemoveReport) -> Self:
        return cls.model_validate(report)


class ProblemShape(Shape):
    kind: str
    subject: str
    detail: str


class VerifyShape(Shape):
    collection: str
    generation: int
    ok: bool
    documents: int
    chunks: int
    vectors: int
    postings: int
    pages: int
    files: int
    problems: tuple[ProblemShape, ...]
    outdated: tuple[str, ...]
    vanished: tuple[str, ...]
    repaired: tuple[str, ...]
    lost: tuple[str, ...]
    seconds: float

    @classmethod
    def of(cls, report: VerifyReport) -> Self:
        return cls.model_validate(report)


class DocumentShape(Shape):
    source: str
    title: str
    format: str
    lang: str
    size: int
    chunks: int
    added: str
    sha256: str
    metadata: Mapping[str, Any]

    @classmethod
    def of(cls, document: Document, chunks: int) -> Self:
        names = set(cls.model_fields) - {"chunks"}
        return cls(chunks=chunks, **{name: getattr(document, name) for name in names})


class ListShape(Shape):
    collection: str
    documents: tuple[DocumentShape, ...]


class ShowShape(Shape):
    source: str
    title: str
    start: int
    end: int
    text: str


class StatusShape(Shape):
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
    collections: tuple[str, ...]

    @classmethod
    def of(cls, status: Status, collections: tuple[str, ...]) -> Self:
        names = set(cls.model_fields) - {"collections"}
        return cls(collections=collections, **{name: getattr(status, name) for name in names})


class ModelShape(Shape):
    name: str
    kind: Literal["chat", "embedding", "rerank"]
    description: str
    size: int
    licence: str
    languages: tuple[str, ...]
    context: int
    present: bool
    path: str | None
    engines: tuple[Literal["embedded", "vllm"], ...] = ("embedded",)


class ModelsShape(Shape):
    models: tuple[ModelShape, ...]


class ServeStepShape(Shape):
    node: str
    file: str
    text: str


class ServeShape(Shape):
    model: str
    repository: str
    url: str
    context: int
    tensor_parallel: int
    pipeline_parallel: int
    replicas: int
    command: tuple[str, ...]
    environment: Mapping[str, str]
    steps: tuple[ServeStepShape, ...]
    notes: tuple[str, ...]


class PulledShape(Shape):
    name: str
    path: str
    sha256: str


class ModelStatusShape(Shape):
    kind: Literal["endpoint", "engine", "none"]
    ok: bool
    url: str | None
    models: tuple[str, ...]
    context: int | None
    detail: str
    problem: str = ""
    version: str | None = None
    running: int | None = None
    waiting: int | None = None
    cache_usage: float | None = None
    prefix_cache_hits: float | None = None
    preemptions: int | None = None


class CheckShape(Shape):
    name: str
    state: Literal["ok", "warning", "error"]
    detail: str
    fix: str


class DoctorShape(Shape):
    ok: bool
    checks: tuple[CheckShape, ...]


class TokenShape(Shape):
    text: str
    start: int
    end: int
    kind: Literal["word", "special", "unknown"]
    importance: float


class AttentionTextShape(Shape):
    text: str
    cut: bool
    tokens: tuple[TokenShape, ...]
    map: str
    """Which heat map ``attention`` is: ``norms``, ``rollout`` or ``layer N``."""
    attention: tuple[tuple[float, ...], ...]
    """A row and a column for each token that is not unknown."""


class AttentionShape(Shape):
    model: str
    method: Literal["norms", "rollout", "occlusion"]
    layers: int
    texts: tuple[AttentionTextShape, ...]
    similarity: float | None
    """Cosine of the two texts."""
    likeness: tuple[tuple[float, ...], ...] | None
    """What each pair of their tokens adds to it."""
    files: tuple[str, ...]


class CopiedShape(Shape):
    """What a backup holds, or what came back from one."""

    file: str
    collections: tuple[str, ...]
    files: int
    bytes: int
    made: str
