"""Starts compared by ratios of their losses, each at its own best rate, paired by seed."""

import math
from collections.abc import Sequence

import numpy as np

from fanin.lab.statistics.statistics import Difference
from fanin.studies._paired import difference
from fanin.studies.transformers._stacked import LossesByRate

LEAST_RATIO = 1.1  # of geometric means: less is no better
DIVERGED_LOSS = 1e3  # what a loss that is not finite counts as
RATIO_RULE = (
    "Holds where the paired sign-flip test of log losses finds it; refuted where it finds the "
    f"opposite, or where the interval of the ratio ends below {LEAST_RATIO:g}."
)


def find_best_rate(losses: LossesByRate) -> str:
    """The rate whose losses have the lowest geometric mean over the seeds."""
    return min(losses, key=lambda rate: geometric(_bound(losses[rate])))


def take_best(losses: LossesByRate) -> list[float]:
    """The losses of all seeds at the best rate."""
    return _bound(losses[find_best_rate(losses)])


def _bound(losses: Sequence[float | None]) -> list[float]:
    return [DIVERGED_LOSS if loss is None else loss for loss in losses]


def geometric(values: Sequence[float]) -> float:
    """The geometric mean of positive numbers."""
    return math.exp(float(np.mean(np.log(values))))


def compare_losses(
    worse: tuple[str, LossesByRate], better: tuple[str, LossesByRate], family: int
) -> Difference:
    """Log losses of the first less those of the second, as one of `family` comparisons."""
    first, second = (np.log(take_best(losses)).tolist() for _, losses in (worse, better))
    return difference((worse[0], first), (better[0], second), family)


def judge_ratio(gap: Difference) -> bool | None:
    """Whether the first has the larger loss, by RATIO_RULE."""
    if gap.found:
        return gap.interval.mean > 0
    return False if gap.interval.high < math.log(LEAST_RATIO) else None


def tell_ratio(gap: Difference) -> str:
    """`zero biases over torch's: 155 (60 to 320), p = 0.004`."""
    mean, low, high = (
        f"{math.exp(value):.3g}"
        for value in (gap.interval.mean, gap.interval.low, gap.interval.high)
    )
    told = f"{gap.first} over {gap.second}: {mean} ({low} to {high})"
    return f"{told}, p = {gap.p_adjusted:.2g}"
