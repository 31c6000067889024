"""Distributions that are drawn on the host: in float64 from the words, then rounded once.

The words come from whichever back end draws, tile by tile, so a large tensor needs little
memory beside its own; only + - * / and square roots follow, so every machine has the same bits.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from fanin.errors import FaninError
from fanin.streams._address import stream_number
from fanin.streams._backends import current_fill
from fanin.streams._distributions import check_not_negative, to_floats
from fanin.streams._elementary import Float64, log
from fanin.streams._output import REAL, Array, encode
from fanin.streams._philox import Words

_TILE = 1 << 16  # values at a time
_HALF = np.uint32(2**31)
_FLIP = np.uint32(0xFFFFFFFF)


class Draws(NamedTuple):
    """The words of some values: u = (high + 1/2) / 2**32, or with `low` 64 bits of it."""

    high: Words
    low: Words | None

    def below(self) -> npt.NDArray[np.bool_]:
        """Whether u < 1/2."""
        return self.high < _HALF

    def u(self) -> Float64:
        """u in (0, 1]; in 64 bits it is rounded to a double."""
        return self._scale(self.high, self.low)

    def tail(self) -> Float64:
        """min(u, 1 - u), of full precision however small."""
        return self._mirror(self.high, self.below())

    def centre(self) -> Float64:
        """|u - 1/2|, of full precision however small."""
        return self._mirror(self.high ^ _HALF, ~self.below())

    def _mirror(self, high: Words, kept: npt.NDArray[np.bool_]) -> Float64:
        low = self.low if self.low is None else np.where(kept, self.low, self.low ^ _FLIP)
        return self._scale(np.where(kept, high, high ^ _FLIP), low)

    @staticmethod
    def _scale(high: Words, low: Words | None) -> Float64:
        wide = high.astype(np.float64)
        if low is None:
            return (wide + 0.5) * 2.0**-32
        return (wide * 2.0**32 + (low + 0.5)) * 2.0**-64


class StreamPlace(NamedTuple):
    """Where the values of a draw lie: addresses base + j * steps (row-major without steps)."""

    seed: int
    name: str
    base: int
    steps: tuple[int, ...] | None


class HostDrawn(ABC):
    """A distribution that writes its own values; every other one is drawn by a back end."""

    __slots__ = ()
    dtypes: ClassVar[tuple[str, ...]]  # those that it can be drawn in

    @abstractmethod
    def fill(self, out: Array, encoding: str, place: StreamPlace) -> None:
        """Write the values at a place into `out`."""


class Inverted(HostDrawn):
    """A real distribution by its inverse: each value is a function of its own words."""

    __slots__ = ()
    dtypes = REAL

    @abstractmethod
    def values(self, draws: Draws) -> Float64:
        """The value of each u, in float64."""

    def fill(self, out: Array, encoding: str, place: StreamPlace) -> None:
        number = stream_number(place.name)
        low = stream_number(place.name, "low") if encoding == "float64" else None
        for index, tile in tiles(out.shape, place):
            values = self.values(tile.draws(number, low)) + 0.0  # no -0.0
            out[index] = encode(values, encoding)


@dataclass(frozen=True, slots=True)
class Laplace(Inverted):
    """Laplace with this mean; scale b, so std = b * sqrt(2)."""

    kind: ClassVar[str] = "laplace"
    mean: float
    scale: float

    def __post_init__(self) -> None:
        to_floats(self)
        check_not_negative(self, "scale")

    def constants(self, precision: str) -> tuple[float, ...]:
        return (self.mean, self.scale)

    def reach(self, precision: str) -> float:
        # -log of the smallest 2 u: 32 ln 2 for the word 0, 64 ln 2 for the double word 0.
        return abs(self.mean) + self.scale * (22.2 if precision == "float32" else 44.4)

    def mean_of_values(self) -> float:
        return self.mean

    def std_of_values(self) -> float:
        return self.scale * math.sqrt(2.0)

    def values(self, draws: Draws) -> Float64:
        """mean + scale * log(2 u) below the mean, and its mirror image above."""
        size = log(2.0 * draws.tail(), -2.0 * draws.centre())
        return self.mean + self.scale * np.where(draws.below(), size, -size)


@dataclass(frozen=True, slots=True)
class Signs(Inverted):
    """scale with probability p, -scale otherwise."""

    kind: ClassVar[str] = "signs"
    scale: float
    p: float

    def __post_init__(self) -> None:
        to_floats(self)
        check_not_negative(self, "scale")
        if not 0 <= self.p <= 1:
            raise FaninError(f"p of signs is {self.p}; a probability is in [0, 1].")

    def constants(self, precision: str) -> tuple[float, ...]:
        return (self.scale, self.p)

    def reach(self, precision: str) -> float:
        return self.scale

    def mean_of_values(self) -> float:
        return self.scale * (2.0 * self.p - 1.0)

    def std_of_values(self) -> float:
        return 2.0 * self.scale * math.sqrt(self.p * (1.0 - self.p))

    def values(self, draws: Draws) -> Float64:
        """-scale where u < 1 - p, else scale: in the upper half, where 1 - u > p."""
        tail = draws.tail()
        minus = np.where(draws.below(), tail < 1.0 - self.p, tail > self.p)
        return np.where(minus, -self.scale, self.scale)


class Tile(NamedTuple):
    """A part of a draw, small enough for intermediate arrays."""

    shape: tuple[int, ...]
    seed: int
    base: int
    steps: tuple[int, ...]

    def draws(self, number: int, low: int | None) -> Draws:
        """The draws of the stream with this number; `low` is its child's, for 64 bits."""
        return Draws(self._words(number), None if low is None else self._words(low))

    def _words(self, number: int) -> Words:
        words = np.empty(self.shape, np.uint32)
        current_fill()(
            words, "uint32", self.base, self.steps, self.seed, (number, 0), "words", (), 1
        )
        return words


def tiles(shape: tuple[int, ...], place: StreamPlace) -> Iterator[tuple[tuple[Any, ...], Tile]]:
    """Parts of an array of this shape: their index in it, and the Tile."""
    steps = place.steps
    if steps is None:
        steps = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    if 0 in shape:
        return
    if not shape:
        yield (), Tile((), place.seed, place.base, ())
        return
    cut = next(a for a in range(len(shape)) if math.prod(shape[a + 1 :]) <= _TILE)
    rows = _TILE // math.prod(shape[cut + 1 :])
    for lead in np.ndindex(shape[:cut]):
        base = place.base + sum(j * step for j, step in zip(lead, steps, strict=False))
        for first in range(0, shape[cut], rows):
            count = min(rows, shape[cut] - first)
            part = Tile(
                (count, *shape[cut + 1 :]), place.seed, base + first * steps[cut], steps[cut:]
            )
            yield (*lead, slice(first, first + count)), part
