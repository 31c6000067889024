"""Statements: values that differ, and that whoever made the model meant to be as they are.

Weights and biases are drawn around zero. Time steps, decay rates and frequencies are not, and a
model does not find them by training from zero.
"""

import math
from collections.abc import Collection

import numpy as np

from fanin.graph import CARRIERS, Graph
from fanin.param import HUGE, TINY
from fanin.streams import Array

_FAR = 2.0  # a mean of so many standard deviations: zeros would be other values
_ERRORS = 8.0  # and of so many of its own, with which a draw around zero has it once in 10^4
_LEAST = 8  # elements
_STEADY = 1e-4  # of a range: how far off a line equal steps are when they are rounded
_ROUNDED = 2.0**-23  # of a number in float32: how far off it may be
_LARGEST = 16.0  # of the logarithms that people take


def says_something(values: Array, share: float = 1.0) -> bool:
    """Whether values that are not all equal were meant: equal rows, equal steps, or far from zero.

    A draw gives neither equal rows nor equal steps. A vector alone is looked at for its mean; of
    how far that is to be, this share is enough.
    """
    if not values.size or not _is_written(values) or np.ptp(values) == 0:
        return False
    once = _without_copies(values)
    if once.size < values.size:
        return True
    if once.ndim > 1 or once.size < _LEAST:
        return False
    far = abs(once.mean()) > share * max(_FAR, _ERRORS / once.size**0.5) * once.std()
    return bool(far) or has_steps(once)


def _is_written(values: Array) -> bool:
    """Whether these are numbers of a model, and no bits of memory that was never written."""
    size = np.abs(values[values != 0])
    return bool(((size > TINY) & (size < HUGE)).all())


def is_short(number: float) -> bool:
    """Whether people write a number so: of few digits, or the logarithm or root of such a one.

    Of draws in float32 about one in 1000 is by chance.
    """
    if number == float(f"{number:.4g}"):
        return True
    if not TINY < abs(number) < _LARGEST:
        return False
    off = _ROUNDED * max(abs(number), 2.0)
    behind = (number**2, number**-2, math.exp(number), math.exp(-number))
    return any(math.isclose(item, float(f"{item:.3g}"), rel_tol=off) for item in behind)


def has_steps(values: Array) -> bool:
    """Whether values, or their logarithms, go on by equal steps, in rows that are all alike."""
    if not values.size:
        return False
    once = _without_copies(values)
    if once.ndim != 1 or once.size < _LEAST or not np.isfinite(once).all():
        return False
    scales = [once] if once.min() * once.max() <= 0 else [once, np.log(np.abs(once))]
    lines = [np.linspace(item[0], item[-1], item.size) for item in scales]
    return any(
        bool(np.abs(item - line).max() <= _STEADY * np.ptp(item))
        for item, line in zip(scales, lines, strict=True)
    )


def _without_copies(values: Array) -> Array:
    """Values without axes of size one, and without those along which they are copies."""
    plain: Array = values.reshape([size for size in values.shape if size > 1])
    for axis in range(plain.ndim if plain.ndim > 1 else 0):
        first = plain.take([0], axis)
        if (plain == first).all():
            return _without_copies(first)
    return plain


def find_moved(graph: Graph, meant: Collection[str]) -> set[int]:
    """The nodes whose outputs are added to vectors that were meant, and only move them a little."""
    return {
        graph.behind(node.inputs[0], CARRIERS)
        for node in graph.nodes
        if node.op == "shift" and node.param is not None and node.param.name in meant
    }
