"""Paired differences as the studies report them: bootstrap bounds, and Holm's correction."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fanin.lab.statistics.signflip import RESAMPLES, SEED, sign_flip
from fanin.lab.statistics.statistics import ALPHA, LEVEL, Difference, Interval, detectable_gap


def difference(
    first: tuple[str, Sequence[float]], second: tuple[str, Sequence[float]], family: int
) -> Difference:
    """Compare two named rows of values, paired by position, as one of `family` comparisons.

    `p_adjusted` is not yet corrected; see `holm`.
    """
    gaps = np.asarray(first[1], np.float64) - np.asarray(second[1], np.float64)
    p = sign_flip(gaps, ALPHA).p
    return Difference(first[0], second[0], _bootstrap(gaps), p, p, detectable_gap(gaps, family))


def holm(differences: Sequence[Difference]) -> list[Difference]:
    """The same differences with Holm's step-down adjusted p-values (Holm 1979)."""
    order = sorted(range(len(differences)), key=lambda index: differences[index].p)
    adjusted, largest = list(differences), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, differences[index].p * (len(order) - rank)))
        adjusted[index] = replace(differences[index], p_adjusted=largest)
    return adjusted


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
        random_state=np.random.default_rng(SEED),  # named rng since SciPy 1.15
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))
