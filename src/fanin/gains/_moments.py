"""Second moments of an activation and of its derivative, for a normal input."""

from typing import NamedTuple

import numpy as np

from fanin.errors import FaninError
from fanin.gains import _quadrature
from fanin.gains._activation import Activation
from fanin.gains._quadrature import Integrand, Panels, root_density, rule
from fanin.streams import Array

_TOLERANCE = 1e-11
# Where only values are known, slopes come from the interpolant of a panel; narrower ones than
# this hold a kink or a jump, where there is no slope.
_NARROW = 1e-8
_SLOPE_TOLERANCE = 1e-8


class NormalInput(NamedTuple):
    """The law of a pre-activation: mean and standard deviation (0 allowed)."""

    mean: float
    std: float

    def at(self, z: Array) -> Array:
        return self.mean + self.std * z

    def points(self, kinks: tuple[float, ...]) -> list[float]:
        """Where the kinks are, in units of z."""
        return [(kink - self.mean) / (self.std or 1.0) for kink in kinks]


def second_moment(f: Activation, law: NormalInput) -> float:
    """E f(x)**2 for x of this law, to a relative 1e-11 (estimated, on the safe side)."""
    return _quadrature.total(settle_values(f, law), f.name)


def settle_values(f: Activation, law: NormalInput) -> Panels:
    """The panels that E f(x)**2 needs: they close in on jumps that nobody told."""
    return _settle_values(f, law, lambda z, _: (f(law.at(z)) * root_density(z)) ** 2)


def second_moment_growth(f: Activation, law: NormalInput) -> float:
    """The derivative of E f(x)**2 by the variance, which must not be 0.

    Equals E f(x)**2 (z**2 - 1) / (2 variance), so that no derivative of f is needed.
    """
    tilted = _settle_values(
        f, law, lambda z, _: (z * z - 1) * (f(law.at(z)) * root_density(z)) ** 2
    )
    return _quadrature.total(tilted, f.name) / (2 * law.std**2)


def slope_moment(f: Activation, law: NormalInput) -> float:
    """E f'(x)**2, to a relative 1e-11; to 1e-7 where only the values of f are known.

    With std 0 it is the limit of small ones, as a kink at the mean has two slopes.
    """
    panels = settle_slopes(f, law)
    moment = _quadrature.total(panels, _slope_name(f))
    if f.derivative:
        return moment
    narrow = panels.upper - panels.lower < 100 * _NARROW
    if moment <= _noise(f, law):
        return 0.0
    if panels.integrals[narrow].sum() > 1e-5 * moment:
        raise FaninError(
            f"{_slope_name(f)} is so large near {law.at(panels.lower[narrow][0]):.6g} that its "
            "second moment is not finite."
        )
    return moment


def settle_slopes(f: Activation, law: NormalInput) -> Panels:
    """The panels that E f'(x)**2 needs: they close in on kinks that nobody told."""
    tolerance, floor = (_TOLERANCE, 0.0) if f.derivative else (_SLOPE_TOLERANCE, _noise(f, law))
    law = _with_room(f, law)
    points = law.points(f.kinks)
    return _quadrature.settle(_slope_integrand(f, law), points, tolerance, _slope_name(f), floor)


def _settle_values(f: Activation, law: NormalInput, integrand: Integrand) -> Panels:
    return _quadrature.settle(integrand, law.points(f.kinks), _TOLERANCE, f.name)


def _slope_integrand(f: Activation, law: NormalInput) -> Integrand:
    if f.derivative:
        return lambda z, _: (f.slope(law.at(z)) * root_density(z)) ** 2

    def integrand(z: Array, width: Array) -> Array:
        slopes = f(law.at(z)) @ rule().slopes * (2 / (width * law.std))
        return np.where(width > _NARROW, (slopes * root_density(z)) ** 2, 0.0)

    return integrand


def _with_room(f: Activation, law: NormalInput) -> NormalInput:
    """Instead of std 0 a small one; where slopes come from values, rounding asks for more."""
    return NormalInput(law.mean, law.std or (1e-9 if f.derivative else 1e-5))


def _noise(f: Activation, law: NormalInput) -> float:
    """What rounding of the values of f leaves in E f'(x)**2 where f' is zero."""
    law = _with_room(f, law)
    return 1e-16 * second_moment(f, law) / law.std**2


def _slope_name(f: Activation) -> str:
    return f"the derivative of {f.name}"
