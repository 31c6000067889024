"""Signal: what is known of an activation before any weight is drawn, as a function of a normal z.

A wide linear map makes its outputs normal; functions of them are known on a grid of that
normal. Two positions of one activation (pixels, tokens, samples) share weights, and so their
values correlate: `correlation` is that of their z.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from fanin.errors import FaninError
from fanin.gains._quadrature import root_density, settle, total
from fanin.graph._graph import Values
from fanin.graph._uneven import EVEN as EVEN
from fanin.graph._uneven import LEVEL as LEVEL
from fanin.graph._uneven import Uneven as Uneven

# Gauss-Legendre nodes on panels whose edges lie where activations have their kinks.
_EDGES = np.arange(-8.0, 8.25, 0.25)
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(8)
_CENTRES = (_EDGES[1:, None] + _EDGES[:-1, None]) / 2
Z: Values = (_CENTRES + _NODES * 0.125).ravel()
_MASS: Values = np.tile(_NODE_WEIGHTS * 0.125, len(_EDGES) - 1) * np.exp(-Z * Z / 2)
MASS: Values = _MASS / _MASS.sum()
PROBABILITY: Values = np.array([math.erfc(-z / math.sqrt(2)) / 2 for z in Z])

_SAMPLE = 1 << 12
_TOLERANCE = 1e-8  # of a second moment
_MOST_VALUES = 1 << 18  # of a function
_NEARLY_ALL = 0.99  # of the mass: a function that is known there is known
_LAST_BITS = 1e-9  # of a correlation: what is nearer to 0 or 1 is there
_LEAST = 1e-14  # of a second moment, squared: what is less is nothing
_BITS = 42  # of the largest value: what differs in later ones is the same
_SMALLEST = -900  # exponent
_TAIL = 40.0  # of a density's logarithm: what is smaller counts as nothing


@lru_cache
def hermite(count: int) -> tuple[Values, Values]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes, weights / weights.sum()


@dataclass(frozen=True, eq=False)
class Signal:
    """An activation: its values on the grid Z of the normal that belongs to the node `base`."""

    values: Values
    base: int
    correlation: float = 0.0
    averaging: bool = False  # weights of an average, as a softmax makes them
    weighted: bool = False  # times such weights, and not summed yet
    averaged: bool = False  # an average over T positions: its RMS is 1/sqrt(T) to 1 times this
    root: int | None = None  # of a sum over positions: the base of what was summed
    uneven: Uneven = EVEN

    @cached_property
    def second(self) -> float:
        """The second moment, over units, positions and draws."""
        return float(MASS @ self.values**2)

    @cached_property
    def mean(self) -> float:
        return float(MASS @ self.values)

    @cached_property
    def slope(self) -> float:
        """The mean slope of the values over z."""
        return float(MASS @ (self.values * Z))

    @cached_property
    def shared(self) -> float:
        """The mean product of two positions: the second moment of the mean over many."""
        if self.correlation <= _LAST_BITS:
            return self.mean**2
        if self.correlation >= 1 - _LAST_BITS:
            return self.second
        other = beside(self.values, self.correlation) @ hermite(32)[1]
        return float(MASS @ (self.values * other))

    @property
    def share(self) -> float:
        """The part of the second moment that positions share, from 0 to 1."""
        return self.shared / self.second if self.second > 0 else 0.0


def beside(values: Values, correlation: float) -> Values:
    """A function of z at another position: for every z a row over the nodes of `hermite(32)`."""
    nodes = hermite(32)[0]
    # Column by column z rises, and the search for the next interval starts at the last one.
    other = correlation * Z + math.sqrt(1 - correlation**2) * nodes[:, None]
    return np.ascontiguousarray(np.interp(other, Z, values).T)


def gaussian(
    second: float,
    base: int,
    correlation: float = 0.0,
    mean: float = 0.0,
    averaged: bool = False,
) -> Signal:
    """A normal activation with this second moment."""
    std = math.sqrt(max(second - mean * mean, 0.0))
    correlation = min(max(correlation, 0.0), 1.0)
    return Signal(mean + std * Z, base, correlation, averaged=averaged)


def spread(values: Values, base: int) -> Signal:
    """Known values, in any order, as a function of z that rises."""
    return Signal(np.quantile(values, PROBABILITY), base)


def scale(signal: Signal, factor: float) -> Signal:
    return signal if factor == 1 else replace(signal, values=signal.values * factor)


def apply_pointwise(fn: Callable[..., Values], inputs: Sequence[Signal], node: int) -> Signal:
    """A function of activations: exact where all depend on one z, else of independent ones."""
    with np.errstate(all="ignore"):
        if len({signal.base for signal in inputs}) == 1:
            values = np.broadcast_to(fn(*(signal.values for signal in inputs)), Z.shape)
            values = _within_domain(np.asarray(values, float))
            if all(map(is_gaussian, inputs)):
                values = values * _correction(fn, inputs, float(MASS @ values**2))
            uneven = replace(inputs[0].uneven, kurtosis=None, level=False)
            made = replace(inputs[0], values=values, uneven=uneven)
        else:
            made = _of_independent(fn, inputs, node)
    if not np.isfinite(made.values).all():
        return gaussian(max(signal.second for signal in inputs), node)
    return made


def apply_sampled(fn: Callable[[Values], Values], signal: Signal, node: int) -> Signal:
    """A function that gives equally likely values for such ones of an activation."""
    z = np.interp((np.arange(_SAMPLE) + 0.5) / _SAMPLE, PROBABILITY, Z)
    values = fn(np.interp(z, Z, signal.values))
    if not np.isfinite(values).all():
        return gaussian(signal.second, node)
    mass = np.full(len(values), 1 / len(values))
    return mixture_of(values, mass, node, signal.correlation)


def _correction(fn: Callable[..., Values], normals: Sequence[Signal], second: float) -> float:
    """What gives a function of normal activations its second moment, where the grid misses it.

    That is at kinks and jumps which lie on no edge; the panels of gains split themselves there.
    What is twice as large, or half, comes of values too rare for a batch to show.
    """

    def integrand(z: Values, _: Values) -> Values:
        values = np.broadcast_to(
            fn(*(normal.mean + normal.slope * z for normal in normals)), z.shape
        )
        return np.asarray((values * root_density(z)) ** 2)

    name = "a function"
    try:
        panels = settle(integrand, (), _TOLERANCE, name, most=_MOST_VALUES)
        ratio = total(panels, name) / second if second > 0 else 1.0
    except FaninError:  # not finite everywhere, or of too many jumps
        return 1.0
    same = math.isclose(ratio, 1.0, rel_tol=1e-9) or not 0.5 < ratio < 2
    return 1.0 if same else math.sqrt(ratio)


def _within_domain(values: Values) -> Values:
    """Values that are no numbers, where a normal hardly ever is, as the nearest ones."""
    finite = np.isfinite(values)
    if finite.all() or MASS[finite].sum() < _NEARLY_ALL:
        return values
    return np.interp(Z, Z[finite], values[finite])


def _of_independent(fn: Callable[..., Values], inputs: Sequence[Signal], node: int) -> Signal:
    first, *others = inputs
    grids = [first.values, *(_coarse(other) for other in others[:1])]
    rest = [np.full((1, 1), other.mean) for other in others[1:]]
    whole = np.broadcast_arrays(grids[0][:, None], grids[1][None, :], *rest)
    values = np.broadcast_to(np.asarray(fn(*whole), float), whole[0].shape)
    mass = np.broadcast_to(MASS[:, None] * hermite(len(grids[1]))[1], values.shape)
    return mixture_of(values.ravel(), mass.ravel(), node, max(s.correlation for s in inputs))


def _coarse(signal: Signal) -> Values:
    return np.interp(hermite(48)[0], Z, signal.values)


def add(a: Signal, b: Signal, node: int) -> Signal:
    """The sum of two activations."""
    return replace(_add(a, b, node), averaged=_mostly_averaged([a, b], [1.0, 1.0]))


def _mostly_averaged(signals: Sequence[Signal], shares: Sequence[float]) -> bool:
    """Whether more than half of a second moment is that of averages."""
    parts = [share * item.second for item, share in zip(signals, shares, strict=True)]
    averages = sum(part for part, item in zip(parts, signals, strict=True) if item.averaged)
    return averages > sum(parts) / 2


def _add(a: Signal, b: Signal, node: int) -> Signal:
    if a.base == b.base:
        return replace(a, values=a.values + b.values)
    if a.base == b.root or b.base == a.root or (a.root is not None and a.root == b.root):
        return _add_to_sum(a, b, node)
    if is_gaussian(a) and is_gaussian(b):
        second = a.second + b.second + 2 * a.mean * b.mean
        shared = a.shared + b.shared + 2 * a.mean * b.mean
        mean = a.mean + b.mean
        spread = second - mean**2
        correlation = (shared - mean**2) / spread if spread > 0 else 0.0
        return gaussian(second, node, correlation, mean)
    if is_gaussian(a):
        a, b = b, a
    sums = a.values[:, None] + _coarse(b)
    mass = np.broadcast_to(MASS[:, None] * hermite(48)[1], sums.shape)
    weight = a.second / (a.second + b.second)
    correlation = weight * a.correlation + (1 - weight) * b.correlation
    return mixture_of(sums.ravel(), mass.ravel(), node, correlation)


def apart(a: Signal, b: Signal) -> tuple[float, float]:
    """The mean of a product, and of its square, of one activation's functions at two positions."""
    weights = hermite(32)[1]
    there = beside(b.values, min(max(a.correlation, 0.0), 1.0))
    product = float(MASS @ (a.values * (there @ weights)))
    return product, float(MASS @ (a.values**2 * (there**2 @ weights)))


