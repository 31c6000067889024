"""Arrays: what is said of a parameter's values, whoever holds them."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from fanin.errors import FaninError
from fanin.frameworks._tiles import TILE, Box, meet, tiles
from fanin.initializers import Elementwise, Initializer
from fanin.initializers._computed import Computed
from fanin.initializers._present import PresentRows
from fanin.param import Param
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


def outside(shape: tuple[int, ...], part: Box | None) -> list[Box]:
    """The boxes of a tensor that a part of whole rows leaves, in the order of the rows."""
    whole = tuple(slice(0, size) for size in shape)
    if part is None:
        return [whole]
    axes = [at for at, own in enumerate(whole) if part[at] != own]
    axis = axes[0] if axes else 0
    ends = ((0, part[axis].start), (part[axis].stop, shape[axis]))
    return [
        (*whole[:axis], slice(low, high), *whole[axis + 1 :]) for low, high in ends if low < high
    ]


def patch(held: Source, draw: Source, shape: tuple[int, ...], part: Box) -> Source:
    """What gives any part of values that are drawn in one part, and held in the rest."""

    def give(index: Any) -> Array:
        full = (*(() if index[:1] == (...,) else index), *(slice(None),) * len(shape))
        box = tuple(slice(*item.indices(size)) for item, size in zip(full, shape, strict=False))
        values = np.array(held(box))
        if (met := meet(box, part)) is not None:
            values[met[1]] = draw(met[0])
        return values

    return give


def bind(
    initializer: Initializer, shape: tuple[int, ...], part: Box | None, held: Source
) -> Initializer:
    """The initializer, with the rows that a table has where it is made from them.

    `held` gives the values at a box. FaninError where there are no such rows.
    """
    if not isinstance(initializer, PresentRows):
        return initializer
    if part is None or part[1:] != tuple(slice(0, size) for size in shape[1:]):
        raise FaninError("it is drawn beside the rows that a table has: pass rows= for its axis 0.")
    rows = outside(shape, part)
    step = max(1, TILE // max(math.prod(shape[1:]), 1))
    cut = [
        (slice(low, min(low + step, box[0].stop)), *box[1:])
        for box in rows
        for low in range(box[0].start, box[0].stop, step)
    ]
    return initializer.bind(map(held, cut))


class Hashed(Protocol):
    """A parameter that can tell what it holds."""

    @property
    def param(self) -> Param:
        """What it is."""

    @property
    def is_empty(self) -> bool:
        """Whether it has no memory yet."""

    def digest(self, *, held: bool = False) -> str:
        """The SHA-256 of its values; `held`: of those in memory."""


def holds_computed(slot: Hashed, initializer: Initializer | None) -> bool:
    """Whether a parameter has the values of an initializer that knows them by their hash.

    FaninError where it has neither them nor what they replace.
    """
    if not isinstance(initializer, Computed) or slot.is_empty:
        return False
    held = slot.digest(held=True)
    if initializer.before not in ("", held) and held != initializer.digest:
        raise FaninError(
            f"{slot.param.name} of shape {slot.param.shape} holds other values than those that the "
            "plan was made with, and would lose them. Plan this model again."
        )
    return held == initializer.digest


def clear_row(values: Any, row: int | None, index: Any, rows: int) -> None:
    """Zero a row that stands for no word, where the part of a table at this index holds it."""
    if row is None:
        return
    first = slice(None) if index is None or index[0] is Ellipsis else index[0]
    held = range(*first.indices(rows))
    if row in held:
        values[held.index(row)] = 0


def arrange(values: Array, gates: tuple[int, ...]) -> Array:
    """The blocks of the last axis in another order."""
    if not gates:
        return values
    blocks = np.split(values, len(gates), axis=-1)
    return np.concatenate([blocks[gate] for gate in gates], axis=-1)
