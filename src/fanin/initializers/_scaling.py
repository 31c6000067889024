"""The scaling family: variance = scale / fan.

`variance_scaling` is the formula; the named initializers of `_presets` are rows of it.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

from fanin import streams
from fanin._arguments import check_choice
from fanin._fans import Fans, fans
from fanin.axes import Axes
from fanin.errors import FaninError, as_number, quote
from fanin.initializers._base import Elementwise, expression
from fanin.initializers._entry import Entry
from fanin.initializers._parts import WeightPart, parts
from fanin.streams import Distribution

Mode = Literal["fan_in", "fan_out", "fan_avg", "fan_geo"]
Shaped = Literal["normal", "uniform", "truncated_normal"]
ScalingConvention = Literal["fanin", "torch", "jax", "keras"]
Bounds = tuple[float, float]

TWO_SIGMA: Bounds = (-2.0, 2.0)


@dataclass(frozen=True, slots=True, repr=False)
class VarianceScaling(Elementwise):
    """Zero-mean values of variance scale / fan**power; see `variance_scaling`."""

    scale: float
    mode: Mode
    shaped: Shaped
    bounds: Bounds = TWO_SIGMA
    convention: ScalingConvention = "fanin"
    power: int = 1

    def __post_init__(self) -> None:
        scale = as_number(self.scale)
        if not (math.isfinite(scale) and scale > 0):
            raise FaninError(
                f"scale of variance_scaling is {quote(self.scale)}; it must be a finite number > 0."
            )
        object.__setattr__(self, "scale", scale)
        for what, value, allowed in (
            ("mode", self.mode, get_args(Mode)),
            ("distribution", self.shaped, get_args(Shaped)),
            ("convention", self.convention, get_args(ScalingConvention)),
            ("power", self.power, (1, 2)),
        ):
            check_choice(f"{what} of variance_scaling", value, allowed)
        object.__setattr__(self, "bounds", self._check_bounds())

    def _check_bounds(self) -> Bounds:
        if not isinstance(self.bounds, tuple | list) or len(self.bounds) != 2:
            raise FaninError(
                f"bounds of variance_scaling is {quote(self.bounds)}; give (lower, upper) in units "
                "of the std before truncation."
            )
        cut = streams.TruncatedNormal(0.0, 1.0, *self.bounds)
        bounds = cut.lower, cut.upper
        if self.shaped != "truncated_normal" and bounds != TWO_SIGMA:
            raise FaninError(
                f"bounds of variance_scaling is {bounds}, and the distribution {self.shaped!r} has "
                "none. Use 'truncated_normal', or leave bounds out."
            )
        return bounds

    def _target(self, shape: tuple[int, ...], axes: Axes) -> float:
        """The standard deviation of the values."""
        fan = _fan(fans(shape, axes, convention=self.convention), self.mode)
        return math.sqrt(self.scale / fan**self.power)

    def _distribution(self, shape: tuple[int, ...], axes: Axes) -> Distribution:
        return _make_distribution(self.shaped, self._target(shape, axes), self.bounds)

    def _complex(self, shape: tuple[int, ...], axes: Axes) -> Distribution:
        std = self._target(shape, axes)
        if self.shaped == "normal":
            return streams.ComplexNormal(std)
        if self.shaped == "uniform":
            return streams.ComplexUniform(std)
        lower, upper = self.bounds
        if lower != -upper:
            raise self._no_complex(", because its bounds are not symmetric")
        cut = streams.ComplexTruncatedNormal(1.0, upper)
        return streams.ComplexTruncatedNormal(std / cut.std_of_values(), upper)

    def _choose_draws(
        self, shape: tuple[int, ...], axes: Axes, in_complex: bool = False
    ) -> list[tuple[WeightPart | None, Distribution]]:
        split = parts(shape, axes)
        if self.convention == "fanin" or split is None:
            return super(VarianceScaling, self)._choose_draws(shape, axes, in_complex)
        # Another library knows no parts: one distribution, from the shape of the whole.
        whole = (self._complex if in_complex else self._distribution)(shape, axes)
        return [(part, whole) for part in split]

    def __repr__(self) -> str:
        if self in NAMED:
            return expression(NAMED[self])
        keywords: dict[str, Any] = {
            name: value
            for name, value, usual in (
                ("bounds", self.bounds, TWO_SIGMA),
                ("convention", self.convention, "fanin"),
                ("power", self.power, 1),
            )
            if value != usual
        }
        return expression("variance_scaling", self.scale, self.mode, self.shaped, **keywords)


# Those that print by a name of their own.
NAMED: dict[VarianceScaling, str] = {}


@lru_cache(maxsize=1024)  # models have many weights of one shape
def _make_distribution(shaped: Shaped, std: float, bounds: Bounds) -> Distribution:
    """Of mean 0 and this std, after a cut."""
    if shaped == "normal":
        return streams.Normal(0.0, std)
    if shaped == "uniform":
        limit = math.sqrt(3.0) * std
        return streams.Uniform(-limit, limit)
    # Widened and shifted: the std *after* the cut is the one asked for, and the mean is 0.
    cut = streams.TruncatedNormal(0.0, 1.0, *bounds)
    wide = std / cut.std_of_values()
    return streams.TruncatedNormal(0.0 - wide * cut.mean_of_values(), wide, *bounds)


def _fan(both: Fans, mode: Mode) -> float:
    fan = {
        "fan_in": both.fan_in,
        "fan_out": both.fan_out,
        "fan_avg": sum(both) / 2,
        "fan_geo": math.sqrt(both.fan_in * both.fan_out),
    }[mode]
    return max(fan, 1)  # an empty tensor has no values to scale


def variance_scaling(
    scale: float = 1.0,
    mode: Mode = "fan_in",
    distribution: Shaped = "truncated_normal",
    bounds: Bounds = TWO_SIGMA,
    convention: ScalingConvention = "fanin",
    power: int = 1,
) -> VarianceScaling:
    """Zero-mean values of variance `scale / fan`: every rule of the kind k / n.

    Formula: Var w = scale / fan**power, fan by `mode`: fan_in, fan_out, fan_avg (their mean) or
    fan_geo (their geometric mean).
    Reads: the `in`, `out` and `kernel` axes, groups, blocks and stride, as `fans` does.
    Preserves: fan_in the variance of the forward signal, fan_out that of the backward signal;
    fan_avg and fan_geo compromise.
    Units: `scale` sets the variance *after* truncation. `bounds` cut the normal in units of its
    std before truncation; it is widened, and shifted where they are not symmetric, so that the
    mean is 0 and the variance the one asked for. Complex values have E|z|**2 = scale / fan:
    uniform is a disc, truncated_normal cuts the modulus at the (symmetric) bound.
    Source: He et al. 2015, eq. 10 and 14; Glorot & Bengio 2010, eq. 12.
    Differs: torch, JAX and Keras count the fans of grouped, transposed, strided and packed
    weights otherwise; `convention` counts as they do. JAX's complex truncated normals have 0.93 %
    too large a std, for want of the exact constant.

    >>> variance_scaling(2.0, "fan_out", "normal").std((256, 128))
    0.08838834764831845
    >>> variance_scaling(bounds=(-1.0, 3.0)).std((256, 100))
    0.1
    """
    return VarianceScaling(scale, mode, distribution, bounds, convention, power)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "variance_scaling",
        variance_scaling,
        "in, out, kernel",
        "forward or backward variance, by mode",
        "He et al. 2015, eq. 10 and 14; Glorot & Bengio 2010, eq. 12",
        "variance_scaling(1.5, 'fan_geo', 'truncated_normal', bounds=(-1.0, 3.0))",
        formula="variance scale / fan**power",
    ),
)
