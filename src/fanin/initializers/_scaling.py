"""The scaling family: variance = scale / fan.

`variance_scaling` is the formula; Glorot's, He's and LeCun's initializers are rows of it.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from fanin import streams
from fanin._fans import Fans, fans
from fanin.axes import Axes
from fanin.errors import FaninError, as_number
from fanin.initializers._base import Elementwise, expression
from fanin.streams import Distribution

Mode = Literal["fan_in", "fan_out", "fan_avg"]
Shaped = Literal["normal", "uniform", "truncated_normal"]


@dataclass(frozen=True, slots=True, repr=False)
class VarianceScaling(Elementwise):
    """Zero-mean values of variance scale / fan; see `variance_scaling`."""

    scale: float
    mode: Mode
    shaped: Shaped

    def __post_init__(self) -> None:
        scale = as_number(self.scale)
        if not (math.isfinite(scale) and scale > 0):
            raise FaninError(
                f"scale of variance_scaling is {self.scale!r}; it must be a finite number > 0."
            )
        object.__setattr__(self, "scale", scale)
        for what, value, allowed in (
            ("mode", self.mode, get_args(Mode)),
            ("distribution", self.shaped, get_args(Shaped)),
        ):
            if value not in allowed:
                raise FaninError(
                    f"{what} of variance_scaling is {value!r}; allowed are {', '.join(allowed)}."
                )

    def _distribution(self, shape: tuple[int, ...], axes: Axes) -> Distribution:
        std = math.sqrt(self.scale / _fan(fans(shape, axes), self.mode))
        if self.shaped == "normal":
            return streams.Normal(0.0, std)
        if self.shaped == "uniform":
            limit = math.sqrt(3.0) * std
            return streams.Uniform(-limit, limit)
        # Widened so that the std *after* the cut at two of them is the one asked for.
        return streams.TruncatedNormal(0.0, std / _CUT_STD, -2.0, 2.0)

    def __repr__(self) -> str:
        for name, row in PRESETS.items():
            if row() == self:
                return expression(name)
        return expression("variance_scaling", self.scale, self.mode, self.shaped)


_CUT_STD = streams.TruncatedNormal(0.0, 1.0, -2.0, 2.0).std_of_values()


def _fan(both: Fans, mode: Mode) -> float:
    fan = {"fan_in": both.fan_in, "fan_out": both.fan_out, "fan_avg": sum(both) / 2}[mode]
    return max(fan, 1)  # an empty tensor has no values to scale


def variance_scaling(
    scale: float = 1.0, mode: Mode = "fan_in", distribution: Shaped = "truncated_normal"
) -> VarianceScaling:
    """Zero-mean values of variance `scale / fan`.

    `mode` picks the fan: fan_in keeps the variance of the forward signal, fan_out that of the
    backward signal, fan_avg (their mean) compromises. Reads the `in`, `out` and `kernel`
    axes. `scale` sets the variance *after* truncation; truncated_normal is cut at two
    standard deviations of the normal before truncation.

    Source: He et al. 2015, eq. 10 and 14; Glorot & Bengio 2010, eq. 12. Differs from torch,
    JAX and Keras in the fan_out of grouped convolutions, which they do not divide by the
    groups.

    >>> variance_scaling(2.0, "fan_out", "normal").std((256, 128))
    0.08838834764831845
    """
    return VarianceScaling(scale, mode, distribution)


class Preset(NamedTuple):
    """A named row of the scaling family; calling it makes the initializer."""

    name: str
    scale: float
    mode: Mode
    distribution: Shaped
    source: str

    def __call__(self, mode: Mode | None = None) -> VarianceScaling:
        return VarianceScaling(self.scale, self.mode if mode is None else mode, self.distribution)


_GLOROT = "Glorot & Bengio 2010, eq. 12 and 16; scale 1 for linear and tanh units"
_HE = "He et al. 2015, eq. 10; scale 2 for rectifiers"
_LECUN = "LeCun et al. 1998, section 4.6; scale 1"

PRESETS = {
    row.name: row
    for row in (
        Preset("glorot_uniform", 1.0, "fan_avg", "uniform", _GLOROT),
        Preset("glorot_normal", 1.0, "fan_avg", "normal", _GLOROT),
        Preset("glorot_truncated_normal", 1.0, "fan_avg", "truncated_normal", _GLOROT),
        Preset("he_uniform", 2.0, "fan_in", "uniform", _HE),
        Preset("he_normal", 2.0, "fan_in", "normal", _HE),
        Preset("he_truncated_normal", 2.0, "fan_in", "truncated_normal", _HE),
        Preset("lecun_uniform", 1.0, "fan_in", "uniform", _LECUN),
        Preset("lecun_normal", 1.0, "fan_in", "normal", _LECUN),
        Preset("lecun_truncated_normal", 1.0, "fan_in", "truncated_normal", _LECUN),
    )
}
