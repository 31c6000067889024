"""Row: what a plan says of one parameter."""

from dataclasses import dataclass, replace
from typing import Literal

from fanin._arguments import keep_names
from fanin._fans import Fans, fans
from fanin.axes import Axes
from fanin.errors import FaninError
from fanin.frameworks._tiles import Box
from fanin.initializers import Elementwise, Initializer
from fanin.initializers._computed import Computed
from fanin.initializers._present import PresentRows

# Where the values of a kept parameter come from, if not from what is told in `why` alone: the user
# asked for them; the constructor drew them, and they are drawn again with the seed's stream; or
# they are the constructor's, whatever the seed; or another parameter's.
Keeps = Literal["asked", "redrawn", "unseeded", "copied"]


def row_axis(shape: tuple[int, ...], axes: Axes) -> int:
    """The axis that counts rows: the slowest of the canonical order with more than one position."""
    order = axes.order() or range(len(shape))
    return next((axis for axis in order if shape[axis] > 1), 0)


@keep_names(kept="kept_sha256", lr="lr_factor")
@dataclass(frozen=True, slots=True)
class Row:
    """One parameter: how it is drawn, and why.

    `initializer` None means kept as it is; `kept_sha256` is then that of its values, where they
    were there to look at. `axes` are the roles that the operation gives to its axes. `output` is
    the second moment that the recipe gives to the operation's output, None where it says none.
    `lr_factor` is what the recipe multiplies the learning rate by, `eps_factor` Adam's epsilon and
    `decay_factor` the weight decay. `averaged`: the input is
    an average over T positions, and the output's RMS 1/sqrt(T) to 1 of the given one. `zero_row`
    is the row of a table that stays zero, as it stands for no word. `keeps` says of a kept
    parameter whose values they are, where that is known. `guessed`: nothing supports the rule.
    `drawn_rows`: those from the first to before the second alone are drawn, and the others stay,
    whose hash is then `kept_sha256`; `row_axis` says along which axis they are counted. `like` is
    the parameter whose values this one gets.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: str
    initializer: Initializer | None
    axes: Axes
    why: str
    aliases: tuple[str, ...] = ()
    output: float | None = None
    kept_sha256: str | None = None
    lr_factor: float = 1.0
    averaged: bool = False
    zero_row: int | None = None
    keeps: Keeps | None = None
    guessed: bool = False
    drawn_rows: tuple[int, int] | None = None
    like: str | None = None
    eps_factor: float = 1.0
    decay_factor: float = 1.0

    @property
    def part(self) -> Box | None:
        """The part that alone is drawn, a slice for each axis; None for all."""
        if self.drawn_rows is None:
            return None
        whole = [slice(0, size) for size in self.shape]
        whole[row_axis(self.shape, self.axes)] = slice(*self.drawn_rows)
        return tuple(whole)

    @property
    def std(self) -> float | None:
        """The standard deviation of the values, after truncation; None where kept.

        None, too, where they are as the rows that a table has, or were computed.
        """
        if self.initializer is None or isinstance(self.initializer, PresentRows | Computed):
            return None
        return self.initializer.std(self.shape, self.axes)

    @property
    def mean(self) -> float | None:
        """The mean of the values; None where kept, or where values depend on each other."""
        if not isinstance(self.initializer, Elementwise):
            return None
        try:
            drawn = self.initializer.distribution(self.shape, self.axes)
        except FaninError:  # blocks that are drawn each in its own way
            return None
        return drawn.mean_of_values()

    @property
    def fans(self) -> Fans | None:
        """The operation's fans; None where the parameter has none."""
        try:
            return fans(self.shape, self.axes)
        except FaninError:
            return None

    def under(self, prefix: str) -> "Row":
        """The row as it is drawn: `prefix` stands before other parameters' names in it, too."""
        if self.initializer is None or not prefix:
            return self
        return replace(self, initializer=self.initializer.under(prefix))

    def draws_as(self, other: "Row") -> bool:
        """Whether both draw the same values."""
        mine, theirs = (
            (
                row.name,
                row.shape,
                row.dtype,
                row.initializer,
                row.axes,
                row.kept_sha256,
                row.zero_row,
                row.drawn_rows,
                row.like,
            )
            for row in (self, other)
        )
        return mine == theirs

    def describe(self) -> str:
        """What it is, in words: kept, an initializer, that in some rows, or a copy."""
        what = "kept" if self.initializer is None else str(self.initializer)
        if self.like is not None:
            return f"as {self.like}"
        if self.drawn_rows is None:
            return what
        first, end = self.drawn_rows
        return f"{what} in rows {first} to {end - 1}, others kept"

    def __str__(self) -> str:
        return f"{self.name} {self.shape} {self.dtype}: {self.describe()}"
