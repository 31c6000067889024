"""E f(u) f(v) for two correlated normal inputs, right up to correlation 1 for kinky f too.

With correlation c > 0, u and v share sqrt(c) t and add independent noise, so that

    E f(u) f(v) = E h(t)**2,   h(t) = E f(sqrt(q c) t + sqrt(q (1 - c)) y),   t, y normal;

with c < 0 it is E h(t) h(-t) of |c|. Stein's identity gives the slope by c without a derivative
of f: with h'(t) = E f(...) y / sqrt(q (1 - c)) it is q E h'(t)**2, or q E h'(t) h'(-t).

Both integrals are Gauss-Legendre sums on panels that end where f is not smooth: for h at the
kinks themselves, for t also at small distances from them, where h changes fast. A Hermite series
would converge slowly there: like n**-5/2 for a kink.
"""

import math
from dataclasses import replace
from functools import cache

import numpy as np

from fanin.gains._activation import Activation
from fanin.gains._moments import NormalInput, settle_slopes, settle_values
from fanin.gains._quadrature import Panels
from fanin.streams import Array

_REACH = 10.0  # probability beyond it: 2e-23
_LAYERS = np.concatenate([-(2.0 ** np.arange(3, -3, -1)), [0], 2.0 ** np.arange(-2, 4)])
_MOST_VALUES = 1 << 21  # of f at once
_KINK = 1e-6  # panels that narrow have closed in on a kink


class Edges:
    """Where the panels of a function end, for pre-activations of variance q."""

    def __init__(self, f: Activation, variance: float) -> None:
        std = math.sqrt(variance)
        # Off the centre: a kink at 0 that sits on the end of a panel would not be noticed.
        shifted = NormalInput(0.1234 * std, std)
        found = [_narrow(panels, shifted) for panels in _settle(f, shifted)]
        self.kinks = np.unique(np.concatenate([f.kinks, *found]))
        law = NormalInput(0.0, std)
        ends = [_ends(panels) for panels in _settle(replace(f, kinks=tuple(self.kinks)), law)]
        others = law.at(np.unique(np.concatenate(ends)))
        # Ends that crowd around a kink only closed in on it.
        apart = np.abs(others[:, None] - self.kinks).min(axis=1, initial=np.inf) > 0.05 * std
        self.all = np.concatenate([self.kinks, others[apart]])


def _ends(panels: Panels) -> Array:
    """Ends of panels of 16 points, where `panels` have 33 and so may be wider."""
    narrow = panels.upper - panels.lower < 0.9
    middles = (panels.lower + panels.upper)[narrow] / 2
    ends = np.concatenate([panels.lower, middles])
    return np.asarray(ends[np.abs(ends) < _REACH])


def _settle(f: Activation, law: NormalInput) -> tuple[Panels, Panels]:
    """Panels that close in on jumps, and panels that close in on kinks."""
    return settle_values(f, law), settle_slopes(f, law)


def _narrow(panels: Panels, law: NormalInput) -> Array:
    """Kinks and jumps: the narrowest of each run of panels too narrow for anything else."""
    width = panels.upper - panels.lower
    narrow = np.flatnonzero(width < _KINK)
    runs = np.split(narrow, np.flatnonzero(np.diff(narrow) > 1) + 1)
    found = [run[width[run].argmin()] for run in runs if run.size]
    return law.at((panels.lower[found] + panels.upper[found]) / 2) if found else np.empty(0)


def covariance(f: Activation, edges: Edges, variance: float, c: float) -> float:
    """E f(u) f(v) for zero-mean normal u, v of this variance and correlation c, |c| < 1."""
    return _integrate_pair(f, edges, variance, c, slope=False)


def covariance_slope(f: Activation, edges: Edges, variance: float, c: float) -> float:
    """The derivative of `covariance` by c."""
    return variance * _integrate_pair(f, edges, variance, c, slope=True)


def _integrate_pair(f: Activation, edges: Edges, variance: float, c: float, slope: bool) -> float:
    shared = math.sqrt(variance * abs(c))
    own = math.sqrt(variance * (1 - abs(c)))
    t, weights = _outer(edges, shared, own, mirrored=c < 0)
    h = _smooth_in_parts(f, edges.all, shared * t, own, slope)
    other = h if c >= 0 else _smooth_in_parts(f, edges.all, -shared * t, own, slope)
    return float(weights @ (h * other))


def _outer(edges: Edges, shared: float, own: float, mirrored: bool) -> tuple[Array, Array]:
    """Nodes t and their weights, density included; `mirrored` where -t is used as well."""
    points = np.arange(-_REACH, _REACH + 1)
    if shared:
        layers = (edges.kinks[:, None] + own * _LAYERS).ravel()
        told = np.concatenate([edges.all, layers]) / shared
        told = np.concatenate([told, -told]) if mirrored else told
        # h is smooth on the scale of own / shared: panels much narrower are of no use.
        step = min(own / shared, 1.0) / 4
        points = np.concatenate([points, np.round(told / step) * step])
    points = np.unique(np.clip(points, -_REACH, _REACH))
    nodes, weights = _panels(points[:-1], points[1:])
    return nodes.ravel(), weights.ravel()


def _smooth_in_parts(
    f: Activation, edges: Array, centres: Array, spread: float, slope: bool
) -> Array:
    """E f(centre + spread y) for each centre, or its derivative by the centre."""
    parts = centres.size * (edges.size + _REACH) * 16 // _MOST_VALUES + 1
    return np.concatenate(
        [_smooth(f, edges, part, spread, slope) for part in np.array_split(centres, int(parts))]
    )


def _smooth(f: Activation, edges: Array, centres: Array, spread: float, slope: bool) -> Array:
    told = np.clip((edges - centres[:, None]) / spread, -_REACH, _REACH)
    base = np.broadcast_to(np.arange(-_REACH, _REACH + 1, 2), (centres.size, int(_REACH) + 1))
    ends = np.sort(np.concatenate([told, base], axis=1), axis=1)
    row, column = np.nonzero(np.diff(ends) > 0)
    y, weights = _panels(ends[row, column], ends[row, column + 1])
    values = f(centres[row, None] + spread * y) * weights
    sums = (values * y).sum(axis=1) / spread if slope else values.sum(axis=1)
    return np.bincount(row, sums, centres.size)


def _panels(lower: Array, upper: Array) -> tuple[Array, Array]:
    """Nodes and weights, density included, of panels, each (panels, nodes)."""
    points, weights = _legendre()
    half = (upper - lower)[:, None] / 2
    nodes = (lower + upper)[:, None] / 2 + half * points
    return nodes, half * weights * np.exp(-nodes * nodes / 2) / math.sqrt(2 * math.pi)


@cache
def _legendre() -> tuple[Array, Array]:
    return np.polynomial.legendre.leggauss(16)
