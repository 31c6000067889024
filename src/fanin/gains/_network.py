"""A wide network of one activation: its variance map and correlation map, and where they rest."""

import math
from dataclasses import dataclass, field
from typing import Literal

from fanin.errors import FaninError, as_number, quote
from fanin.gains._activation import Activation
from fanin.gains._correlation import Edges, covariance, covariance_slope
from fanin.gains._moments import NormalInput, second_moment, second_moment_growth, slope_moment
from fanin.gains._root import root

Variance = Literal["settles", "is kept", "is unstable", "vanishes", "grows without bound"]

SAME = 1e-9  # relative difference of variances that counts as none
_SMALLEST, _LARGEST = 1e-12, 1e12  # variances beyond these count as 0 and as infinite
_INSIDE = 1 - 1e-13  # a correlation this near to 1 or -1 counts as it


@dataclass(frozen=True)
class WideNetwork:
    """A wide network: the activation, and the variances of weights (times fan_in) and biases."""

    f: Activation
    weight: float
    bias: float
    _edges: dict[float, Edges] = field(default_factory=dict)

    def variance(self, q: float) -> float:
        return self.weight * second_moment(self.f, normal_of(q)) + self.bias

    def variance_slope(self, q: float) -> float:
        return self.weight * second_moment_growth(self.f, normal_of(q))

    def chi(self, q: float) -> float:
        return self.weight * slope_moment(self.f, normal_of(q))

    def fixed_point(self) -> tuple[Variance, float]:
        """What becomes of a signal of variance 1, and the variance that it comes to."""

        def gap(q: float) -> float:
            return self.variance(q) - q

        if abs(gap(1.0)) <= SAME:
            if all(abs(gap(q)) <= SAME * q for q in (0.25, 4.0)):
                return "is kept", 1.0
            return ("settles" if self.variance_slope(1.0) <= 1 else "is unstable"), 1.0
        grows = gap(1.0) > 0
        q, factor = 1.0, 2.0 if grows else 0.5
        while _SMALLEST < q < _LARGEST:
            before, q = q, q * factor
            if (gap(q) > 0) != grows:
                return "settles", root(gap, before, q)
        return ("grows without bound", math.inf) if grows else ("vanishes", 0.0)

    def correlation(self, c: float, q: float) -> float:
        inside = max(-_INSIDE, min(c, _INSIDE))
        together = covariance(self.f, self._edges_at(q), q, inside)
        return (self.weight * together + self.bias) / self.variance(q)

    def resting(self, q: float, chi1: float) -> tuple[float, float]:
        """The stable fixed point of the correlation map, and the slope there.

        C is a power series with coefficients >= 0, so it is convex on [0, 1]: with a slope above 1
        at its fixed point 1 it has just one other, in [0, 1). Where f jumps the slope at 1 is
        infinite, which f' does not tell.
        """

        def gap(c: float) -> float:
            return self.correlation(c, q) - c

        if chi1 <= 1 + SAME and gap(1 - 1e-6) > -1e-10:
            return 1.0, chi1
        away = 0.5
        while gap(1 - away) >= 0 and away > SAME:
            away /= 2
        c_star = root(gap, 0.0, 1 - away) if gap(0.0) > 1e-14 else 0.0
        slope = covariance_slope(self.f, self._edges_at(q), q, c_star)
        return c_star, self.weight * slope / self.variance(q)

    def _edges_at(self, q: float) -> Edges:
        if q not in self._edges:
            self._edges[q] = Edges(self.f, q)
        return self._edges[q]


def normal_of(q: float) -> NormalInput:
    """The law of pre-activations of mean 0 and variance q."""
    return NormalInput(0.0, math.sqrt(q))


def check_variance(value: float, what: str, zero_allowed: bool) -> float:
    """The variance as a float, or an error."""
    number = as_number(value)
    if not (math.isfinite(number) and (number > 0 or (zero_allowed and number == 0))):
        allowed = ">= 0" if zero_allowed else "> 0"
        raise FaninError(f"{what} is {quote(value)}; it must be a finite number {allowed}.")
    return number
