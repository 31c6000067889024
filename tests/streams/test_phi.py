"""The host's Phi: each number is the nearest double, or its neighbour, of mpmath's."""

import math

import mpmath
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from fanin.streams._phi import DecimalInterval, interval

INF = math.inf
bounds = st.one_of(st.floats(-12.5, 12.5), st.floats(-1e-3, 1e-3), st.sampled_from([0.0, 12.5]))


def truth(lower: float, upper: float) -> list[mpmath.mpf]:
    """The five numbers of a DecimalInterval, to more digits than their differences lose."""
    a, b = mpmath.mpf(lower), mpmath.mpf(upper)
    below, above = mpmath.ncdf(a), mpmath.ncdf(-b)
    width = mpmath.ncdf(-a) - above if a > 0 else mpmath.ncdf(b) - below
    at_a, at_b = mpmath.npdf(a), mpmath.npdf(b)
    edge = (a * at_a if math.isfinite(lower) else 0) - (b * at_b if math.isfinite(upper) else 0)
    mean = (at_a - at_b) / width
    std = mpmath.sqrt(1 + edge / width - mean**2)
    return [below, above, width, (below - above) / 2, std]


def units_off(found: float, exact: mpmath.mpf) -> float:
    return float(abs(mpmath.mpf(found) - exact) / mpmath.mpf(math.ulp(float(exact))))


def check(lower: float, upper: float) -> None:
    with mpmath.workdps(150):
        exact = truth(lower, upper)
        found = interval(lower, upper)
        for name, value, number in zip(DecimalInterval._fields, found, exact, strict=True):
            assert units_off(value, number) <= 1.0, (name, value)


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        (-2.0, 2.0),
        (10.0, 11.0),
        (0.5, 0.500001),
        (-INF, INF),
        (-INF, -12.5),
        (1.0, INF),
        (-INF, 0.0),
        (12.5, 12.500001),
        (-3.0, 0.5),
        (-1e-9, 1e-9),
        (1.0, math.nextafter(1.0, 2.0)),
    ],
)
def test_known_intervals(lower: float, upper: float) -> None:
    check(lower, upper)


@given(bounds, bounds)
@example(-12.5, 12.5)
@example(0.0, 5e-324)
@example(0.0, 6.6309689081468765e-155)
@example(1e-200, 2e-200)
def test_any_interval(lower: float, upper: float) -> None:
    assume(lower < upper)
    if upper - lower > 1e-16:
        check(lower, upper)
    else:  # flat: the density at the middle
        found = interval(lower, upper)
        with mpmath.workdps(30):
            gap = mpmath.mpf(upper) - mpmath.mpf(lower)
            width = mpmath.npdf(lower) * gap
            assert units_off(found.width, width) <= 1.0
            assert units_off(found.std, gap / mpmath.sqrt(12)) <= 1.0


def test_bounds_beyond_40_cut_nothing() -> None:
    assert interval(-1000.0, 1000.0) == interval(-INF, INF) == (0.0, 0.0, 1.0, 0.0, 1.0)


def test_symmetric_bounds_have_no_shift() -> None:
    assert interval(-2.0, 2.0).shift == 0.0


def test_the_std_of_two_sided_two_sigma() -> None:
    assert interval(-2.0, 2.0).std == pytest.approx(0.8796256610342398, abs=1e-16)
