"""Slot: one variable of a model, what is written into it, and proof of what it holds."""

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fanin.axes import Axes
from fanin.errors import FaninError
from fanin.frameworks._arrays import Source, agree, arrange, by_parts, clear_row, moments
from fanin.frameworks._stored import part_of_value
from fanin.frameworks._tiles import Box
from fanin.frameworks.keras._values import is_partial, pieces, put
from fanin.initializers import Initializer
from fanin.param import Param
from fanin.streams import Array

_MOST_READ = 1 << 20  # values of a parameter that a recipe may look at


@dataclass(slots=True)
class Slot:
    """What `fanin.frameworks._adapter.Slot` says, of a keras.Variable; axes of None are its own.

    `gates` says which block of what is drawn each block of the last axis holds, where the layer
    packs gates in another order than torch; empty means in the same.
    """

    param: Param
    variable: Any
    gates: tuple[int, ...] = ()
    prefix: str = ""  # what stands before the name in that of the stream
    padding_row: int | None = None  # zero where a torch plan says so; Keras draws masked words
    has_value: bool = True
    is_empty: bool = False
    is_redrawn: bool = False
    is_computed: bool = False
    was_drawn: bool = False
    first_digest: str | None = None
    part: Box | None = None  # what alone is drawn of it, where the rest stays

    @property
    def stream(self) -> str:
        """The name that the values come from."""
        return f"{self.prefix}.{self.param.name}" if self.prefix else self.param.name

    @property
    def is_sharded(self) -> bool:
        """Whether this process holds a part alone."""
        return is_partial(self.variable)

    def rehearse(
        self, initializer: Initializer | None, seed: int, axes: Axes | None = None
    ) -> None:
        """Raise whatever `write` would raise, without drawing or writing."""
        if self.part is not None:
            raise FaninError(
                f"{self.param.name} of shape {self.param.shape}: rows= draws in models of PyTorch "
                "and JAX. Draw the rows with fanin.Stream, and assign the variable."
            )
        if initializer is not None:
            self._draw(initializer, seed, axes, (slice(0, 0),) * len(self.param.shape))

    def write(self, initializer: Initializer, seed: int, axes: Axes | None = None) -> None:
        """Draw the values into the variable, each device its own part."""
        put(self.variable, self.source(initializer, seed, axes))

    def source(self, initializer: Initializer | None, seed: int, axes: Axes | None) -> Source:
        """What gives a box of the values, gates in Keras's order; its own if nothing is drawn."""
        if initializer is None:
            return part_of_value(self._values())

        def draw(index: Any) -> Array:
            return arrange(self._draw(initializer, seed, axes, index), self.gates)

        return by_parts(initializer, draw, whole=bool(self.gates))

    def _draw(self, initializer: Initializer, seed: int, axes: Axes | None, index: Any) -> Array:
        """The values at an index, gates in torch's order."""
        param = self.param
        try:
            values = initializer(
                param.shape,
                seed=seed,
                name=self.stream,
                dtype=param.dtype,
                axes=param.axes if axes is None else axes,
                index=index,
            )
        except FaninError as error:
            raise FaninError(f"{param.name} ({initializer}): {error}") from None
        clear_row(values, self.padding_row, index, (*param.shape, 0)[0])
        return values

    def holds(self, initializer: Initializer, seed: int, axes: Axes | None = None) -> bool:
        """Whether it has those values bit by bit, or within the initializer's tolerance."""
        tolerance = initializer.tolerance(self.param.dtype)
        source = self.source(initializer, seed, axes)
        return all(agree(source(at), held, tolerance) for at, held in pieces(self.variable))

    def equals(self, other: "Slot") -> bool:
        """Whether it holds the bits of another slot."""
        return self.digest() == other.digest()

    def find_unwritten(self, varies: bool) -> str:
        """Nothing: an array is made with its values."""
        return ""

    def digest(self, *, held: bool = False) -> str:
        """SHA-256 of the values in row-major order, little-endian."""
        if self.is_sharded:
            raise FaninError(
                f"{self.param.name} of shape {self.param.shape} is spread over processes, and a "
                "hash needs all of it. Plan in one process."
            )
        return hashlib.sha256(self._values().tobytes()).hexdigest()

    def read(self) -> Array | None:
        """The values as float64, as they are stored; None where they are many, or spread."""
        if math.prod(self.param.shape) > _MOST_READ or self.is_sharded:
            return None
        return self._values().astype(np.float64)

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of the values that this process holds."""
        return moments([values for _, values in pieces(self.variable)])

    def _values(self) -> Array:
        """All values, in one array."""
        held = list(pieces(self.variable))
        if len(held) == 1:
            return held[0][1]
        values = np.empty(self.param.shape, held[0][1].dtype)
        for index, part in held:
            values[index] = part
        return values
