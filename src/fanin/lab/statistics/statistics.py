"""Means with their uncertainty, and paired differences with their tests."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from fanin.lab.statistics.signflip import RESAMPLES, sign_flip

LEVEL = 0.95
ALPHA = 0.05
POWER = 0.8
FEW_SEEDS = 6  # with fewer, no two-sided sign-flip test gets to ALPHA


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


def share_interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % interval of independent shares, all in [0, 1], such as accuracies by seed.

    Student's t on the logit scale by the delta method, so that the bounds are shares, too (Franco
    and others 2019, J. Survey Statist. Methodol. 7, 334-364). Its error is that among the seeds; a
    binomial one, such as Wilson's, would know that of the test inputs alone, and a bootstrap of
    few values is too narrow.
    """
    plain = mean_interval(values)
    mean, margin = plain.mean, plain.high - plain.mean
    if not margin > 0:  # one value, or values that do not differ
        return plain
    center, half = special.logit(mean), margin / (mean * (1 - mean))
    low, high = special.expit([center - half, center + half])
    return Interval(mean, float(low), float(high))


@dataclass(frozen=True)
class Difference:
    """Two rows over the same seeds: `first` minus `second`.

    `interval` is the mean difference with its bounds, `p` that of the two-sided sign-flip test, and
    `p_adjusted` that for all comparisons of the family. `detectable` is the difference that would
    be found four times in five, in the values' unit; infinite where none could.
    """

    first: str
    second: str
    interval: Interval
    p: float
    p_adjusted: float
    detectable: float

    @property
    def found(self) -> bool:
        """Whether the test finds a difference at ALPHA."""
        return self.p_adjusted <= ALPHA * (1 + 1e-9)


def difference(
    first: tuple[str, Sequence[float]], second: tuple[str, Sequence[float]], family: int
) -> Difference:
    """Compare two named rows of values, paired by position, as one of `family` comparisons.

    Bonferroni's correction, for the p-value and for the bounds (Dunn 1961): 0 is outside the
    bounds exactly where a difference is found, and all bounds of the family hold together with
    confidence LEVEL. Holm's steps may find a little more, but have no bounds that agree.
    """
    gaps = np.asarray(first[1], np.float64) - np.asarray(second[1], np.float64)
    test = sign_flip(gaps, ALPHA / family)
    return Difference(
        first[0],
        second[0],
        Interval(float(gaps.mean()), test.low, test.high),
        test.p,
        min(1.0, family * test.p),
        detectable_gap(gaps, family),
    )


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


def detectable_gap(gaps: NDArray[np.float64], family: int) -> float:
    """The same in the unit of the differences."""
    effect = detectable(len(gaps), family)
    return effect if math.isinf(effect) else effect * float(np.std(gaps, ddof=1))
