"""Fans: how many inputs feed one output of a weight, and how many outputs one input feeds."""

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple, SupportsIndex, get_args

from fanin._arguments import check_choice, check_flag, check_shape
from fanin.axes import Axes, equal_blocks, parse_axes
from fanin.errors import FaninError, quote

FanConvention = Literal["fanin", "torch", "jax", "keras", "article"]


class Fans(NamedTuple):
    """fan_in: inputs summed into one output; fan_out: outputs that one input reaches.

    Means over positions where a stride makes positions differ: then a fan may be fractional.
    """

    fan_in: float
    fan_out: float


def fans(
    shape: SupportsIndex | Sequence[SupportsIndex],
    axes: str | Axes | None = None,
    groups: int = 1,
    *,
    transposed: bool = False,
    stride: int | tuple[int, ...] = 1,
    blocks: int = 1,
    convention: FanConvention = "fanin",
    spatial_out: Sequence[int] | None = None,
) -> Fans:
    """The fans of a weight from its global shape and the roles of its axes.

    fan_in counts the products that one output sums, fan_out the outputs that one input
    reaches, as the operation computes them: of one group, one packed block, one head-split
    matrix, one expert. `stack` axes hold copies and count in neither. An embedding table is
    "stack out": a lookup sums nothing, its fan_in is 1.

    Args:
        shape: the whole weight's, never a shard's.
        axes: roles in stored order ("out in kh kw", "hwio", "expert in out", "in head dim", ...)
            or an Axes, which then says the next four itself; None for torch's layout.
        groups: of a grouped convolution, whose stored `in` axis holds one group's channels
            (the stored `out` axis where it is transposed).
        transposed: the operation is a transposed convolution; torch stores "in out kh kw".
        stride: of the convolution. It divides fan_out, and fan_in of a transposed one: one
            output of a transposed convolution sums kernel / stride positions.
        blocks: how many matrices of one size are packed along the first `out` axis.
        convention: "torch", "jax", "keras" give what those libraries compute from the stored
            shape alone, "article" what the article "Value of Random Numbers in ML" (Enrichment
            Cap, 9 May 2023) does for a convolution: fan_in = elements of the kernel tensor,
            fan_out = elements of the output map, `spatial_out` positions times the channels;
            dense layers are plain.
        spatial_out: height and width of the output map, for the article's convolutions alone.

    Returns Fans(fan_in, fan_out). Raises FaninError where no axis is `in` or `out`, where an axis
    is unknown, and where groups or blocks do not fit. docs/fans.md shows each difference between
    the conventions.

    >>> fans((64, 3, 7, 7))
    Fans(fan_in=147, fan_out=3136)
    >>> fans((7, 7, 3, 64), "hwio")
    Fans(fan_in=147, fan_out=3136)
    >>> fans((64, 1, 3, 3), groups=64)
    Fans(fan_in=9, fan_out=9)
    >>> fans((64, 32, 4, 4), "in out kh kw", transposed=True, stride=2)
    Fans(fan_in=256, fan_out=512)
    >>> fans((1536, 512), blocks=3)
    Fans(fan_in=512, fan_out=512)
    """
    sizes = check_shape(shape)
    check_choice("convention", convention, get_args(FanConvention))
    check_flag("transposed", transposed)
    if not isinstance(axes, Axes):
        axes = Axes(parse_axes(axes, sizes).roles, groups, transposed, stride)
        axes = equal_blocks(blocks, axes, sizes)
    elif transposed or any(type(value) is not int or value != 1 for value in (stride, blocks)):
        raise FaninError("axes is an Axes, which says transposed, stride and blocks itself.")
    axes = parse_axes(axes, sizes, groups)
    if convention == "article":
        return _article(sizes, axes, spatial_out)
    if spatial_out is not None:
        raise FaninError(
            f"spatial_out is read by convention 'article'; this is {quote(convention)}."
        )
    return _of_operation(sizes, axes) if convention == "fanin" else _of_shape(sizes, convention)


@lru_cache(1 << 12)  # a model has few shapes, and many parameters of each
def _of_operation(sizes: tuple[int, ...], axes: Axes) -> Fans:
    if "in" not in axes.roles and "out" not in axes.roles:
        raise FaninError(
            f"shape {sizes} has no fan-in: none of its axes is named `in` or `out`. "
            "Use constant(...) or normal(...), or name its axes."
        )
    if len(set(axes.blocks)) > 1:
        raise FaninError(
            f"shape {sizes} packs blocks of sizes {axes.blocks}, which have fans of their own; "
            "give the shape of one."
        )
    inputs, outputs = axes.size("in", sizes), axes.size("out", sizes)
    kernel = axes.size("kernel", sizes)
    outputs //= max(len(axes.blocks), 1)
    if axes.transposed:
        inputs //= axes.groups
        return Fans(_exact(inputs * kernel, axes.steps()), outputs * kernel)
    outputs //= axes.groups
    return Fans(inputs * kernel, _exact(outputs * kernel, axes.steps()))


def _exact(count: int, steps: int) -> float:
    ratio = Fraction(count, steps)
    return ratio.numerator if ratio.denominator == 1 else float(ratio)


def _of_shape(sizes: tuple[int, ...], convention: FanConvention) -> Fans:
    """What torch.nn.init, jax.nn.initializers and keras.initializers compute."""
    if convention == "keras" and len(sizes) < 2:
        fan = sizes[0] if sizes else 1
        return Fans(fan, fan)
    if len(sizes) < 2:
        raise FaninError(f"shape {sizes} has no fan-in under {convention}'s rule: give two axes.")
    if convention == "torch":
        kernel = math.prod(sizes[2:])
        return Fans(sizes[1] * kernel, sizes[0] * kernel)
    kernel = math.prod(sizes[:-2])
    return Fans(sizes[-2] * kernel, sizes[-1] * kernel)


def _article(sizes: tuple[int, ...], axes: Axes, spatial_out: Sequence[int] | None) -> Fans:
    if "kernel" not in axes.roles:
        return _of_operation(sizes, axes)
    if spatial_out is None:
        raise FaninError(
            f"shape {sizes} is a convolution's: convention 'article' needs spatial_out=, the "
            "height and width of its output map."
        )
    return Fans(math.prod(sizes), math.prod(check_shape(spatial_out)) * axes.size("out", sizes))
