"""Tails: how uneven activations become in narrow layers, and what functions make of it.

A weight that sums n products makes outputs whose variance is itself by chance: sqrt(q) z with q of
mean 1 and variance (kurtosis - 1) / n, that of its input. Of wide layers that is nothing; of a
depthwise kernel of nine taps it is as large as one. A rectifier has the same second moment
whatever q, but a function that lets a larger share of large inputs through, as silu and gelu do,
has a larger one; and where nothing normalizes, sites that have more get more from layer to layer
(Hanin & Rolnick 2018 bound how far the whole may go by chance).
"""

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np

from fanin.graph._graph import Values
from fanin.graph._uneven import LEVEL, Uneven
from fanin.graph.signal import (
    MASS,
    Signal,
    Z,
    beside,
    gamma,
    hermite,
    is_gaussian,
    mixture_of,
)

_LEAST = 0.05  # a tail that is less changes no second moment by half a percent
_MOST = 4.0
_MOST_KURTOSIS = 60.0
_POINTS = 24  # of q


def kurtosis(signal: Signal) -> float:
    """The mean fourth power over the square of the second moment: 3 of a normal."""
    if signal.uneven.kurtosis is not None:
        return signal.uneven.kurtosis
    return float(MASS @ signal.values**4) / signal.second**2 if signal.second > 1e-150 else 3.0


def sites(signal: Signal) -> float:
    """The relative variance of the second moment from site to site."""
    return _whole(signal) * signal.uneven.common


def weigh(fed: Signal, made: Signal, terms: float, taps: float, groups: int) -> Signal:
    """What a weight makes that sums `terms` products: of `taps` positions of several channels.

    What all sites share of the squares is the same q for all of them, which is the draw's. Every
    group of channels has a q of its own, whatever of it sites share.
    """
    if fed.second <= 0 or made.second <= 0:
        return made
    common, power = sites(fed), kurtosis(fed)
    alone, both = _squares(fed)
    near = (1 + common) * both  # of positions of one channel, which share what a site has
    apart = max(power - near, 0.0) / taps + max(near - 1 - common, 0.0)
    own = apart / max(terms / taps, 1) * (1 - 1 / groups)
    fresh = power * (1 - both / alone) / max(terms, 1)
    if fed.uneven.level and is_gaussian(fed):
        own = fresh = 0.0
    return _shape(made, common + fresh / groups, own)


def add_tails(a: Signal, b: Signal, made: Signal) -> Signal:
    """The sum of two activations of nodes of their own, such as a stream and a branch of it."""
    if a.second + b.second <= 0 or (not a.uneven.tail and not b.uneven.tail):
        return made
    part = a.second / (a.second + b.second)
    wholes = _whole(a), _whole(b)
    shared = wholes[0] * a.uneven.common, wholes[1] * b.uneven.common
    mine, other = part**2, (1 - part) ** 2
    both = 2 * part * (1 - part) * min(shared)  # a branch is large where its stream is
    own = mine * (wholes[0] - shared[0]) + other * (wholes[1] - shared[1])
    common = mine * shared[0] + other * shared[1] + both
    if _is_plain(a) and _is_plain(b):
        return _shape(made, common, own)
    tail = min(common + own, _MOST)
    return replace(made, uneven=Uneven(tail, common / tail)) if tail > 0 else made


def gate(a: Signal, b: Signal, made: Signal) -> Signal:
    """The product of two activations of nodes of their own."""
    if not a.uneven.tail and not b.uneven.tail:
        return made
    power = min(kurtosis(a) * kurtosis(b), _MOST_KURTOSIS)
    common = sites(a) + sites(b)
    tail = min(max(power / 3 - 1, common), _MOST)
    share = min(common / tail, 1.0) if tail > 0 else 1.0
    return replace(made, uneven=Uneven(tail, share, power))


def level(fed: Signal, made: Signal) -> Signal:
    """Behind a norm over the features of every site; what it reads may have been uneven."""
    made = replace(made, uneven=LEVEL)
    if not fed.uneven.tail or not _is_plain(fed):
        return made
    return replace(made, values=math.sqrt(made.second) * Z)


def _shape(made: Signal, common: float, own: float) -> Signal:
    """A normal activation of mean zero with a tail."""
    if common + own <= 0:
        return made
    tail = min(common + own, _MOST)
    values = _grid(_round_tail(tail)) * math.sqrt(made.second)
    return replace(made, values=values, uneven=Uneven(tail, common / (common + own)))


def _is_plain(signal: Signal) -> bool:
    """Whether an activation is normal, but for its tail, and of mean zero."""
    values = _grid(_round_tail(signal.uneven.tail)) * math.sqrt(max(signal.second, 0.0))
    return bool((np.abs(signal.values - values) <= 1e-9 + 1e-6 * np.abs(values)).all())


def _whole(signal: Signal) -> float:
    """The relative variance of the second moment from unit to unit and site to site."""
    tail = _round_tail(signal.uneven.tail)
    if tail <= 0 or signal.second <= 0:
        return 0.0
    points, mass = _points(tail), hermite(_POINTS)[1]
    grid = _grid(tail)
    values = np.interp(np.multiply.outer(np.sqrt(points), Z), grid, signal.values)
    seconds = np.array([MASS @ row for row in values**2])
    mean = float(mass @ seconds)
    return float(mass @ (seconds - mean) ** 2) / mean**2 if mean > 0 else 0.0


def _squares(signal: Signal) -> tuple[float, float]:
    """The mean square of the squares, and their mean product at two sites, of even units.

    Both over the squared second moment.
    """
    correlation = min(max(signal.correlation, 0.0), 1.0)
    squares = np.interp(Z, _grid(_round_tail(signal.uneven.tail)), signal.values) ** 2
    second = max(float(MASS @ squares), 1e-150) ** 2
    alone = float(MASS @ squares**2) / second
    both = float(MASS @ (squares * (beside(squares, correlation) @ hermite(32)[1]))) / second
    return max(alone, 1.0), min(max(both, 1.0), max(alone, 1.0))


def _round_tail(tail: float) -> float:
    """Three digits. Halves go up, as those of 2 / 64 do, whatever a last bit says."""
    return float(f"{tail * (1 + 1e-9):.3g}") if tail > 1e-6 else 0.0


@lru_cache(512)
def _points(tail: float) -> Values:
    """Equally likely values of q, gamma distributed as the sum of squares of normals is."""
    drawn = gamma(1 / tail, 1.0, 0).values
    points = np.maximum(np.interp(hermite(_POINTS)[0], Z, drawn), 0)
    return np.asarray(points / (hermite(_POINTS)[1] @ points))


@lru_cache(512)
def _grid(tail: float) -> Values:
    """The values of sqrt(q) z, of second moment 1, on the grid of one normal; odd in it."""
    if tail < _LEAST:
        return Z
    values = np.sqrt(_points(tail)) * Z[:, None]
    mass = np.broadcast_to(MASS[:, None] * hermite(_POINTS)[1], values.shape)
    made = mixture_of(values.ravel(), mass.ravel(), 0, 0.0).values
    odd = (made - made[::-1]) / 2
    return np.asarray(odd / math.sqrt(MASS @ odd**2))
