"""How sure a figure is, and whether two runs differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

_AT_ONCE, _PARTS = 200, 10
"""Two thousand resamples, in parts, for thousands of questions fill the memory otherwise."""

Values = NDArray[np.float64] | Sequence[float]


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of ``b - a`` over the same questions, its 95 % interval, and McNemar's exact
    two-sided p where all values are 0 or 1, else ``None``."""

    mean: float
    low: float
    high: float
    p: float | None


def interval(values: Values, share: float = 0.95, seed: int = 1) -> tuple[float, float]:
    """The bootstrap interval of the mean of ``values``, at least one (percentiles of 2,000
    resamples)."""
    means = _means(values, np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def _means(values: Values, draw: np.random.Generator) -> NDArray[np.float64]:
    """The mean of each resample."""
    array = np.asarray(values, dtype=np.float64)
    shape = (_AT_ONCE, len(array))
    parts = [array[draw.integers(0, len(array), shape)].mean(axis=1) for _ in range(_PARTS)]
    return np.concatenate(parts)


def balanced_interval(first: Values, second: Values, seed: int = 1) -> tuple[float, float]:
    """The bootstrap 95 % interval of the mean of the two means, each resampled by itself."""
    draw = np.random.default_rng(seed)
    means = (_means(first, draw) + _means(second, draw)) / 2
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def difference(a: Values, b: Values) -> Difference:
    """What ``b`` has over ``a``; both hold one value per question, in the same order. The
    questions are resampled, each with both of its values (paired bootstrap)."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    change = second - first
    low, high = interval(change)
    binary = bool(np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all())
    lost, won = int((change < 0).sum()), int((change > 0).sum())
    return Difference(float(change.mean()), low, high, mcnemar(lost, won) if binary else None)


def balanced_difference(first: Values, second: Values) -> Difference:
    """The mean of the mean changes of two kinds of questions, ``first`` and ``second``, each -1, 0
    or 1; each kind is resampled by itself, so that every resample has as many of both."""
    low, high = balanced_interval(first, second)
    changes = np.concatenate([np.asarray(first), np.asarray(second)])
    p = mcnemar(int((changes < 0).sum()), int((changes > 0).sum()))
    return Difference(float(np.mean(first) + np.mean(second)) / 2, low, high, p)


def mcnemar(lost: int, won: int) -> float:
    """The exact two-sided p-value of McNemar's test: how likely a split as uneven as ``lost`` to
    ``won`` is when either is as likely (the binomial test of the discordant pairs)."""
    total = lost + won
    tail = sum(comb(total, k) for k in range(min(lost, won) + 1))
    return float(min(1.0, 2 * tail / 2**total))
