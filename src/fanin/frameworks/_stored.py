"""Stored: what a file of a model's weights holds, drawn while it is written."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from fanin.axes import Axes
from fanin.frameworks._arrays import Source
from fanin.frameworks._tiles import tiles
from fanin.initializers import Initializer

HowDrawn = tuple[Initializer | None, Axes]


class Stored(NamedTuple):
    """One tensor of a file: its bytes in row-major order come in pieces."""

    name: str
    planned: str  # the canonical name, by which a plan calls it
    dtype: str
    shape: tuple[int, ...]
    size: int  # in bytes
    pieces: Callable[[], Iterator[bytes]]
    gates: tuple[int, ...] = ()  # which drawn block each block of the last axis is; () in order


def make_stored(
    name: str,
    planned: str,
    dtype: str,
    shape: tuple[int, ...],
    source: Source,
    gates: tuple[int, ...] = (),
) -> Stored:
    """A tensor whose values at an index `source` gives."""
    size = math.prod(shape) * item_size(dtype)
    return Stored(name, planned, dtype, shape, size, lambda: bytes_of(source, shape), gates)


def item_size(dtype: str) -> int:
    """The bytes of an element of a type, by NumPy's name."""
    bits = "".join(letter for letter in dtype if letter.isdigit())
    return int(bits or 8) // 8


def bytes_of(source: Source, shape: tuple[int, ...]) -> Iterator[bytes]:
    """The bytes of an array of this shape, tile by tile; `source` gives the values at an index."""
    for tile in tiles(shape):
        yield np.ascontiguousarray(source(tile)).tobytes()


def part_of_value(value: Any) -> Source:
    """What gives the values at an index of an array that is there."""
    held = np.asarray(value)
    return lambda index: np.asarray(held[index])
