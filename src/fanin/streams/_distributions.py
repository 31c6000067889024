"""The distributions of a stream, and the constants that their draws are made with.

A Distribution is what a user asked for, in doubles. `constants(precision)` is what every
back end computes with: doubles, each of which a draw in float32 rounds once. A -0.0 counts
as 0.0.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Protocol

import numpy as np

from fanin.errors import FaninError, as_number, quote
from fanin.streams._phi import interval, mean_of_cut

# The nearer bound may lie this far out: beyond, a tail coordinate would leave the float32 range.
FARTHEST = 12.5
# No draw is farther out: |z| < 6.4 in float32, 9.2 in float64; behind a bound at 12.5, 16.
_LARGEST_Z = {"float32": 6.4, "float64": 9.2}
_LARGEST_Z_BEHIND_A_BOUND = 16.0


class Distribution(Protocol):
    """What a back end needs to know to turn words into values."""

    kind: ClassVar[str]

    def constants(self, precision: str) -> tuple[float, ...]:
        """The doubles that a draw in "float32" or "float64" computes with."""
        ...

    def reach(self, precision: str) -> float:
        """A bound of the values' magnitude, to be held against the range of the dtype."""
        ...

    def mean_of_values(self) -> float:
        """The mean of the values, after truncation."""
        ...

    def std_of_values(self) -> float:
        """The standard deviation of the values, after truncation."""
        ...


def to_floats(distribution: Any) -> None:
    """Make every field a float, and finite but for the bounds of a truncation."""
    for name in type(distribution).__match_args__:
        value = getattr(distribution, name)
        number = as_number(value)
        bound = name in ("lower", "upper", "bound")
        if math.isnan(number) or (math.isinf(number) and not bound):
            kind = distribution.kind
            raise FaninError(f"{name} of {kind} is {quote(value)}; it must be a finite number.")
        object.__setattr__(distribution, name, number)


@lru_cache(maxsize=1024)
def _just_inside(low: float, high: float, precision: str, open_: bool) -> tuple[float, float]:
    """The least and the greatest number of the precision in the interval."""
    real = np.float32 if precision == "float32" else np.float64
    with np.errstate(over="ignore"):  # a bound beyond the range is no bound
        first, last = real(low), real(high)
    # As doubles: beside a float32, NumPy rounds a Python float to float32 before it compares.
    if float(first) < low or (open_ and float(first) == low):
        first = np.nextafter(first, real(math.inf))
    if float(last) > high or (open_ and float(last) == high):
        last = np.nextafter(last, real(-math.inf))
    if first > last:
        raise FaninError(f"between {low} and {high} there is no {precision}; widen the interval.")
    return float(first), float(last)


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value everywhere; no words are drawn."""

    kind: ClassVar[str] = "constant"
    value: float

    def __post_init__(self) -> None:
        to_floats(self)

    def constants(self, precision: str) -> tuple[float, ...]:
        return (self.value + 0.0,)

    def reach(self, precision: str) -> float:
        return abs(self.value)

    def mean_of_values(self) -> float:
        return self.value

    def std_of_values(self) -> float:
        return 0.0


@dataclass(frozen=True, slots=True)
class Uniform:
    """Uniform on the open interval (low, high)."""

    kind: ClassVar[str] = "uniform"
    low: float
    high: float

    def __post_init__(self) -> None:
        to_floats(self)
        if self.low >= self.high:
            raise FaninError(
                f"uniform has low={self.low}, high={self.high}; low must be < high. Swap "
                "them, or use constant for one value."
            )

    def constants(self, precision: str) -> tuple[float, ...]:
        # Halved first: high - low may overflow.
        half, middle = self.high / 2 - self.low / 2, self.high / 2 + self.low / 2
        inside = _just_inside(self.low, self.high, precision, open_=True)
        return (half, middle, *inside)

    def reach(self, precision: str) -> float:
        return max(abs(self.low), abs(self.high))

    def mean_of_values(self) -> float:
        return self.high / 2 + self.low / 2

    def std_of_values(self) -> float:
        return (self.high / 2 - self.low / 2) / math.sqrt(3.0)


@dataclass(frozen=True, slots=True)
class Normal:
    """Normal with this mean and standard deviation."""

    kind: ClassVar[str] = "normal"
    mean: float
    std: float

    def __post_init__(self) -> None:
        to_floats(self)
        check_not_negative(self, "std")

    def constants(self, precision: str) -> tuple[float, ...]:
        return (self.std, self.mean)

    def reach(self, precision: str) -> float:
        return abs(self.mean) + _LARGEST_Z[precision] * self.std

    def mean_of_values(self) -> float:
        return self.mean

    def std_of_values(self) -> float:
        return self.std


@dataclass(frozen=True, slots=True)
class TruncatedNormal:
    """Normal with this mean and std *before* truncation, cut to mean + std * (lower, upper)."""

    kind: ClassVar[str] = "truncated_normal"
    mean: float
    std: float
    lower: float
    upper: float

    def __post_init__(self) -> None:
        to_floats(self)
        check_not_negative(self, "std")
        if self.lower >= self.upper:
            raise FaninError(
                f"truncated_normal has lower={self.lower}, upper={self.upper} (in units of std "
                "around the mean); lower must be < upper. Swap them, or use constant for one value."
            )
        nearer = max(self.lower, -self.upper)
        if nearer > FARTHEST:
            raise FaninError(
                f"truncated_normal has lower={self.lower}, upper={self.upper}: the nearer bound is "
                f"{nearer} std from the mean; at most {FARTHEST} is possible."
            )

    def constants(self, precision: str) -> tuple[float, ...]:
        bits = 32 if precision == "float32" else 64
        cut = interval(self.lower, self.upper)
        scale = 2.0**bits
        tails = (cut.width, cut.below * scale, cut.above * scale, cut.shift * scale)
        if self.std == 0:
            inside = (self.mean, self.mean)
        else:
            low, high = self.mean + self.std * self.lower, self.mean + self.std * self.upper
            inside = _just_inside(low, high, precision, open_=False)
        return (self.std, self.mean, *tails, *inside)

    def reach(self, precision: str) -> float:
        lower = max(self.lower, -_LARGEST_Z_BEHIND_A_BOUND)
        upper = min(self.upper, _LARGEST_Z_BEHIND_A_BOUND)
        values = (self.mean + self.std * lower, self.mean + self.std * upper)
        return max(*map(abs, values), abs(self.mean), self.std)

    def mean_of_values(self) -> float:
        return self.mean + self.std * mean_of_cut(self.lower, self.upper)

    def std_of_values(self) -> float:
        return self.std * interval(self.lower, self.upper).std


def check_not_negative(distribution: Any, field: str) -> None:
    """Raise FaninError where a field of a distribution is negative."""
    value = getattr(distribution, field)
    if value < 0:
        raise FaninError(f"{field} of {distribution.kind} is {value}; it must be >= 0.")
