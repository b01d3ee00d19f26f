"""The JSON of an answer. These shapes are a promise to other programs."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Literal, Self

from pydantic import Field

from agents.shapes import ResultShape, Shape
from indexes.types import SearchResult
from rag.scores import scores_of
from rag.types import Answer, Trace


class ContextShape(ResultShape):
    number: int

    @classmethod
    def of(cls, number: int, result: SearchResult) -> Self:
        values = {name: getattr(result, name) for name in ResultShape.model_fields}
        return cls(number=number, **values)


class CitationShape(Shape):
    number: int
    claim: str
    source: str
    title: str
    page: int | None
    start: int
    end: int
    quote: str
    support: Literal["verbatim", "entailed", "unsupported"]


class UsageShape(Shape):
    prompt_tokens: int
    completion_tokens: int


class FoundShape(Shape):
    """A passage as a step of the retrieval found it, with the score of each leg of the search."""

    rank: int
    score: float
    dense: float | None
    lexical: float | None
    source: str
    start: int
    end: int


class StepShape(Shape):
    step: str
    detail: str
    seconds: float
    usage: UsageShape
    found: tuple[FoundShape, ...]

    @classmethod
    def of(cls, trace: Trace) -> Self:
        return cls.model_validate(trace)


class ScoresShape(Shape):
    number: int
    dense: float | None
    lexical: float | None
    fused: float | None
    reranked: float | None


class AttributionShape(Shape):
    """Log-probabilities (natural logarithms) of what the answer states."""

    number: int
    with_all: float
    without: float
    difference: float
    share: float


class WeighedShape(Shape):
    """What the attributions are made of, and what they cost besides the answer's own ``usage``."""

    with_all: float
    with_none: float
    tokens: int
    usage: UsageShape
    seconds: float


class AnswerShape(Shape):
    question: str
    answer: str
    status: Literal["answered", "unanswerable", "no_model"]
    citations: tuple[CitationShape, ...]
    contexts: tuple[ContextShape, ...]
    model: str
    prompt: str
    collection: str
    generation: int
    usage: UsageShape
    timings_ms: Mapping[str, float]
    short: str
    plan: str
    citation_precision: float | None
    citation_recall: float | None
    confidence: float | None
    notices: tuple[str, ...] = Field(default=(), exclude_if=lambda notices: not notices)
    steps: tuple[StepShape, ...] = Field(default=(), exclude_if=lambda steps: not steps)
    """With ``--explain``: how the passages were found."""
    scores: tuple[ScoresShape, ...] = Field(default=(), exclude_if=lambda scores: not scores)
    """With ``--explain``: what each leg of the retrieval gave each passage."""
    attributions: tuple[AttributionShape, ...] = Field(default=(), exclude_if=lambda all: not all)
    """With ``--explain``, where the server gives log-probabilities: what the answer leans on."""
    weighed: WeighedShape | None = Field(default=None, exclude_if=lambda weighed: weighed is None)

    @classmethod
    def of(cls, answer: Answer, *, explain: bool = False) -> Self:
        names = set(cls.model_fields) & {field.name for field in fields(answer)}
        names -= {"contexts", "citations", "usage", "steps", "attributions", "weighed"}
        return cls(
            answer=answer.text,
            contexts=tuple(ContextShape.of(n, r) for n, r in enumerate(answer.contexts, 1)),
            citations=tuple(CitationShape.model_validate(c) for c in answer.citations),
            usage=UsageShape.model_validate(answer.usage),
            citation_precision=answer.precision,
            citation_recall=answer.recall,
            steps=tuple(StepShape.of(step) for step in answer.steps) if explain else (),
            scores=tuple(map(ScoresShape.model_validate, scores_of(answer))) if explain else (),
            attributions=tuple(map(AttributionShape.model_validate, answer.attributions)),
            weighed=WeighedShape.model_validate(answer.weighed) if answer.weighed else None,
            **{name: getattr(answer, name) for name in names},
        )
