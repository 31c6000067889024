"""Means with their uncertainty, and paired differences with their tests."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

LEVEL = 0.95
ALPHA = 0.05
POWER = 0.8
FEW_SEEDS = 6  # with fewer, no two-sided sign-flip test gets to ALPHA
# All sign flips are tried where there are no more than this, so up to 13 pairs; else as many random
# ones. The same number of bootstrap resamples. Both from a fixed seed.
RESAMPLES = 9999
SEED = 0


@dataclass(frozen=True)
class Interval:
    """A mean and the bounds of its confidence interval; NaN where one value gives none."""

    mean: float
    low: float
    high: float


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % interval (Student's t) of independent values."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean, math.nan, math.nan)
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    margin = float(stats.t.ppf((1 + LEVEL) / 2, df=len(values) - 1)) * error
    return Interval(mean, mean - margin, mean + margin)


@dataclass(frozen=True)
class Difference:
    """Two rows over the same seeds: `first` minus `second`.

    `interval` is the mean difference with its bootstrap bounds; `p` of the two-sided sign-flip
    test, `p_holm` after Holm's correction for the family. `detectable` is the difference that
    would be found four times in five, in the values' unit; infinite where none could.
    """

    first: str
    second: str
    interval: Interval
    p: float
    p_holm: float
    detectable: float

    @property
    def found(self) -> bool:
        """Whether the test finds a difference at ALPHA."""
        return self.p_holm <= ALPHA


def difference(
    first: tuple[str, Sequence[float]], second: tuple[str, Sequence[float]], family: int
) -> Difference:
    """Compare two named rows of values, paired by position, as one of `family` comparisons.

    `p_holm` is not yet corrected; see `holm`.
    """
    gaps = np.asarray(first[1], np.float64) - np.asarray(second[1], np.float64)
    effect, p = detectable(len(gaps), family), sign_flip(gaps)
    spread = effect if math.isinf(effect) else effect * float(np.std(gaps, ddof=1))
    return Difference(first[0], second[0], _bootstrap(gaps), p, p, spread)


def sign_flip(gaps: NDArray[np.float64]) -> float:
    """The two-sided p-value of paired differences under random signs; exact up to 13 of them."""
    if len(gaps) < 2 or not gaps.any():
        return 1.0
    # permutation_test doubles the smaller tail; that of |mean| is the same and has no ties to it.
    test = stats.permutation_test(
        (gaps,),
        lambda values, axis: np.abs(np.mean(values, axis=axis)),
        permutation_type="samples",
        alternative="greater",
        n_resamples=RESAMPLES,
        vectorized=True,
        rng=np.random.default_rng(SEED),
    )
    return float(test.pvalue)


def holm(differences: Sequence[Difference]) -> list[Difference]:
    """The same differences with Holm's step-down adjusted p-values (Holm 1979)."""
    order = sorted(range(len(differences)), key=lambda index: differences[index].p)
    adjusted, largest = list(differences), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, differences[index].p * (len(order) - rank)))
        adjusted[index] = replace(differences[index], p_holm=largest)
    return adjusted


def smallest_p(pairs: int, family: int) -> float:
    """The smallest adjusted p-value that so many pairs can give among so many comparisons."""
    flips = 2.0**pairs
    least = 2 / flips if flips <= RESAMPLES else 1 / (RESAMPLES + 1)
    return min(1.0, family * least)


def pairs_needed(family: int) -> int:
    """The fewest pairs with which a test among so many comparisons can find anything."""
    return next(n for n in range(2, 64) if smallest_p(n, family) <= ALPHA)


def detectable(pairs: int, family: int) -> float:
    """The effect, in standard deviations of the differences, that is found four times in five.

    By the power of the paired t-test at ALPHA / family, to which the sign-flip test is close;
    infinite where the sign-flip test can find nothing.
    """
    if pairs < 2 or smallest_p(pairs, family) > ALPHA:
        return math.inf
    limit = float(stats.t.ppf(1 - ALPHA / family / 2, df=pairs - 1))

    def missing(effect: float) -> float:
        return float(stats.nct.sf(limit, pairs - 1, effect * math.sqrt(pairs))) - POWER

    return float(optimize.brentq(missing, 1e-3, 100.0))


def _bootstrap(gaps: NDArray[np.float64]) -> Interval:
    """The mean and its 95 % percentile bootstrap interval."""
    mean = float(gaps.mean())
    if len(gaps) < 2:
        return Interval(mean, math.nan, math.nan)
    found = stats.bootstrap(
        (gaps,),
        np.mean,
        confidence_level=LEVEL,
        n_resamples=RESAMPLES,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))
