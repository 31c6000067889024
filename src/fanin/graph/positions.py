"""Positions: means, sums and maxima over pixels, tokens or steps, whose signals correlate."""

import math
from dataclasses import replace

import numpy as np

from fanin.graph._graph import Values
from fanin.graph.signal import (
    MASS,
    PROBABILITY,
    Signal,
    Z,
    gamma,
    gaussian,
    hermite,
    mixture_of,
    root_of,
    values_of,
)

_LIKELY = 4.0  # standard deviations: values beyond them are rare
_ROUGH = 1e-7  # of a standard deviation: what falls less counts as rising
# Of a correlation, and of a second moment: as far as double precision goes, or the last bit of an
# `exp`, another on another machine, would decide how many steps are made.
_CLOSE = 1e-12


def pool(signal: Signal, count: float, node: int) -> Signal:
    """The mean over `count` positions; over infinitely many, what they share."""
    mean, spread = signal.mean, signal.shared - signal.mean**2
    second = max(signal.second / count + (1 - 1 / count) * signal.shared, mean**2)
    rest = second - mean**2
    correlation = 1.0 if math.isinf(count) or rest <= 0 else spread / rest
    return _of_several(signal, second, correlation, mean, node)


def sum_positions(signal: Signal, count: float, node: int) -> Signal:
    """The sum of `count` positions; two sums share what all their terms share."""
    mean, shared = count * signal.mean, count**2 * signal.shared
    second = count * (signal.second - signal.shared) + shared
    spread = second - mean**2
    correlation = (shared - mean**2) / spread if spread > 0 else 0.0
    return _of_several(signal, second, correlation, mean, node)


def largest(signal: Signal, count: float, node: int) -> Signal:
    """The largest of `count` positions; what their z do not share is independent."""
    ordered = np.sort(signal.values)  # of a function of z that need not rise
    if np.abs(ordered - signal.values).max() > _ROUGH * math.sqrt(signal.second):
        ordered = values_of(signal.values, MASS)
    shared = min(max(signal.correlation, 0.0), 1.0)
    top = _top(count)
    nodes, weights = hermite(48)
    z = math.sqrt(1 - shared) * top[:, None] + math.sqrt(shared) * nodes
    mass = np.broadcast_to(MASS[:, None] * weights, z.shape)
    spread = float(MASS @ top**2) - float(MASS @ top) ** 2
    values = np.interp(z, Z, ordered)
    correlation = shared / (shared + (1 - shared) * spread)
    made = mixture_of(values.ravel(), mass.ravel(), node, correlation)
    return replace(made, root=root_of(signal))


def _top(count: float) -> Values:
    """z of the largest of `count` independent ones, as a function of the z of its own quantile.

    The upper half by what is left above: next to 1 a probability has no digits for it.
    """
    below = PROBABILITY ** (1 / count)
    above = -np.expm1(np.log1p(-PROBABILITY) / count)[::-1]
    lower, upper = np.interp(below, PROBABILITY, Z), -np.interp(above, PROBABILITY, Z)
    return np.where(below < above, lower, upper)


def _of_several(
    signal: Signal, second: float, correlation: float, mean: float, node: int
) -> Signal:
    """What sums positions: normal, or gamma of as large moments where no value is negative."""
    made = gaussian(second, node, correlation, mean)
    spread = second - mean**2
    if spread > 0 and signal.values.min() >= 0 > made.values[Z > -_LIKELY].min():
        made = _correlate(gamma(mean**2 / spread, second, node), made.shared)
    return replace(made, root=root_of(signal))


def _correlate(signal: Signal, shared: float) -> Signal:
    """The same with the correlation that has two positions share this.

    By the Illinois method (Dowell and Jarratt 1971): what they share is convex in it.
    """
    left, at_left = 0.0, signal.mean**2 - shared
    right, at_right = 1.0, signal.second - shared
    found = replace(signal, correlation=1.0)
    while abs(found.shared - shared) > _CLOSE * signal.second and abs(right - left) > _CLOSE:
        correlation = left - at_left * (right - left) / (at_right - at_left)
        found = replace(signal, correlation=correlation)
        rest = found.shared - shared
        if (rest > 0) != (at_right > 0):
            left, at_left = right, at_right
        else:
            at_left /= 2
        right, at_right = correlation, rest
    return found
