"""Expectations over a standard normal z, on panels that split themselves at kinks and jumps."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import NamedTuple

import numpy as np

from fanin.errors import FaninError
from fanin.streams import Array

# Integrand(z, width): its values, density included, at the nodes of panels that are `width`
# wide; z has the shape (panels, nodes), width (panels, 1).
Integrand = Callable[[Array, Array], Array]

REACH = 20.0  # |z| beyond it has probability 5e-89; `total` checks that it does not matter
_ORDER = 32
_MOST_VALUES = 1 << 22
_MOST_ROUNDS = 60


class QuadratureRule(NamedTuple):
    """What is known of a function by its values at the nodes of [-1, 1].

    `weights`: its integral, for a panel of width 1 (Clenshaw-Curtis). `last`: the last four
    coefficients of its Chebyshev series. `slopes`: the slopes of its interpolant there.
    """

    nodes: Array
    weights: Array
    last: Array
    slopes: Array


@cache
def rule() -> QuadratureRule:
    """The rule of order 32 (Trefethen, Spectral Methods in MATLAB, 2000, chapters 6 and 12)."""
    angles = np.pi * np.arange(_ORDER + 1) / _ORDER
    ends = np.where(np.arange(_ORDER + 1) % _ORDER, 1.0, 0.5)
    series = np.cos(np.outer(angles, np.arange(_ORDER + 1))) * np.outer(ends, ends) * 2 / _ORDER
    weights = series[:, ::2] @ (1 / (1.0 - np.arange(0, _ORDER + 1, 2) ** 2))
    points = -np.cos(angles)
    signs = (-1.0) ** np.arange(_ORDER + 1) / ends
    slopes = np.outer(signs, 1 / signs) / (points[:, None] - points + np.eye(_ORDER + 1))
    slopes -= np.diag(slopes.sum(axis=1))
    # The ends are nodes, or a jump beside an end would pass unseen. They lie just inside, so that
    # a jump *at* an end belongs to one panel only.
    return QuadratureRule(points * (1 - 1e-14), weights, series[:, -4:], slopes.T)


class Panels(NamedTuple):
    """Settled panels: their ends, ascending, and the integral over each."""

    lower: Array
    upper: Array
    integrals: Array


def root_density(z: Array) -> Array:
    """The square root of the normal density: f * root is squared, where f**2 could overflow."""
    return np.asarray(np.exp(-0.25 * z * z) / (2 * np.pi) ** 0.25)


def settle(
    integrand: Integrand,
    points: Iterable[float],
    tolerance: float,
    name: str,
    floor: float = 0.0,
    most: int = _MOST_VALUES,
) -> Panels:
    """Panels on which an integrand is a polynomial to `tolerance` of the integral.

    `points` are edges to begin with; an integral below `floor` counts as zero; `most` are the
    values of the integrand at most.

    The error of a panel is taken to be its width times the last Chebyshev coefficients there,
    which overrates it. While the sum is too large, every panel with more than its share is
    halved: a kink or jump at a place not told in `points` ends in a panel too narrow to matter.
    """
    edges = np.arange(-REACH, REACH + 1)
    inside = [point for point in points if abs(point) < REACH]
    edges = np.unique(np.concatenate([edges, np.asarray(inside, dtype=float)]))
    lower, upper = edges[:-1], edges[1:]
    integrals, errors = _measure(integrand, lower, upper)
    spent = integrals.size
    for _ in range(_MOST_ROUNDS):
        if not np.isfinite(errors).all():
            raise FaninError(
                f"the second moment of {name} overflows. Use a smaller variance, or a function "
                "that grows more slowly."
            )
        allowed = max(tolerance * np.abs(integrals).sum(), floor)
        if errors.sum() <= allowed:
            order = np.argsort(lower)
            return Panels(lower[order], upper[order], integrals[order])
        split = errors > allowed / errors.size
        spent += 2 * int(split.sum())
        if spent * (_ORDER + 1) > most:
            break
        middle = (lower[split] + upper[split]) / 2
        low = np.concatenate([lower[split], middle])
        high = np.concatenate([middle, upper[split]])
        parts = _measure(integrand, low, high)
        lower, upper, integrals, errors = (
            np.concatenate([old[~split], new])
            for old, new in zip((lower, upper, integrals, errors), (low, high, *parts), strict=True)
        )
    raise FaninError(
        f"the second moment of {name} does not settle: {integrals.sum():.6g} +- "
        f"{errors.sum():.1e} after {spent * (_ORDER + 1)} values. Compute the function in float64, "
        "not float32; one with poles has no gain."
    )


def total(panels: Panels, name: str) -> float:
    """The integral over all panels, once it is sure that nothing beyond them matters."""
    if np.abs(panels.integrals[[0, -1]]).sum() > 1e-12 * np.abs(panels.integrals).sum():
        raise FaninError(
            f"{name} grows too fast: what lies beyond {REACH:g} standard deviations decides "
            "its second moment. Use a smaller variance, or a function that grows more slowly."
        )
    return float(panels.integrals.sum())


def _measure(integrand: Integrand, lower: Array, upper: Array) -> tuple[Array, Array]:
    """The integral over each panel and the estimate of its error."""
    width = (upper - lower)[:, None]
    nodes, weights, last, _ = rule()
    with np.errstate(over="ignore", invalid="ignore"):
        values = integrand((lower + upper)[:, None] / 2 + width / 2 * nodes, width)
        errors = np.abs(values @ last).max(axis=1) * width[:, 0]
        return values @ weights * width[:, 0], errors
