"""Tiles: a tensor of any shape in boxes of bounded size."""

from collections.abc import Iterator

import numpy as np

Box = tuple[slice, ...]

TILE = 1 << 22  # elements: what a draw that is not written in place takes at a time


def tiles(shape: tuple[int, ...], most: int = TILE) -> Iterator[Box]:
    """Boxes of at most `most` elements, each behind the other in row-major order."""
    if 0 in shape:
        return
    axis, size = len(shape), 1
    while axis and size * shape[axis - 1] <= most:
        axis -= 1
        size *= shape[axis]
    whole = tuple(slice(0, n) for n in shape[axis:])
    if axis == 0:
        yield whole
        return
    step = max(1, most // size)
    for outer in np.ndindex(*shape[: axis - 1]):
        for start in range(0, shape[axis - 1], step):
            rows = slice(start, min(start + step, shape[axis - 1]))
            yield (*(slice(i, i + 1) for i in outer), rows, *whole)


def meet(box: Box, part: Box) -> tuple[Box, Box] | None:
    """What of a box lies in a part too, and where that is in the box; None for nothing.

    Steps of the box are >= 1; the part has a start and a stop on every axis, and no steps.
    """
    found, places = [], []
    for outer, inner in zip(box, part, strict=True):
        held = range(outer.start, outer.stop, outer.step or 1)
        low, high = (
            min(max(-((held.start - bound) // held.step), 0), len(held))
            for bound in (inner.start, inner.stop)
        )
        if low >= high:
            return None
        kept = held[low:high]
        found.append(slice(kept.start, kept.stop, kept.step))
        places.append(slice(low, high))
    return tuple(found), tuple(places)


def inside(box: Box, tile: Box) -> Box:
    """Where a tile of a box is in the tensor that the box was cut from; steps are >= 1."""
    found = []
    for outer, inner in zip(box, tile, strict=True):
        step = outer.step or 1
        start = outer.start + inner.start * step
        found.append(slice(start, outer.start + (inner.stop - 1) * step + 1, step))
    return tuple(found)
