"""Param: what fanin knows of one parameter of a model."""

from dataclasses import dataclass
from typing import Literal

from fanin.axes import Axes

Kind = Literal["weight", "bias", "scale", "shift", "other"]


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter, as an adapter describes it; rules decide on nothing else.

    `kind`: weight (of a linear map, a convolution or a table), bias, the scale and shift of a
    normalization, or other, which no rule covers. `owner` is the class of its module.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    kind: Kind
    owner: str
    axes: Axes
    groups: int = 1
