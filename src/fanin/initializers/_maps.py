"""Maps: the linear maps that a weight holds, one for every stack, group and packed block."""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from fanin.axes import Axes, parse_axes
from fanin.errors import FaninError, as_number, quote
from fanin.initializers._base import Request, Whole, expression
from fanin.initializers._parts import blocks, cells, from_cells, to_cells
from fanin.initializers._random import normal
from fanin.streams import Array, Index


def check_maps(who: str, shape: tuple[int, ...], axes: Axes) -> None:
    """Refuse a weight that holds no linear maps, or whose groups do not fit its blocks."""
    missing = [f"no `{role}`" for role in ("out", "in") if role not in axes.roles]
    if missing:
        raise FaninError(
            f"shape {shape} has {' and '.join(missing)} axis, and {who} makes linear maps. "
            "Use constant(...) or normal(...), or name its axes."
        )
    if axes.blocks:
        for part in blocks(shape, axes):
            parse_axes(part.axes, part.shape)


def change_maps(values: Array, axes: Axes, change: Callable[[Array], Array]) -> Array:
    """`change` applied to the cells (stack, group, out, in, kernel) of every packed block."""
    if not axes.blocks:
        return from_cells(change(to_cells(values, axes)), values.shape, axes)
    axis, edges = axes.axis("out"), np.cumsum(axes.blocks)[:-1]
    own = replace(axes, blocks=())
    changed = [change_maps(part, own, change) for part in np.split(values, edges, axis)]
    return np.concatenate(changed, axis)


def mean_over_maps(
    shape: tuple[int, ...], axes: Axes, of: Callable[[int, int, int], float]
) -> float:
    """The mean over all values of what `of` gives for the (out, in, kernel) of their map."""
    split = [(part.shape, part.axes) for part in blocks(shape, axes)] if axes.blocks else None
    total = sum(
        math.prod(part) * of(*cells(part, own)[2:]) for part, own in split or [(shape, axes)]
    )
    return total / max(math.prod(shape), 1)


def centre(shape: tuple[int, ...], axes: Axes) -> tuple[tuple[int | slice, ...], Axes]:
    """The index of the centre tap (position k // 2 of every kernel axis), and the tap's axes."""
    index = tuple(
        size // 2 if role == "kernel" else slice(None)
        for size, role in zip(shape, axes.roles, strict=True)
    )
    roles = tuple(role for role in axes.roles if role != "kernel")
    return index, replace(axes, roles=roles, stride=1)


def gaussian(
    request: Request, precision: str, index: Index | None = None, std: float = 1.0
) -> Array:
    """Normal values at the weight's own addresses: those of `normal(0.0, std)`."""
    return normal(0.0, std)(
        request.shape,
        seed=request.seed,
        name=request.name,
        dtype=precision,
        axes=request.axes,
        index=index,
        threads=request.threads,
    )


ROUNDED = {"bfloat16": 2.0**-8, "float16": 2.0**-11}  # spacing of values just below one


@dataclass(frozen=True, slots=True, repr=False)
class Maps(Whole):
    """The values of one linear map depend on each other, and are multiplied by `gain`."""

    called: ClassVar[str]
    # What a value may differ by between machines: in float32, in float64; times the gain.
    differs: ClassVar[tuple[float, float]] = (0.0, 0.0)
    gain: float

    def __post_init__(self) -> None:
        gain = as_number(self.gain)
        if not (math.isfinite(gain) and gain > 0):
            raise FaninError(
                f"gain of {self.called} is {quote(self.gain)}; it must be a finite number > 0."
            )
        object.__setattr__(self, "gain", gain)

    @abstractmethod
    def _make(self, request: Request, precision: str) -> Array:
        """What `_values` returns."""

    def tolerance(self, dtype: str) -> float:
        """How far a value may be from itself on another machine; 0 for the same bits."""
        single, double = self.differs
        if dtype == "float64":
            return self.gain * double
        return self.gain * (single + (ROUNDED.get(dtype, 0.0) if single else 0.0))

    def _values(self, request: Request, precision: str) -> Array:
        if self.gain > float(np.finfo(precision).max):
            raise FaninError(f"{self!r} reaches {self.gain:.3g}, beyond the range of {precision}.")
        return self._make(request, precision)

    def _check(self, shape: tuple[int, ...], axes: Axes) -> None:
        check_maps(self.called, shape, axes)

    def __repr__(self) -> str:
        return expression(self.called, self.gain)
