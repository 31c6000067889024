"""Complex distributions around zero: variance means E|z|**2, and the phase is uniform.

The modulus of a value comes from the parameter's own words, its phase from the child `phase`;
a normal value takes its real part from its own words, its imaginary part from the child `imag`.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np

from fanin.errors import FaninError
from fanin.streams._address import stream_number
from fanin.streams._backends import current_fill
from fanin.streams._distributions import Normal, check_not_negative, to_floats
from fanin.streams._elementary import Float64, cos_sin, log
from fanin.streams._inversion import Draws, HostDrawn, StreamPlace, tiles
from fanin.streams._output import COMPLEX, Array, precision_of

_LEAST_BOUND = 1e-3
# No |z| is larger: sqrt(33 ln 2) and sqrt(65 ln 2).
_LARGEST_MODULUS = {"float32": 4.8, "float64": 6.8}


class Complex(HostDrawn):
    """What the complex distributions share: they lie around zero."""

    __slots__ = ()
    dtypes = COMPLEX

    def mean_of_values(self) -> float:
        return 0.0


@dataclass(frozen=True, slots=True)
class ComplexNormal(Complex):
    """Independent normal parts of variance std**2 / 2 each."""

    kind: ClassVar[str] = "complex_normal"
    std: float

    def __post_init__(self) -> None:
        to_floats(self)
        check_not_negative(self, "std")

    def constants(self, precision: str) -> tuple[float, ...]:
        return self._part().constants(precision)

    def reach(self, precision: str) -> float:
        return self._part().reach(precision)

    def std_of_values(self) -> float:
        return self.std

    def _part(self) -> Normal:
        return Normal(0.0, self.std * math.sqrt(0.5))

    def fill(self, out: Array, encoding: str, place: StreamPlace) -> None:
        precision = precision_of(encoding)
        real = stream_number(place.name), stream_number(place.name, "low")
        imag = stream_number(place.name, "imag"), stream_number(place.name, "imag:low")
        part = self._part()
        for numbers, target in ((real, out.real), (imag, out.imag)):
            current_fill()(
                target,
                precision,
                place.base,
                place.steps,
                place.seed,
                numbers,
                part.kind,
                part.constants(precision),
                1,
            )


class Round(Complex):
    """A modulus by inversion, and a uniform phase."""

    __slots__ = ()

    @abstractmethod
    def modulus(self, draws: Draws) -> Float64:
        """The modulus of each u, in float64."""

    def fill(self, out: Array, encoding: str, place: StreamPlace) -> None:
        double = encoding == "complex128"
        number, phase = stream_number(place.name), stream_number(place.name, "phase")
        low = stream_number(place.name, "low") if double else None
        phase_low = stream_number(place.name, "phase:low") if double else None
        for index, tile in tiles(out.shape, place):
            modulus = self.modulus(tile.draws(number, low))
            cos, sin = cos_sin(tile.draws(phase, phase_low).u())
            out.real[index] = modulus * cos + 0.0  # no -0.0
            out.imag[index] = modulus * sin + 0.0


@dataclass(frozen=True, slots=True)
class ComplexUniform(Round):
    """Uniform on the disc of radius sqrt(2) * std: E|z|**2 = radius**2 / 2."""

    kind: ClassVar[str] = "complex_uniform"
    std: float

    def __post_init__(self) -> None:
        to_floats(self)
        check_not_negative(self, "std")

    def constants(self, precision: str) -> tuple[float, ...]:
        return (self.std,)

    def reach(self, precision: str) -> float:
        return math.sqrt(2.0) * self.std

    def std_of_values(self) -> float:
        return self.std

    def modulus(self, draws: Draws) -> Float64:
        radius: Float64 = math.sqrt(2.0) * self.std * np.sqrt(draws.u())
        return radius


@dataclass(frozen=True, slots=True)
class ComplexTruncatedNormal(Round):
    """The complex normal of this std *before* truncation, its modulus cut at bound * std."""

    kind: ClassVar[str] = "complex_truncated_normal"
    std: float
    bound: float

    def __post_init__(self) -> None:
        to_floats(self)
        check_not_negative(self, "std")
        if self.bound < _LEAST_BOUND:
            raise FaninError(
                f"bound of {self.kind} is {self.bound} (in units of std); it must be "
                f">= {_LEAST_BOUND}."
            )

    def constants(self, precision: str) -> tuple[float, ...]:
        return (self.std, self.bound)

    def reach(self, precision: str) -> float:
        return min(self.bound, _LARGEST_MODULUS[precision]) * self.std

    def std_of_values(self) -> float:
        return self.std * cut_modulus(self.bound).std

    def modulus(self, draws: Draws) -> Float64:
        """(|z| / std)**2 is exponential: sqrt(-log(1 - u * inside))."""
        cut = cut_modulus(self.bound)
        excess = -draws.u() * cut.inside
        rest = np.where(draws.below(), 1.0 + excess, cut.beyond + cut.inside * draws.tail())
        radius: Float64 = self.std * np.sqrt(-log(rest, excess))
        return radius


class CutModulus(NamedTuple):
    """A complex normal of std 1 cut at a modulus, in doubles rounded once.

    inside = P(|z| < bound) = 1 - exp(-bound**2), beyond = 1 - inside, and the std after the cut:
    sqrt(1 - bound**2 * beyond / inside).
    """

    inside: float
    beyond: float
    std: float


@lru_cache(maxsize=1024)
def cut_modulus(bound: float) -> CutModulus:
    """The CutModulus of a bound >= 1e-3, infinity allowed."""
    if bound > 40.0:  # beyond is below 1e-694
        return CutModulus(1.0, 0.0, 1.0)
    with localcontext(prec=60):
        square = Decimal(bound) ** 2
        beyond = (-square).exp()
        inside = 1 - beyond
        return CutModulus(
            float(inside), float(beyond), float((1 - square * beyond / inside).sqrt())
        )
