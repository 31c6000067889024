"""Width: how far chance may take a narrow network from theory."""

import math
from collections.abc import Sequence

from fanin.checks._chains import Chains
from fanin.checks._limits import LIMITS


def band(beta: float, draws: int = 1) -> float:
    """How far ln RMS may be from theory by chance, two standard deviations: Hanin & Rolnick 2018.

    `beta` is the sum of 1/width; the mean of several draws spreads less.
    """
    return LIMITS.band_mean * beta + math.sqrt(LIMITS.band_spread * beta / draws)


def path_beta(chains: Chains, path: Sequence[int]) -> float:
    """The sum of 1/width over the layers of a path."""
    return sum(1 / chains.uses[use].width for use in path)
