"""Computed: values that a recipe made of a model's weights or data, known by their hash."""

import math
import re
from dataclasses import dataclass, field
from typing import Any

from fanin.axes import Axes
from fanin.errors import FaninError, quote
from fanin.initializers._base import Initializer, Request, expression
from fanin.initializers._entry import Entry
from fanin.streams import Array, Stream
from fanin.streams._address import select
from fanin.streams._output import dtype_name, write

_SHOWN = 8  # digits of a hash


@dataclass(frozen=True, slots=True, repr=False)
class Computed(Initializer):
    """The values with this SHA-256, as the parameter stores them.

    A plan that was made just now has the values, too; one that was applied or read from a file
    knows the hash alone, by which `verify` compares. `before` is the hash of what the values were
    made of and replace, "" where they replace anything.
    """

    digest: str
    values: Array | None = field(default=None, compare=False)
    before: str = field(default="", compare=False)

    @property
    def seeded(self) -> bool:
        """No seed decides what is computed."""
        return False

    def forget(self) -> "Computed":
        """The same, by its hash alone."""
        return Computed(self.digest)

    def _draw(self, request: Request) -> Array:
        Stream(request.seed, request.name)  # checks both
        if self.values is None:
            raise FaninError(
                "its values were computed of a model's weights, and the plan holds their hash "
                "alone. Plan the model that you have again, with the recipe and its inputs."
            )
        if request.shape != self.values.shape:
            raise FaninError(
                f"the values that were computed have shape {self.values.shape}, the parameter has "
                f"{request.shape}. Plan this model again."
            )
        encoding = dtype_name(request.dtype, request.out)
        select(request.shape, request.index)  # checks the index
        index: Any = ... if request.index is None else request.index
        return write(self.values[index], encoding, request.out)

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        return math.nan if self.values is None else float(self.values.std(dtype="float64"))

    def __repr__(self) -> str:
        return f"computed(<sha256 {self.digest[:_SHOWN]}...>)"

    def _expression(self) -> str:
        return expression("computed", self.digest)


def recall(digest: str) -> Computed:
    """The initializer that a plan's file names by the SHA-256 of its values."""
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise FaninError(
            f"digest of computed is {quote(digest)}; it is a SHA-256 in 64 hexadecimal digits."
        )
    return Computed(digest)


ENTRY: Entry = Entry("computed", recall, "none", "nothing", "the recipe", "computed('0'*64)")
