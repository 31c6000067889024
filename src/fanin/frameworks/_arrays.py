"""Arrays: what is said of a parameter's values, whoever holds them."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fanin.frameworks._tiles import tiles
from fanin.initializers import Elementwise, Initializer
from fanin.streams import Array

Source = Callable[[Any], Array]  # the values at an index of a whole parameter


def moments(held: Sequence[Array]) -> tuple[float, float]:
    """Mean and standard deviation of all values in some arrays, of their real parts if complex."""
    count = sum(values.size for values in held)
    if not count:
        return math.nan, math.nan

    def wide() -> Iterator[Array]:
        for values in held:
            for tile in tiles(values.shape):
                yield values[tile].real.astype(np.float64)

    mean = math.fsum(float(piece.sum()) for piece in wide()) / count
    square = math.fsum(float(((piece - mean) ** 2).sum()) for piece in wide()) / count
    return mean, math.sqrt(square)


def agree(drawn: Array, held: Array, tolerance: float) -> bool:
    """Whether two arrays have the same bits, or are near where a tolerance is promised."""
    if tolerance == 0:
        return np.ascontiguousarray(drawn).tobytes() == np.ascontiguousarray(held).tobytes()
    return bool((abs(drawn.astype(np.float64) - held.astype(np.float64)) <= tolerance).all())


def by_parts(initializer: Initializer, draw: Source, *, whole: bool = False) -> Source:
    """What gives any part of an initializer's values: by itself, or cut from a whole made once.

    `whole` asks for that where the initializer could do without.
    """
    if isinstance(initializer, Elementwise) and not whole:
        return draw
    made: list[Array] = []

    def cut(index: Any) -> Array:
        if not made:
            made.append(draw((...,)))
        part: Array = made[0][index]
        return part

    return cut


def clear_row(values: Any, row: int | None, index: Any, rows: int) -> None:
    """Zero a row that stands for no word, where the part of a table at this index holds it."""
    if row is None:
        return
    first = slice(None) if index is None or index[0] is Ellipsis else index[0]
    held = range(*first.indices(rows))
    if row in held:
        values[held.index(row)] = 0
