"""Fusion of the dense and the lexical leg into one ranking.

Both scores are first put on a scale of their own that does not depend on the other candidates: a
cosine is measured from what the embedding model gives to texts that have nothing in common, a BM25
score against the best that any passage could reach for the query. Their weighted sum ranks. How
much the dense leg counts depends on how well the embedding model knows the script of the query,
for a leg that guesses spoils one that knows (see ``indexes.probes``, which measures it).
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Script = Literal["latin", "han"]

_WEIGHT_OF_GUESSES: Final = 0.02
"""Dense weight where the model does not know the language: too little to spoil a lexical order, and
passages that share no term with the query still have one."""
_WEIGHT_OF_KNOWLEDGE: Final = 0.3
"""Dense weight where it does; results hardly change between 0.2 and 0.4, in English and Chinese."""
_K1: Final = 1.2
_LEAST_SPAN: Final = 0.05
"""A model that calls everything alike has a floor near 1; its noise must not be blown up."""

_HAN = re.compile("[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+")
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Knowledge:
    """How well an embedding model knows the language of one script.

    ``recall`` is the share of questions, 0 to 1, whose own answer came out nearest; ``floor`` the
    mean cosine between a question and the answers to others.
    """

    recall: float
    floor: float


@dataclass(frozen=True, slots=True)
class Blend:
    """``weight`` of the dense leg, 0 to 1 (the lexical leg has the rest), and the cosine ``floor``
    that counts as no similarity."""

    weight: float
    floor: float


LEXICAL_ONLY: Final = Blend(0.0, 0.0)
DENSE_ONLY: Final = Blend(1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that one leg or both found: its cosine with the query and its BM25 score.

    ``dense`` is ``None`` where no vector says anything; that counts as no similarity. ``lexical``
    is ``None`` where the chunk shares no term with the query.
    """

    id: int
    dense: float | None
    lexical: float | None


def choose_blend(query: str, known: Mapping[Script, Knowledge]) -> Blend:
    """How to weigh the dense leg for ``query``, given what the embedding model knows.

    A script that was not measured is taken to be known as well as the worst that was: a
    multilingual model knows them all, another one its own. A query in several scripts gets the
    mean over its words, of which every Han character counts as one. Nothing measured: the lexical
    leg leads.
    """
    if not known:
        return Blend(_WEIGHT_OF_GUESSES, 0.0)
    worst = min(known.values(), key=lambda k: k.recall)
    parts: list[tuple[Knowledge, int]] = [
        (known.get("han", worst), len(_HAN.findall(query))),
        (known.get("latin", worst), len(_LATIN_WORD.findall(query))),
        (worst, len(_WORD.findall(_LATIN_WORD.sub(" ", _HAN.sub(" ", query))))),
    ]
    words = sum(count for _, count in parts)
    if not words:
        parts, words = [(worst, 1)], 1
    trust = sum(_trust(knowledge) * count for knowledge, count in parts) / words
    floor = sum(knowledge.floor * count for knowledge, count in parts) / words
    return Blend(_WEIGHT_OF_GUESSES + (_WEIGHT_OF_KNOWLEDGE - _WEIGHT_OF_GUESSES) * trust, floor)


def _trust(knowledge: Knowledge) -> float:
    """No trust in a model that fails half of the easy questions, full trust where it fails none."""
    return max(0.0, 2.0 * knowledge.recall - 1.0)


def best_lexical(looked_up: Iterable[tuple[int, float]], chunks: int) -> float:
    """The BM25 score (k1 = 1.2) that no passage can pass for a query.

    ``looked_up`` holds, for each of its terms, the number of passages with it, among ``chunks`` in
    all, and its boost. A passage comes near only by repeating every term without end; one that has
    each term once, at average length, reaches 1 / (k1 + 1) of it.
    """
    # Frequencies may still count passages that were removed, the total does not.
    odds = ((boost, (max(0, chunks - n) + 0.5) / (n + 0.5)) for n, boost in looked_up)
    return (_K1 + 1.0) * sum(boost * math.log(1.0 + odd) for boost, odd in odds)


def fuse(
    candidates: Sequence[Candidate], blend: Blend, lexical_best: float
) -> list[tuple[int, float]]:
    """``(id, score)`` from best to worst, scores in [0, 1], equal ones by id.

    ``lexical_best`` comes from ``best_lexical``. A score compares across queries of one collection
    only roughly; it is no probability.
    """
    values = [(c.id, _value(c, blend, lexical_best)) for c in candidates]
    values.sort(key=lambda pair: (-pair[1], pair[0]))
    return [(number, min(1.0, max(0.0, value))) for number, value in values]


def _value(candidate: Candidate, blend: Blend, lexical_best: float) -> float:
    dense = lexical = 0.0
    if candidate.dense is not None:
        dense = (candidate.dense - blend.floor) / max(1.0 - blend.floor, _LEAST_SPAN)
    if candidate.lexical is not None and lexical_best > 0.0:
        lexical = min(1.0, candidate.lexical / lexical_best)
    return blend.weight * dense + (1.0 - blend.weight) * lexical
