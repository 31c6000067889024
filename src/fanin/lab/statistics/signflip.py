"""The sign-flip test of paired differences, and the bounds that are its inverse."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

# All sign flips are tried where there are no more than this, so up to 13 pairs; else as many random
# ones, from a fixed seed.
RESAMPLES = 9999
SEED = 0
DIGITS = 9  # sums that agree in so many are ties, as they are in exact arithmetic


class SignFlip(NamedTuple):
    """The two-sided p-value of the mean, and bounds for it; infinite where the test has none."""

    p: float
    low: float
    high: float


def sign_flip(gaps: NDArray[np.float64], alpha: float) -> SignFlip:
    """Test paired differences by flipping their signs.

    The bounds hold all shifts that the same test, with the same flips, does not refute at `alpha`:
    0 is outside where p is at most `alpha`, and nowhere else.
    """
    count, scale = len(gaps), float(np.abs(gaps).max(initial=0.0))
    if count < 2:
        return SignFlip(1.0, math.nan, math.nan)
    if not scale:
        return SignFlip(1.0, 0.0, 0.0)

    def sums(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        found = np.asarray(values.sum(axis=axis)).round(DIGITS)
        found[..., 0] = np.abs(found[..., 0])
        return found

    # Three rows under the same flips: the first is tested; the others tell what was flipped.
    # permutation_test doubles the smaller tail; that of an absolute sum has no ties to it.
    rows = np.stack([gaps / scale, gaps / scale, np.ones(count)])
    test = stats.permutation_test(
        (rows,),
        sums,
        permutation_type="samples",
        alternative="greater",
        n_resamples=RESAMPLES,
        vectorized=True,
        axis=-1,
        random_state=np.random.default_rng(SEED),  # named rng since SciPy 1.15
    )
    low, high = _bounds(sums(rows, -1)[1], count, test.null_distribution[:, 1:], alpha)
    return SignFlip(float(test.pvalue[0]), scale * low, scale * high)


def _bounds(
    total: float, count: int, flipped: NDArray[np.float64], alpha: float
) -> tuple[float, float]:
    """The bounds of the shift, from the sums of gaps and of signs after each flip.

    A flip of the shifted gaps is as extreme as they are where the shift lies beyond the mean of
    those flipped, or of the others; so the bounds are order statistics of such means (Hartigan
    1969, J. Amer. Statist. Assoc. 64, 1303-1317).
    """
    inside, size = (total - flipped[:, 0]) / 2, (count - flipped[:, 1]) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.stack([inside / size, (total - inside) / (count - size)])
    some = (size > 0) & (size < count)  # to flip none, or all, is as extreme for every shift
    low, high = np.where(some, means.min(0), -np.inf), np.where(some, means.max(0), np.inf)
    drawn = 0 if 2**count <= RESAMPLES else 1  # random flips: the data count as one more of them
    allowed = math.floor(alpha * (len(flipped) + drawn) + 1e-9) - drawn
    if allowed < 0:
        return -math.inf, math.inf
    return float(np.sort(low)[allowed]), float(np.sort(high)[-1 - allowed])
