"""The normal distribution function on the host, the same double on every machine.

libm's erf differs between platforms in the last bits, and those bits would reach the drawn
values. decimal is exact arithmetic in software, so it does not.
"""

import math
from decimal import Context, Decimal, localcontext
from functools import lru_cache
from typing import NamedTuple

# Phi(-12.5) is 4e-36 and comes out of a difference with 1/2; 100 digits leave 60.
_DIGITS = Context(prec=100)
_SURE = 40.0  # beyond it Phi is 0 or 1 to 300 digits


def _density(x: Decimal) -> Decimal:
    two_pi = 2 * Decimal(
        "3.141592653589793238462643383279502884197169399375105820974944592307816406286208998628034825342117068"
    )
    return (-x * x / 2).exp() / two_pi.sqrt()


def _phi(x: float) -> Decimal:
    """Phi(x) = 1/2 + density(x) * (x + x**3/3 + x**5/15 + ...), in the current context."""
    if abs(x) > _SURE:
        return Decimal(int(x > 0))
    value = Decimal(x)
    term = total = value
    k = 1
    while term and abs(term) > abs(total) * Decimal("1e-99"):
        k += 2
        term *= value * value / k
        total += term
    return Decimal("0.5") + _density(value) * total


class DecimalInterval(NamedTuple):
    """A normal distribution cut to (lower, upper), all in doubles rounded once.

    below = Phi(lower); above = Phi(-upper); width = Phi(upper) - Phi(lower);
    shift = (Phi(lower) - Phi(-upper)) / 2, zero for symmetric bounds;
    std = standard deviation of the cut distribution when it was 1 before.
    """

    below: float
    above: float
    width: float
    shift: float
    std: float


@lru_cache(maxsize=1024)
def interval(lower: float, upper: float) -> DecimalInterval:
    """The DecimalInterval of bounds in standard deviations, lower < upper, infinities allowed."""
    with localcontext(_DIGITS):
        below, above = _phi(lower), _phi(-upper)
        gap = Decimal(upper) - Decimal(lower)
        if gap < Decimal("1e-30"):  # the density is flat to 28 digits, the differences have none
            return DecimalInterval(
                float(below),
                float(above),
                float(gap * _density(Decimal(lower))),
                float((below - above) / 2),
                float(gap / Decimal(12).sqrt()),
            )
        # On the side where both probabilities are small, their difference keeps its digits.
        width = _phi(-lower) - above if lower > 0 else _phi(upper) - below
        at_lower, at_upper = (
            _density(Decimal(x)) if abs(x) <= _SURE else Decimal(0) for x in (lower, upper)
        )
        edge = sum(
            (Decimal(x) * density * sign if math.isfinite(x) else Decimal(0))
            for x, density, sign in ((lower, at_lower, 1), (upper, at_upper, -1))
        )
        mean = (at_lower - at_upper) / width
        variance = 1 + edge / width - mean * mean
        return DecimalInterval(
            float(below),
            float(above),
            float(width),
            float((below - above) / 2),
            float(max(variance, Decimal(0)).sqrt()),
        )


@lru_cache(maxsize=1024)
def mean_of_cut(lower: float, upper: float) -> float:
    """The mean of a standard normal cut to (lower, upper), as a double rounded once."""
    with localcontext(_DIGITS):
        if Decimal(upper) - Decimal(lower) < Decimal("1e-30"):
            return lower / 2 + upper / 2
        at_lower, at_upper = (
            _density(Decimal(x)) if abs(x) <= _SURE else Decimal(0) for x in (lower, upper)
        )
        width = _phi(-lower) - _phi(-upper) if lower > 0 else _phi(upper) - _phi(lower)
        return float((at_lower - at_upper) / width)
