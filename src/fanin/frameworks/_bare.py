"""Bare parameters: roles of what modules of unknown classes hold, by shape and neighbours."""

import math
from collections.abc import Mapping

from fanin.axes import Axes
from fanin.param import Kind
from fanin.recipes import is_short

ArrayShape = tuple[int, ...]


def bare_role(
    attribute: str,
    shape: ArrayShape,
    made: float | None,
    siblings: Mapping[str, ArrayShape],
    leaf: bool,
    layout: Axes | None,
) -> tuple[Kind, Axes]:
    """The kind and the axes of a parameter; "other" where its shape leaves it open.

    `siblings` are the shapes of all parameters of its module by attribute, itself among them;
    `leaf` says that the module has no modules in it. One that has one vector `weight`, or that
    and a `bias` of its shape, is a normalization or a layer scale. A `bias` beside a tensor of
    two axes or more is a bias. Other vectors are scales where every element was made the same,
    and shifts where that is zero. With a leading axis of size one, (1, T, C) or (1, C), a
    parameter is a table of positions or a token. A `weight` of two axes or more in a leaf has
    the library's `layout`, where it has one.
    """
    none = Axes(("stack",) * len(shape))
    if long_axes(shape) == 0:
        return "scale", none
    if long_axes(shape) > 1:
        if leaf and attribute == "weight" and layout is not None:
            return "weight", layout
        return ("table" if shape[0] == 1 else "other"), none
    if attribute == "bias" and any(long_axes(item) > 1 for item in siblings.values()):
        return "bias", none
    if leaf and siblings.keys() <= {"weight", "bias"} and set(siblings.values()) == {shape}:
        return ("scale" if attribute == "weight" else "shift"), none
    if made:
        return "scale", none
    if len(shape) > 1 and shape[0] == 1 and shape[-1] > 1:
        return "table", none
    return ("other" if made is None else "shift"), none


def is_drawn_bias(shape: ArrayShape, made: float | None, fan_in: int | None) -> bool:
    """Whether the one number of a bias can be a draw: of one, nothing shows a constant.

    torch and Equinox draw from +-1 / sqrt(fan_in). What lies outside was set, or drawn otherwise.
    """
    if made is None or math.prod(shape) != 1 or fan_in is None:
        return False
    return not is_short(made) and abs(made) * math.sqrt(fan_in) <= 1


def long_axes(shape: ArrayShape) -> int:
    """How many axes have more than one position."""
    return sum(size != 1 for size in shape)
