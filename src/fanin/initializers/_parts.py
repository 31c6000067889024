"""Parts of a weight: packed blocks and groups, which have fans or addresses of their own."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import NamedTuple

from fanin.axes import Axes
from fanin.streams import Array


class WeightPart(NamedTuple):
    """The rows [low, high) of one stored axis, and how they are drawn.

    Element (j0, j1, ...) of the part has the address of (j0, ... j_axis + offset, ...) in an
    array of shape `frame`, plus `start`.
    """

    shape: tuple[int, ...]
    axes: Axes
    axis: int
    low: int
    high: int
    frame: tuple[int, ...]
    offset: int
    start: int


class PartSlice(NamedTuple):
    """What a draw selects of a part: `inside` the frame, and `where` it goes in the result."""

    frame: tuple[int, ...]
    inside: tuple[int | slice, ...]
    where: tuple[slice, ...]
    start: int


def blocks(shape: tuple[int, ...], axes: Axes) -> list[WeightPart]:
    """The matrices packed along the first `out` axis; they share the weight's own addresses."""
    axis = axes.axis("out")
    own = replace(axes, blocks=())
    edges = pairwise(accumulate(axes.blocks, initial=0))
    return [
        WeightPart(_resize(shape, axis, high - low), own, axis, low, high, shape, low, 0)
        for low, high in edges
    ]


def parts(shape: tuple[int, ...], axes: Axes) -> list[WeightPart] | None:
    """The parts of a weight that one distribution or one order of addresses does not cover.

    Blocks of unequal sizes have fans of their own. The groups of a transposed convolution lie
    along its stored `in` axis, and the canonical order is (group, out, in, kernel).
    """
    if len(set(axes.blocks)) > 1:
        return blocks(shape, axes)
    if not axes.transposed or axes.groups == 1:
        return None
    axis = axes.axis("in")
    size = shape[axis] // axes.groups
    own, frame = replace(axes, groups=1), _resize(shape, axis, size)
    return [
        WeightPart(frame, own, axis, g * size, (g + 1) * size, frame, 0, g * math.prod(frame))
        for g in range(axes.groups)
    ]


def pieces(
    split: Iterable[WeightPart], chosen: Sequence[int | range]
) -> Iterator[PartSlice | None]:
    """For every part, what a selection takes of it; None where that is nothing."""
    for part in split:
        item = chosen[part.axis]
        where = [slice(None)] * sum(isinstance(item, range) for item in chosen)
        if isinstance(item, int):
            taken: int | range | None = item if part.low <= item < part.high else None
        else:
            first, last = _positions(item, part.low, part.high)
            taken = item[first:last] if first < last else None
            kept = sum(isinstance(item, range) for item in chosen[: part.axis])
            where[kept] = slice(first, last)
        if taken is None:
            yield None
            continue
        shift = part.offset - part.low
        local = taken + shift if isinstance(taken, int) else _shift(taken, shift)
        own = [*chosen[: part.axis], local, *chosen[part.axis + 1 :]]
        inside = tuple(_as_slice(item) if isinstance(item, range) else item for item in own)
        yield PartSlice(part.frame, inside, tuple(where), part.start)


def _resize(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    return (*shape[:axis], size, *shape[axis + 1 :])


def _positions(chosen: range, low: int, high: int) -> tuple[int, int]:
    """The positions in a range, first and behind the last, of its numbers in [low, high)."""
    if chosen.step < 0:
        first, last = _positions(chosen[::-1], low, high)
        return len(chosen) - last, len(chosen) - first

    def position(bound: int) -> int:
        return min(max(-((chosen.start - bound) // chosen.step), 0), len(chosen))

    return position(low), position(high)


def _shift(numbers: range, shift: int) -> range:
    return range(numbers.start + shift, numbers.stop + shift, numbers.step)


def _as_slice(numbers: range) -> slice:
    # A range that runs down to 0 stops at -1, which a slice would count from the end.
    if not numbers:
        return slice(0, 0)
    return slice(numbers.start, numbers.stop if numbers.stop >= 0 else None, numbers.step)


def cells(shape: tuple[int, ...], axes: Axes) -> tuple[int, int, int, int, int]:
    """The sizes (stack, group, out, in, kernel) of a weight: one linear map a stack and group."""
    outputs, inputs = axes.size("out", shape), axes.size("in", shape)
    if axes.transposed:
        inputs //= axes.groups
    else:
        outputs //= axes.groups
    return axes.size("stack", shape), axes.groups, outputs, inputs, axes.size("kernel", shape)


def to_cells(values: Array, axes: Axes) -> Array:
    """A stored weight as (stack, group, out, in, kernel)."""
    stack, group, outputs, inputs, kernel = cells(values.shape, axes)
    ordered = values.transpose(axes.order() or range(values.ndim))
    if axes.transposed:
        split = ordered.reshape(stack, outputs, group, inputs, kernel)
        return split.swapaxes(1, 2)
    return ordered.reshape(stack, group, outputs, inputs, kernel)


def from_cells(values: Array, shape: tuple[int, ...], axes: Axes) -> Array:
    """The inverse of `to_cells`: (stack, group, out, in, kernel) as the weight is stored."""
    order = axes.order() or tuple(range(len(shape)))
    ordered = values.swapaxes(1, 2) if axes.transposed else values
    unfolded = ordered.reshape([shape[axis] for axis in order])
    back = sorted(range(len(shape)), key=order.__getitem__)
    return unfolded.transpose(back)