def add_apart(a: Signal, b: Signal, node: int) -> Signal:
    """The sum of one activation's functions at two positions."""
    both, _ = apart(a, b)
    second, shared, mean = a.second + b.second, a.shared + b.shared, a.mean + b.mean
    spread = max(second + 2 * both - mean**2, 0.0)
    correlation = (shared + 2 * both - mean**2) / spread if spread > 0 else 0.0
    return gaussian(max(second + 2 * both, 0.0), node, correlation, mean)


def multiply_apart(a: Signal, b: Signal, node: int) -> Signal:
    """The product of one activation's functions at two positions."""
    mean, second = apart(a, b)
    return gaussian(second, node, a.share * b.share, mean)


def _add_to_sum(a: Signal, b: Signal, node: int) -> Signal:
    """An activation and a sum over its positions: what positions share is in both."""
    sign = math.copysign(1.0, a.mean * b.mean + a.slope * b.slope)
    least = _LEAST * a.second * b.second  # the root of what sums of 1 and -1 leave is not small
    both = sign * math.sqrt(a.shared * b.shared) if a.shared * b.shared > least else 0.0
    second, shared = a.second + b.second + 2 * both, a.shared + b.shared + 2 * both
    mean = a.mean + b.mean
    spread = second - mean**2
    correlation = (shared - mean**2) / spread if spread > 0 else 0.0
    return replace(gaussian(second, node, correlation, mean), root=root_of(a))


