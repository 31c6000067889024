"""Layouts of Flax's kernels, (..., in, out), from what their layers were made with."""

from typing import Any

from fanin.axes import Axes


def general(stacked: int, inputs: int, outputs: int) -> Axes:
    """So many axes of each role, in this order."""
    return Axes((*("stack",) * stacked, *("in",) * inputs, *("out",) * outputs))


def einsum_axes(equation: str) -> Axes:
    """Axes of the second operand of an equation: summed ones are `in`, new ones `out`."""
    operands, result = equation.replace(" ", "").replace("...", "").split("->")
    first, kernel = operands.split(",")

    def role(letter: str) -> str:
        if letter not in result:
            return "in"
        return "stack" if letter in first else "out"

    return Axes(tuple(map(role, kernel)))


def convolution(dimensions: int, strides: Any, groups: int) -> Axes:
    """The axes of a kernel (kernel ..., in / groups, out)."""
    kernel = ("kernel",) * (dimensions - 2)
    return Axes((*kernel, "in", "out"), groups, stride=_stride(strides, len(kernel)))


def transpose(dimensions: int, strides: Any, swapped: bool) -> Axes:
    """The axes of a transposed one's, (kernel ..., in, out), or its last two swapped."""
    kernel = ("kernel",) * (dimensions - 2)
    channels = ("out", "in") if swapped else ("in", "out")
    return Axes((*kernel, *channels), 1, True, _stride(strides, len(kernel)))


def _stride(strides: Any, dimensions: int) -> int | tuple[int, ...]:
    """Flax's strides, None, a number or one for each axis, as Axes has them."""
    if strides is None:
        return 1
    given = (strides,) * dimensions if isinstance(strides, int) else tuple(strides)
    return given[0] if len(set(given)) == 1 else given
