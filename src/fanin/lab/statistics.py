"""Means with their uncertainty."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean and the bounds of its confidence interval; NaN where one value gives none."""

    mean: float
    low: float
    high: float

    def overlaps(self, other: "Interval") -> bool:
        """Whether two intervals share a point; one without bounds is apart from nothing."""
        return not (self.high < other.low or other.high < self.low)


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % interval (Student's t) of independent values."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean, math.nan, math.nan)
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    margin = float(stats.t.ppf((1 + LEVEL) / 2, df=len(values) - 1)) * error
    return Interval(mean, mean - margin, mean + margin)
