"""Prepared: what a back end draws a weight with, whatever the seed and the name.

A model has few shapes, and many parameters of each: it is worked out once for all of them.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from fanin.axes import Axes, parse_axes
from fanin.initializers._base import Elementwise, Request
from fanin.streams import Array, Constant, Index
from fanin.streams._inversion import HostDrawn
from fanin.streams._output import REAL, constants_of, encode


class PreparedDraw(NamedTuple):
    """A part of a weight, and the arguments of `_reference.fill` for it.

    `where` is its place, None for all. Of a constant, `value` is what is stored in every element.
    """

    where: tuple[Any, ...] | None
    base: int
    steps: tuple[int, ...] | None
    kind: str
    constants: tuple[float, ...]
    value: Array | None


Prepared = tuple[PreparedDraw, ...]


def prepare(
    initializer: Elementwise,
    shape: tuple[int, ...],
    axes: Axes,
    dtype: str,
    index: Index | None = None,
) -> Prepared | None:
    """The draws of a weight, or of its part at this index; None where no back end makes them all.

    Raises FaninError for what cannot be drawn.
    """
    known = index is None and initializer.__hash__ is not None
    make: Callable[..., Prepared | None] = _prepare_whole if known else _prepare
    return make(initializer, shape, axes, dtype, index)


def _prepare(
    initializer: Elementwise,
    shape: tuple[int, ...],
    axes: Axes,
    dtype: str,
    index: Index | None,
) -> Prepared | None:
    if dtype not in REAL:
        return None
    drawn = initializer.draws(
        Request(shape, parse_axes(axes, shape), 0, "weight", dtype, index, None, None)
    )
    if any(isinstance(part.distribution, HostDrawn) for part in drawn):
        return None
    found = []
    for distribution, where, region in drawn:
        constants = constants_of(distribution, dtype)
        fixed = isinstance(distribution, Constant)
        found.append(
            PreparedDraw(
                None if where == (...,) else where,
                region.base,
                region.steps,
                distribution.kind,
                constants,
                encode(np.array(constants), dtype) if fixed else None,
            )
        )
    return tuple(found)


_prepare_whole = lru_cache(1 << 12)(_prepare)
