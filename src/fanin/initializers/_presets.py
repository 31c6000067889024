"""Presets: the named rows of the scaling family."""

import math
from typing import Any, NamedTuple, get_args

from fanin import gains
from fanin._arguments import check_choice
from fanin.errors import FaninError, as_number, quote
from fanin.initializers._entry import Entry
from fanin.initializers._scaling import (
    NAMED,
    TWO_SIGMA,
    Mode,
    ScalingConvention,
    Shaped,
    VarianceScaling,
)


class Preset(NamedTuple):
    """A named row of the scaling family; calling it makes the initializer.

    Called with arguments it makes a neighbour of the row: another `mode`, or another `gain`, so
    that the variance is gain**2 / fan. `nonlinearity` computes the gain of an activation, by name
    ("gelu") or any function that `fanin.gains.gain` takes; `negative_slope` is leaky_relu's.
    """

    name: str
    scale: float
    mode: Mode
    distribution: Shaped
    source: str
    convention: ScalingConvention = "fanin"
    power: int = 1
    preserves: str = ""  # where it is not what the mode preserves

    def __call__(
        self,
        mode: Mode | None = None,
        nonlinearity: Any = None,
        negative_slope: float | None = None,
        gain: float | None = None,
    ) -> VarianceScaling:
        mode = self.mode if mode is None else mode
        check_choice("mode of variance_scaling", mode, get_args(Mode))
        scale = self.scale
        if gain is not None:
            if nonlinearity is not None or negative_slope is not None:
                raise FaninError(f"{self.name} has both gain and nonlinearity; say one of them.")
            scale = _square(as_number(gain), gain)
        elif nonlinearity is not None or negative_slope is not None:
            scale = _scale_for(nonlinearity, negative_slope, mode)
        return VarianceScaling(
            scale, mode, self.distribution, TWO_SIGMA, self.convention, self.power
        )

    def formula(self) -> str:
        """What the values are, in one line."""
        fan = f"{self.mode}{f'**{self.power}' if self.power > 1 else ''}"
        return f"{self.distribution}, variance {self.scale:.4g} / {fan}"

    def entry(self) -> Entry:
        """The row as an entry of the catalogue."""
        counted = "" if self.convention == "fanin" else f", counted as {self.convention} does"
        read = {"fan_in": "in, kernel", "fan_out": "out, kernel"}
        return Entry(
            self.name,
            self.__call__,
            read.get(self.mode, "in, out, kernel") + counted,
            self.preserves or _PRESERVES[self.mode],
            self.source,
            f"{self.name}()",
            formula=self.formula(),
        )


def _square(gain: float, given: object) -> float:
    if not (math.isfinite(gain) and gain > 0):
        raise FaninError(f"gain is {quote(given)}; it must be a finite number > 0.")
    return gain * gain


def _scale_for(nonlinearity: Any, negative_slope: float | None, mode: Mode) -> float:
    if negative_slope is not None:
        leaky = isinstance(nonlinearity, str) and nonlinearity == "leaky_relu"
        if nonlinearity is not None and not leaky:
            raise FaninError(
                f"negative_slope is {quote(negative_slope)} for {quote(nonlinearity)}; only "
                "leaky_relu has one. Leave it out."
            )
        nonlinearity = f"leaky_relu({negative_slope!r})"
    found = gains.gain(nonlinearity, "backward" if mode == "fan_out" else "forward")
    # Twelve digits, more than the gain has: the same on every machine, and 2 for a rectifier.
    return float(f"{found * found:.12g}")


_PRESERVES = {
    "fan_in": "forward variance",
    "fan_out": "backward variance",
    "fan_avg": "a compromise of forward and backward variance",
    "fan_geo": "a compromise of forward and backward variance",
}
_GLOROT = "Glorot & Bengio 2010, eq. 12 and 16; scale 1 for linear and tanh units"
_HE = "He et al. 2015, eq. 10; scale 2 for rectifiers"
_LECUN = "LeCun et al. 1998, section 4.6; scale 1"
_SIREN = "Sitzmann et al. 2020, section 3.2: U(-1/n, 1/n) for the first layer"
_SCRATCH = (
    "D. Djuric, Deep Learning from Scratch to GPU, part 13: N(0, 1) times 1 / ncols; its biases "
    "are normal()"
)

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
        Preset(
            "xavier_fan_in",
            1.0,
            "fan_in",
            "normal",
            "articles' 'Xavier', std = sqrt(1 / n_in); the same as lecun_normal",
        ),
        Preset(
            "scratch_normal",
            1.0,
            "fan_in",
            "normal",
            _SCRATCH,
            power=2,
            preserves="nothing: outputs shrink with the width",
        ),
        Preset(
            "siren_first",
            1 / 3,
            "fan_in",
            "uniform",
            _SIREN,
            power=2,
            preserves="nothing; times omega, inputs in (-1, 1) span periods of the sine",
        ),
        Preset(
            "torch_default",
            1 / 3,
            "fan_in",
            "uniform",
            "torch.nn.Linear and Conv: kaiming_uniform_(a=sqrt(5)), U(+-1 / sqrt(fan_in))",
            "torch",
            preserves="nothing: a third of the forward variance",
        ),
        Preset(
            "keras_default",
            1.0,
            "fan_avg",
            "uniform",
            "keras.layers.Dense and Conv: GlorotUniform",
            "keras",
        ),
        Preset(
            "flax_default",
            1.0,
            "fan_in",
            "truncated_normal",
            "flax.linen.Dense and Conv: lecun_normal",
            "jax",
        ),
    )
}

for _name, _row in PRESETS.items():
    NAMED.setdefault(_row(), _name)  # of two names for one, the first

ENTRIES: tuple[Entry, ...] = tuple(row.entry() for row in PRESETS.values())
