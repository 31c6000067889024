"""Where a value lives: seed, name and row-major index (version 1 of the stream contract)."""

import operator
from collections.abc import Sequence
from types import EllipsisType
from typing import NamedTuple

from fanin.errors import FaninError, quote

try:  # hashlib's own, without loading OpenSSL beside it
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

Index = int | slice | EllipsisType | tuple[int | slice | EllipsisType, ...]

_PERSON = b"fanin-v1"


def stream_number(name: str, label: str = "") -> int:
    """The 64-bit number of the stream of a name, or of its child with this label.

    A name is a non-empty string without NUL that UTF-8 can encode.
    """
    if isinstance(name, str) and name and "\0" not in name:
        try:
            data = (f"{name}\0{label}" if label else name).encode()
        except UnicodeEncodeError:
            pass
        else:
            digest = blake2b(data, digest_size=8, person=_PERSON).digest()
            return int.from_bytes(digest, "little")
    raise FaninError(
        f"name is {quote(name)}; a name is a non-empty string without NUL or lone surrogates."
    )


class Region(NamedTuple):
    """The part of a tensor that an index selects, as addresses.

    Element (j0, j1, ...) of the part has the address base + j0 * steps[0] + j1 * steps[1] ...;
    no steps means those of a row-major array of this shape. `shape` is the selected part's,
    integer indices dropped as NumPy drops them.
    """

    base: int
    shape: tuple[int, ...]
    steps: tuple[int, ...] | None


def region(
    shape: tuple[int, ...], index: Index | None = None, order: Sequence[int] | None = None
) -> Region:
    """The addresses of `tensor[index]` for a tensor of this shape.

    `order` lists the stored axes from the slowest to the fastest of the canonical order
    that the addresses count in; None means the order in which they are stored.
    """
    if index is None and order is None:
        return Region(0, shape, None)
    if order is not None and sorted(map(operator.index, order)) != list(range(len(shape))):
        raise FaninError(f"order is {quote(order)}; it lists every axis of shape {shape} once.")
    strides = [0] * len(shape)
    stride = 1
    for axis in reversed(range(len(shape)) if order is None else order):
        strides[axis] = stride
        stride *= shape[axis]
    if index is None:
        return Region(0, shape, tuple(strides))
    base, counts, steps = 0, [], []
    for size, stride, item in zip(shape, strides, _expand(index, shape), strict=True):
        if isinstance(item, slice):
            start, stop, step = item.indices(size)
            base += start * stride
            count = len(range(start, stop, step))
            counts.append(count)
            steps.append(step * stride if count > 1 else 0)  # else it may leave 64 bits
        else:
            base += item * stride
    return Region(base if 0 not in counts else 0, tuple(counts), tuple(steps))


def select(shape: tuple[int, ...], index: Index | None) -> list[int | range]:
    """What `index` selects of each axis: one position (the axis is dropped), or a range."""
    items = [slice(None)] * len(shape) if index is None else _expand(index, shape)
    return [
        range(*item.indices(size)) if isinstance(item, slice) else item
        for item, size in zip(items, shape, strict=True)
    ]


def _expand(index: Index, shape: tuple[int, ...]) -> list[int | slice]:
    """One non-negative int or one slice for every axis of the shape."""
    items = index if isinstance(index, tuple) else (index,)
    dots = [position for position, item in enumerate(items) if item is Ellipsis]
    named = len(items) - len(dots)
    if len(dots) > 1 or named > len(shape):
        raise FaninError(
            f"index {quote(index)} does not fit shape {shape}: give at most {len(shape)} integers "
            "or slices and one '...'."
        )
    gap = dots[0] if dots else len(items)
    filled = [*items[:gap], *[slice(None)] * (len(shape) - named), *items[gap + 1 :]]
    return [_check_item(item, axis, shape) for axis, item in enumerate(filled)]


def _check_item(item: object, axis: int, shape: tuple[int, ...]) -> int | slice:
    if isinstance(item, slice):
        try:
            item.indices(shape[axis])
        except (TypeError, ValueError) as error:
            raise FaninError(
                f"index {quote(item)} of axis {axis} is not a slice: {error}."
            ) from None
        return item
    try:
        position = operator.index(item if type(item) is not bool else None)  # type: ignore[arg-type]
    except TypeError:
        raise FaninError(
            f"index {quote(item)} of axis {axis} is not an integer or a slice; masks and arrays of "
            "positions are not addresses."
        ) from None
    if -shape[axis] <= position < shape[axis]:
        return position % shape[axis]
    raise FaninError(f"index {position} is outside axis {axis} of shape {shape}.")
