"""One search: ask each leg, fill in what one leg says of the other's finds, fuse, read the text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from indexes.clock import timed
from indexes.database import Database
from indexes.derived import knowledge
from indexes.fusion import (
    DENSE_ONLY,
    LEXICAL_ONLY,
    Blend,
    Candidate,
    choose_blend,
    fuse,
)
from indexes.snapshot import View
from indexes.types import SearchResult, chunk_id
from indexes.vectors import cosines

Mode = Literal["hybrid", "dense", "lexical"]

_DEPTH = 100
"""Candidates from each leg; more cost time and changed no figure of the benchmark."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate with its place in the fused ranking."""

    candidate: Candidate
    score: float


def retrieve(
    query: str,
    k: int,
    view: View,
    vector: Callable[[], Sequence[float]] | None,
    allowed: NDArray[np.int64] | None,
    timings: dict[str, float],
) -> list[Ranked]:
    """At least the ``k`` best chunks, best first. A leg that ``view`` lacks has no say. ``vector``
    waits for the query's embedding, which another thread computes meanwhile."""
    depth = max(_DEPTH, 2 * k)
    lexical: dict[int, float] = {}
    dense: dict[int, float] = {}
    if view.lexical:
        with timed(timings, "lexical"):
            if allowed is None:
                lexical = view.best_lexical(query, depth, k)
            else:
                lexical = dict(view.lexical.search(query, depth, allowed))
    if view.dense and vector:
        with timed(timings, "wait"):
            embedded = np.asarray(vector(), dtype=np.float32)
        with timed(timings, "dense"):
            dense = dict(view.dense.search(embedded, depth, view.stored, allowed, k))
            dense |= cosines(embedded, [n for n in lexical if n not in dense], view.stored)
    if view.lexical and dense:
        with timed(timings, "lexical_rest"):
            rest = np.sort(np.asarray([n for n in dense if n not in lexical], dtype=np.int64))
            lexical |= dict(view.lexical.search(query, len(rest), rest)) if len(rest) else {}
    candidates = [Candidate(n, dense.get(n), lexical.get(n)) for n in {**lexical, **dense}]
    by_number = {c.id: c for c in candidates}
    best = view.lexical.best_score(query) if view.lexical else 0.0
    ranking = fuse(candidates, _blend(query, view), best)
    return [Ranked(by_number[number], score) for number, score in ranking]


def _blend(query: str, view: View) -> Blend:
    if view.lexical is None:
        return DENSE_ONLY
    return choose_blend(query, knowledge(view.database)) if view.dense else LEXICAL_ONLY


def to_results(ranked: Sequence[Ranked], database: Database, k: int) -> tuple[SearchResult, ...]:
    """The ``k`` best that are alive, with text, place and metadata from the database."""
    alive = database.chunks(r.candidate.id for r in ranked[: 2 * k])
    living = [r for r in ranked[: 2 * k] if r.candidate.id in alive][:k]
    results = []
    for rank, (number, score, dense, lexical) in enumerate(
        ((r.candidate.id, r.score, r.candidate.dense, r.candidate.lexical) for r in living), 1
    ):
        chunk, document = alive[number].chunk, alive[number].document
        results.append(
            SearchResult(
                rank=rank,
                score=round(score, 6),
                chunk_id=chunk_id(document.source, chunk.start, chunk.text),
                source=document.source,
                title=document.title,
                page=chunk.page,
                heading=chunk.heading,
                start=chunk.start,
                end=chunk.end,
                text=chunk.text,
                metadata={"format": document.format, "lang": document.lang, **document.metadata},
                dense=dense,
                lexical=lexical,
                page_starts=document.page_starts,
            )
        )
    return tuple(results)
