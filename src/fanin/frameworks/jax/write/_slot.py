"""Slot: one parameter of a JAX model, what it holds, and what could be drawn in its place."""

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from fanin.axes import Axes
from fanin.errors import FaninError
from fanin.frameworks._arrays import (
    Source,
    agree,
    bind,
    by_parts,
    clear_row,
    moments,
    outside,
    patch,
)
from fanin.frameworks._tiles import Box
from fanin.frameworks.jax.tree._held import is_abstract
from fanin.frameworks.jax.write._shards import check_sharding, make_array, parts
from fanin.initializers import Initializer
from fanin.param import Param
from fanin.streams import Array

_MOST_READ = 1 << 20  # values of a parameter that a recipe may look at


@dataclass(slots=True)
class Slot:
    """A Param and the array that it is, with or without memory; axes of None are its own."""

    param: Param
    value: Any
    prefix: str = ""  # what stands before the name in that of the stream
    padding_row: int | None = None  # of a table: stays zero, where a torch plan says so
    noted: Any = None  # what an abstract one is made with, where the program says it
    is_redrawn: bool = False
    was_drawn: bool = False
    first_digest: str | None = None
    part: Box | None = None  # what alone is drawn of it, where the rest stays

    @property
    def stream(self) -> str:
        """The name that the values come from."""
        return f"{self.prefix}.{self.param.name}" if self.prefix else self.param.name

    @property
    def has_value(self) -> bool:
        """Whether there is a value to keep."""
        return not is_abstract(self._held)

    @property
    def is_computed(self) -> bool:
        """Whether what it holds follows from the program."""
        return self.noted is not None

    @property
    def _held(self) -> Any:
        return self.value if self.noted is None else self.noted

    @property
    def is_empty(self) -> bool:
        """Whether it has no memory yet."""
        return is_abstract(self.value)

    @property
    def is_sharded(self) -> bool:
        """Whether this process holds a part alone."""
        return isinstance(self.value, jax.Array) and not self.value.is_fully_addressable

    def rehearse(
        self, initializer: Initializer | None, seed: int, axes: Axes | None = None
    ) -> None:
        """Raise whatever `draw_array` would raise, without drawing."""
        if initializer is None:
            self._require_value("no value to keep", "Give it an initializer.")
            return
        check_sharding(self.param.name, self.value)
        if self.part is not None:
            self._require_value("no rows beside those that are drawn", "Give it its values.")
            self._require_whole()
        self.draw(initializer, seed, axes, (slice(0, 0),) * len(self.param.shape))

    def draw_array(
        self, initializer: Initializer, seed: int, axes: Axes | None = None
    ) -> jax.Array:
        """A new array of the initializer's values where this one lies, or is to lie."""
        return make_array(self.value, self.source(initializer, seed, axes))

    def draw(
        self, initializer: Initializer, seed: int, axes: Axes | None, index: Any = None
    ) -> Array:
        """The values of a box of the parameter, as `draw_array` has them."""
        param = self.param
        try:
            values = bind(initializer, param.shape, self.part, self._read_box)(
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

    def source(self, initializer: Initializer | None, seed: int, axes: Axes | None) -> Source:
        """What gives a box of the values; those that it has where nothing is drawn."""
        if initializer is None:
            return self._read_box
        bound = bind(initializer, self.param.shape, self.part, self._read_box)  # once for all boxes

        def draw(index: Any) -> Array:
            return self.draw(bound, seed, axes, index)

        if self.part is not None:
            return patch(self._read_box, draw, self.param.shape, self.part)
        return by_parts(initializer, draw)

    def _read_box(self, box: Box) -> Array:
        return np.asarray(self._held[box])

    def _require_whole(self) -> None:
        if self.is_sharded:
            raise FaninError(
                f"{self.param.name} of shape {self.param.shape} is spread over processes, and rows "
                "are drawn beside all that it has. Resize it in one process."
            )

    def holds(self, initializer: Initializer, seed: int, axes: Axes | None = None) -> bool:
        """Whether it has those values bit by bit, or within the initializer's tolerance."""
        self._require_value("no values", "Initialize first.")
        initializer = bind(initializer, self.param.shape, self.part, self._read_box)
        tolerance = initializer.tolerance(self.param.dtype)
        source = self.source(initializer, seed, axes)
        return all(agree(source(index), held, tolerance) for index, held in parts(self._held))

    def equals(self, other: "Slot") -> bool:
        """Whether it holds the bits of another slot."""
        return self.has_value and other.has_value and self.digest() == other.digest()

    def copy_of(self, values: Any) -> jax.Array:
        """An array of these values where this one lies, or is to lie."""
        return make_array(self.value, lambda index: np.array(values[index]))

    def find_unwritten(self, varies: bool) -> str:
        """Nothing: an array is made with its values."""
        return ""

    def digest(self, *, held: bool = False) -> str:
        """SHA-256 of the values in row-major order, little-endian."""
        if self.is_sharded:
            raise FaninError(
                f"{self.param.name} of shape {self.param.shape} is spread over processes, and a "
                "hash needs all of it."
            )
        result = hashlib.sha256()
        for box in outside(self.param.shape, self.part):
            plain = np.ascontiguousarray(self._read_box(box))
            result.update(plain.reshape(-1).view(np.uint8).data)
        return result.hexdigest()

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of the values here, of their real parts if complex."""
        self._require_value("no values", "Initialize first.")
        if self.part is not None:
            return moments([self._read_box(self.part)])
        return moments([values for _, values in parts(self._held)])

    def read(self) -> Array | None:
        """The values as float64; None where there are none, where they are many, or complex."""
        complex_ = self.param.dtype.startswith("complex")
        many = math.prod(self.param.shape) > _MOST_READ
        if not self.has_value or self.is_sharded or complex_ or many:
            return None
        values: Array = np.array(self._held, np.float64)
        return values

    def _require_value(self, what: str, advice: str) -> None:
        if not self.has_value:
            raise FaninError(
                f"{self.param.name} has shape {self.param.shape} and {what}: it is abstract. "
                f"{advice}"
            )