def multiply(a: Signal, b: Signal, node: int) -> Signal:
    """The product of two activations, element by element."""
    if a.base == b.base:
        return replace(a, values=a.values * b.values)
    second, shared = a.second * b.second, a.shared * b.shared
    mean = a.mean * b.mean
    spread = second - mean**2
    correlation = (shared - mean**2) / spread if spread > 0 else 0.0
    return gaussian(second, node, correlation, mean)


def concatenate(signals: Sequence[Signal], sizes: Sequence[int], node: int) -> Signal:
    """A mixture in proportion to the sizes."""
    total = sum(sizes)
    same = len({(signal.base, round(signal.second, 12)) for signal in signals}) == 1
    if same or all(signal.averaging for signal in signals):
        return signals[0]
    shares = [size / total for size in sizes]
    averaged = _mostly_averaged(signals, shares)
    whole = sum(s * item.second for s, item in zip(shares, signals, strict=True))
    if all(is_gaussian(signal) and abs(signal.mean) < 1e-12 for signal in signals):
        shared = sum(share * item.shared for share, item in zip(shares, signals, strict=True))
        correlation = shared / whole if whole > 0 else 0.0
        return gaussian(whole, node, correlation, averaged=averaged)
    values = np.concatenate([signal.values for signal in signals])
    mass = np.concatenate([share * MASS for share in shares])
    correlation = sum(s * item.correlation for s, item in zip(shares, signals, strict=True))
    return replace(mixture_of(values, mass, node, correlation), averaged=averaged)


