"""Uneven: that a second moment is another one at every position, sample and unit."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Uneven:
    """How an activation's second moment differs, over sites (samples and positions) and units.

    Its normal z is then sqrt(q) times another one, q of mean 1.
    """

    tail: float = 0.0  # the variance of q
    common: float = 1.0  # the share of it that is the same for all units of a site
    kurtosis: float | None = None  # of the activation, where its values do not show it
    level: bool = False  # all sites have the same, as behind a norm, or nobody knows, as of data


EVEN, LEVEL = Uneven(), Uneven(level=True)
