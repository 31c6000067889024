"""Fans: how many inputs feed one output of a weight, and how many outputs one input feeds."""

import math
from collections.abc import Sequence
from typing import NamedTuple, SupportsIndex

from fanin.axes import Axes, parse_axes
from fanin.errors import FaninError
from fanin.streams import check_shape


class Fans(NamedTuple):
    """fan_in: inputs summed into one output; fan_out: outputs that one input reaches."""

    fan_in: int
    fan_out: int


def fans(
    shape: SupportsIndex | Sequence[SupportsIndex],
    axes: str | Axes | None = None,
    groups: int = 1,
) -> Fans:
    """The fans of a weight from its global shape and the roles of its axes.

    fan_in = product of the `in` and `kernel` axes, fan_out = product of the `out` and
    `kernel` axes divided by `groups`; `stack` axes hold copies and count in neither. An
    embedding table is "stack out": a lookup sums nothing, its fan_in is 1.

    Args: `shape`, the whole weight's and never a shard's; `axes`, roles in stored order
    ("out in kh kw", "hwio", ...), None for torch's layout; `groups` of a grouped convolution,
    whose stored `in` axis holds one group's channels.

    Differs from torch, JAX and Keras: they do not divide fan_out by the groups.

    >>> fans((64, 3, 7, 7))
    Fans(fan_in=147, fan_out=3136)
    >>> fans((7, 7, 3, 64), "hwio")
    Fans(fan_in=147, fan_out=3136)
    >>> fans((64, 1, 3, 3), groups=64)
    Fans(fan_in=9, fan_out=9)
    """
    sizes = check_shape(shape)
    roles = parse_axes(axes, sizes).roles
    if "in" not in roles and "out" not in roles:
        raise FaninError(
            f"shape {sizes} has no fan-in: none of its axes is named `in` or `out`. "
            "Use constant(...) or normal(...), or name its axes."
        )
    kernel = _product(sizes, roles, "kernel")
    outputs = _product(sizes, roles, "out")
    if not isinstance(groups, int) or groups < 1 or outputs % groups:
        raise FaninError(f"groups is {groups!r}; it must divide the {outputs} outputs of {sizes}.")
    return Fans(_product(sizes, roles, "in") * kernel, outputs // groups * kernel)


def _product(sizes: tuple[int, ...], roles: tuple[str, ...], role: str) -> int:
    return math.prod(size for size, own in zip(sizes, roles, strict=True) if own == role)