def drop(signal: Signal, rate: float, node: int) -> Signal:
    """Zero with this probability, else divided by that of the rest; of each position by itself."""
    kept = 1 - rate
    if signal.averaging or rate <= 0 or kept <= 0:
        return signal
    values = np.concatenate([signal.values / kept, np.zeros_like(Z)])
    mass = np.concatenate([kept * MASS, rate * MASS])
    made = mixture_of(values, mass, node, signal.correlation * kept)
    return replace(made, weighted=signal.weighted, averaged=signal.averaged)


def normalize(signal: Signal, *, centred: bool, by_deviation: bool = False) -> Signal:
    """Divided by its standard deviation after its mean was taken away, or by its RMS.

    `by_deviation` divides by the standard deviation where the mean stays.
    """
    values = signal.values - signal.mean if centred else signal.values
    second = float(MASS @ values**2) - (signal.mean**2 if by_deviation else 0.0)
    if second <= 0:
        return signal
    return replace(signal, values=values / math.sqrt(second), averaged=False)


def centre(signal: Signal, *, positions: bool) -> Signal:
    """Without its mean over features, or without what its positions share."""
    values = signal.values - signal.mean
    if not positions:
        return replace(signal, values=values)
    spread = signal.second - signal.mean**2
    rest = max(signal.second - signal.shared, 0.0) / spread if spread > 0 else 0.0
    return replace(signal, values=values * math.sqrt(rest), correlation=0.0)


def gamma(shape: float, second: float, node: int) -> Signal:
    """The gamma distribution of this shape with a second moment, as sums of squares have it."""
    sharp = math.sqrt(2 * _TAIL / shape)
    low, high = -_TAIL / shape - sharp, math.log1p(_TAIL / shape + sharp)
    logs = np.linspace(low, high, _SAMPLE)  # of values over what is likeliest of their logarithms
    values = np.exp(logs)
    mass = np.exp(shape * (logs + 1 - values))
    made = mixture_of(values, mass / mass.sum(), node, 0.0)
    return scale(made, math.sqrt(second / made.second))


def root_of(signal: Signal) -> int:
    """The base of what an activation sums, or its own."""
    return signal.base if signal.root is None else signal.root


def is_gaussian(signal: Signal) -> bool:
    slope = (signal.values[-1] - signal.values[0]) / (Z[-1] - Z[0])
    line = signal.mean + slope * Z
    return bool((np.abs(signal.values - line) <= 1e-9 * (abs(slope) + 1e-300)).all())


def mixture_of(values: Values, mass: Values, node: int, correlation: float) -> Signal:
    """The signal whose values have this distribution; its second moment is kept exactly."""
    made = values_of(values, mass)
    second, own = float(mass @ values**2), float(MASS @ made**2)
    return Signal(made * math.sqrt(second / own) if own > 0 else made, node, correlation)


def values_of(values: Values, mass: Values) -> Values:
    """Values with these masses as a function of z that rises.

    The last bit of an `exp` is another on another machine, and must not show. So each half is
    counted from its own end: next to 1 a probability has no digits for what is left. And what is
    the same but for last bits, such as zeros of a rectifier, counts as the same.
    """
    _, exponent = math.frexp(float(np.abs(values).max()))
    tick = math.ldexp(1.0, max(exponent, _SMALLEST) - _BITS)
    values = np.round(values / tick) * tick
    order = np.argsort(values, kind="stable")
    values, mass = values[order], mass[order]
    half = PROBABILITY[: len(Z) // 2]
    lower = np.interp(half, np.cumsum(mass) - mass / 2, values)
    upper = np.interp(half, np.cumsum(mass[::-1]) - mass[::-1] / 2, values[::-1])
    return np.concatenate([lower, upper[::-1]])
