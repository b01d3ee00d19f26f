"""Figures of merit of rankings, by ``ir_measures``."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexes.errors import UsageError
from indexes.i18n import t

CUTOFF: Final = 10
"""Documents of a ranking that count."""
ALL_GOLD: Final = "all gold@10"
NAMES: Final = ("R@1", "R@5", "RR@10", "nDCG@10", ALL_GOLD)

_RRF_K = 60

Values = NDArray[np.float64]


def can_rank() -> bool:
    """Whether ``ir_measures`` is installed; it comes with the extra ``eval`` of the project."""
    return find_spec("ir_measures") is not None


def evaluate(
    gold: Mapping[str, Collection[str]], rankings: Mapping[str, Sequence[str]]
) -> dict[str, Values]:
    """For each of `NAMES` one value per question, in the order of ``gold``.

    ``gold`` gives the ids of the right documents of a question, ``rankings`` the ids that were
    found, best first, each once. A question without a ranking counts as one where nothing was
    found. Raises `UsageError` where ``ir_measures`` is not installed.
    """
    if not can_rank():
        raise UsageError(
            t(
                "Measuring a search needs the package ir-measures. Install it with: "
                "pip install ir-measures"
            )
        )
    import ir_measures
    from ir_measures import RR, R, nDCG

    measures = {
        "R@1": R @ 1, "R@5": R @ 5, "RR@10": RR @ 10, "nDCG@10": nDCG @ 10, ALL_GOLD: R @ CUTOFF,
    }  # fmt: skip
    qrels = [ir_measures.Qrel(q, document, 1) for q, right in gold.items() for document in right]
    run = [
        ir_measures.ScoredDoc(q, document, -rank)
        for q, found in rankings.items()
        for rank, document in enumerate(found[:CUTOFF])
    ]
    row = {q: number for number, q in enumerate(gold)}
    names = {measure: name for name, measure in measures.items()}
    values = {name: np.zeros(len(gold)) for name in NAMES}
    for metric in ir_measures.iter_calc(list(names), qrels, run):
        values[names[metric.measure]][row[metric.query_id]] = metric.value
    values[ALL_GOLD] = np.floor(values[ALL_GOLD])
    return values


def distinct(documents: Iterable[str]) -> list[str]:
    """Each document once, where its best passage stands."""
    return list(dict.fromkeys(documents))


def reciprocal_rank_fusion(rankings: Iterable[Sequence[str]]) -> list[str]:
    """One ranking of several: the sum of 1 / (60 + rank) decides (Cormack, Clarke and Büttcher,
    SIGIR 2009); the first ranking goes first among equals."""
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, document in enumerate(ranking, 1):
            scores[document] = scores.get(document, 0.0) + 1.0 / (_RRF_K + rank)
    return sorted(scores, key=lambda document: -scores[document])
