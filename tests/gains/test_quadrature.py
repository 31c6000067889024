import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanin.errors import FaninError
from fanin.gains._quadrature import Integrand, Panels, root_density, rule, settle, total
from fanin.streams import Array


def weighted(f: object) -> Integrand:
    return lambda z, _: f(z) * root_density(z) ** 2  # type: ignore[operator]


def expectation(f: object, *points: float) -> float:
    return total(settle(weighted(f), points, 1e-11, "f"), "f")


def tail(t: float) -> float:
    return math.erfc(t / math.sqrt(2)) / 2


@pytest.mark.parametrize(("power", "moment"), [(0, 1), (2, 1), (4, 3), (8, 105), (16, 2027025)])
def test_moments_of_a_normal(power: int, moment: int) -> None:
    assert expectation(lambda z: z**power) == pytest.approx(moment, rel=1e-13)


@given(st.floats(-5, 5))
def test_a_jump_anywhere_is_found(t: float) -> None:
    assert expectation(lambda z: z > t) == pytest.approx(tail(t), rel=1e-10)


@given(st.floats(-5, 5))
def test_a_kink_anywhere_is_found(t: float) -> None:
    density = math.exp(-t * t / 2) / math.sqrt(2 * math.pi)
    exact = (1 + t * t) * tail(t) - t * density
    assert expectation(lambda z: np.maximum(z - t, 0) ** 2) == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("t", [0.0, 1.0, 0.3, -2.7])
def test_a_jump_that_was_told_costs_no_halving(t: float) -> None:
    panels = settle(weighted(lambda z: z > t), [t], 1e-11, "f")
    assert panels.lower.size <= 41
    assert total(panels, "f") == pytest.approx(tail(t), rel=1e-13)


def test_a_fast_wave() -> None:
    assert expectation(lambda z: np.sin(3000 * z) ** 2) == pytest.approx(0.5, rel=1e-11)


def test_many_jumps() -> None:
    steps = np.arange(-100, 100) / 32
    # floor(32 z), of which the probability of each step is known.
    exact = sum(tail(t) for t in steps)
    found = expectation(lambda z: (z[..., None] > steps).sum(axis=-1))
    assert found == pytest.approx(exact, rel=1e-10)


def test_growth_up_to_the_tails_is_integrated() -> None:
    exact = math.exp(8**2 / 2)
    assert expectation(lambda z: np.exp(8 * z)) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda z: np.exp(0.5 * z * z), "f grows too fast: what lies beyond 20 standard dev"),
        (lambda z: 1 / z**2, r"the second moment of f does not settle: .* one with poles"),
        (lambda z: z.astype(np.float32) ** 2, "does not settle: .* in float64, not float32"),
        (lambda z: np.exp(60 * z), "the second moment of f overflows"),
    ],
)
def test_what_has_no_expectation_is_an_error_after_bounded_work(f: object, message: str) -> None:
    calls = 0

    def counted(z: Array) -> Array:
        nonlocal calls
        calls += z.size
        return f(z)  # type: ignore[operator, no-any-return]

    with pytest.raises(FaninError, match=message):
        expectation(counted)
    assert calls < 2**23


def test_panels_are_in_order_and_without_gaps() -> None:
    panels: Panels = settle(weighted(lambda z: z > 0.123), [], 1e-11, "f")
    assert (panels.lower[1:] == panels.upper[:-1]).all()
    assert (panels.lower < panels.upper).all()
    assert panels.lower[0] == -20
    assert panels.upper[-1] == 20


def test_the_rule_is_exact_for_polynomials() -> None:
    nodes, weights, last, slopes = rule()
    for power in range(29):
        values = nodes**power
        assert values @ weights == pytest.approx((1 + (-1) ** power) / 2 / (power + 1), abs=1e-14)
        assert np.abs(values @ last).max() < 1e-12
        assert values @ slopes == pytest.approx(power * nodes ** max(power - 1, 0), abs=1e-10)
