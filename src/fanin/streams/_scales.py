"""Scales: distributions of rates, steps and memories, by the inverse, on the host.

Time steps that are uniform in their logarithm, the same seen through softplus, logarithms of
uniform numbers, and eigenvalues in a ring.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fanin.errors import FaninError
from fanin.streams._distributions import to_floats
from fanin.streams._elementary import Float64, exp, expm1, log, log_of
from fanin.streams._inversion import Draws, Inverted

_MOST = 1e100  # of an end, so that logarithms and squares are finite


@dataclass(frozen=True, slots=True)
class Ranged(Inverted):
    """A distribution between two ends."""

    low: float
    high: float

    def __post_init__(self) -> None:
        to_floats(self)
        if not 0 < self.low < self.high <= _MOST:
            raise FaninError(
                f"low and high of {self.kind} are {self.low:g} and {self.high:g}; give 0 < low < "
                f"high, up to {_MOST:g}."
            )

    kind: ClassVar[str]

    def constants(self, precision: str) -> tuple[float, ...]:
        """The two ends."""
        return (self.low, self.high)

    @abstractmethod
    def _at(self, u: Float64) -> Float64:
        """The value of each u."""

    def values(self, draws: Draws) -> Float64:
        """The value of each u of the draws."""
        return self._at(draws.u())

    def reach(self, precision: str) -> float:
        """The larger magnitude at the two ends of u, that of a draw at 0 being 2**-65."""
        return float(np.abs(self._at(np.array([2.0**-65, 1.0]))).max())

    def mean_of_values(self) -> float:
        """The mean, by quadrature over u."""
        return mean_over_u(self._at)

    def std_of_values(self) -> float:
        """The standard deviation, by quadrature over u."""
        mean = self.mean_of_values()
        return math.sqrt(mean_over_u(lambda u: (self._at(u) - mean) ** 2))


def mean_over_u(function: Callable[[Float64], Float64]) -> float:
    """The mean of a function of u, whose ends may be singular as a logarithm is."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    # u = 3 s**2 - 2 s**3 crowds the nodes at both ends; du/ds = 6 s (1 - s).
    s = (nodes + 1) / 2
    u = s * s * (3 - 2 * s)
    return float(np.sum(weights / 2 * 6 * s * (1 - s) * function(u)))


@dataclass(frozen=True, slots=True)
class LogUniform(Ranged):
    """A number whose logarithm is uniform between those of low and high."""

    kind: ClassVar[str] = "log_uniform"

    def _at(self, u: Float64) -> Float64:
        low = log_of(self.low)
        return exp(low + u * (log_of(self.high) - low))


@dataclass(frozen=True, slots=True)
class InverseSoftplus(LogUniform):
    """What softplus brings to a log-uniform number."""

    kind: ClassVar[str] = "inverse_softplus"

    def _at(self, u: Float64) -> Float64:
        """log(exp(t) - 1); of large t as t + log(1 - exp(-t))."""
        t = super(InverseSoftplus, self)._at(u)
        small = np.minimum(t, 1.0)
        grown = expm1(small)
        near = log(grown, grown - 1.0)
        rest = -exp(-np.minimum(np.maximum(t, 1.0), 700.0))
        return np.where(t <= 1.0, near, t + log(1.0 + rest, rest))


@dataclass(frozen=True, slots=True)
class LogOfUniform(Ranged):
    """The logarithm of a uniform number; low may be zero."""

    kind: ClassVar[str] = "log_of_uniform"

    def __post_init__(self) -> None:
        if self.low != 0:
            super(LogOfUniform, self).__post_init__()
            return
        to_floats(self)
        if not 0 < self.high <= _MOST:
            raise FaninError(f"high of {self.kind} is {self.high:g}; give a number above 0.")

    def _at(self, u: Float64) -> Float64:
        x = self.low + u * (self.high - self.low)
        return log(x, x - 1.0)


@dataclass(frozen=True, slots=True)
class RingRate(Ranged):
    """log(-log|z|) of numbers z that are uniform on the ring between two radii up to one."""

    kind: ClassVar[str] = "ring_rate"

    def __post_init__(self) -> None:
        to_floats(self)
        if not 0 <= self.low < self.high <= 1:
            raise FaninError(
                f"radii of {self.kind} are {self.low:g} and {self.high:g}; give 0 <= r_min < "
                "r_max <= 1."
            )

    def _at(self, u: Float64) -> Float64:
        """|z|**2 is uniform; 1 - |z|**2 keeps its digits near one."""
        inner, outer = self.low**2, self.high**2
        square = inner + u * (outer - inner)
        lacking = np.maximum((1.0 - outer) + (1.0 - u) * (outer - inner), 2.0**-66)
        rate = -0.5 * log(np.minimum(square, 1.0 - 2.0**-53), -lacking)
        return log(rate, rate - 1.0)
