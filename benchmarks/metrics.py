"""Figures of merit of rankings, by ``ir_measures``, and how sure they are."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import ir_measures
import numpy as np
from ir_measures import RR, R, nDCG
from numpy.typing import NDArray

CUTOFF: Final = 10
"""Documents of a ranking that count."""
ALL_GOLD: Final = "all gold@10"
NAMES: Final = ("R@1", "R@5", "RR@10", "nDCG@10", ALL_GOLD)

_MEASURES: Final = {"R@1": R @ 1, "R@5": R @ 5, "RR@10": RR @ 10, "nDCG@10": nDCG @ 10}
_RESAMPLES = 2000
_RRF_K = 60

Values = NDArray[np.float64]


def evaluate(
    gold: Mapping[str, Collection[str]], rankings: Mapping[str, Sequence[str]]
) -> dict[str, Values]:
    """For each of `NAMES` one value per question, in the order of ``gold``.

    ``gold`` gives the ids of the right documents of a question, ``rankings`` the ids that were
    found, best first, each once. A question without a ranking counts as one where nothing was
    found.
    """
    qrels = [ir_measures.Qrel(q, document, 1) for q, right in gold.items() for document in right]
    run = [
        ir_measures.ScoredDoc(q, document, -rank)
        for q, found in rankings.items()
        for rank, document in enumerate(found[:CUTOFF])
    ]
    row = {q: number for number, q in enumerate(gold)}
    measures = {**_MEASURES, ALL_GOLD: R @ CUTOFF}
    names = {measure: name for name, measure in measures.items()}
    values = {name: np.zeros(len(gold)) for name in NAMES}
    for metric in ir_measures.iter_calc(list(names), qrels, run):
        values[names[metric.measure]][row[metric.query_id]] = metric.value
    values[ALL_GOLD] = np.floor(values[ALL_GOLD])
    return values


def interval(values: Values, share: float = 0.95, seed: int = 1) -> tuple[float, float]:
    """The bootstrap interval of the mean of ``values`` (percentiles of 2,000 resamples)."""
    draw = np.random.default_rng(seed)
    size = len(values)
    means = [values[draw.integers(0, size, size)].mean() for _ in range(_RESAMPLES)]
    low, high = np.quantile(means, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


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
