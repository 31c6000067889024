"""Steady starts: both slopes are those that are asked for, and variances are fixed points."""

import pytest

from fanin import FaninError
from fanin.gains import depth_theory, steady_start


@pytest.mark.parametrize("activation", ["gelu", "silu", "mish", "hard_swish"])
def test_a_start_rests_at_its_variance(activation: str) -> None:
    start = steady_start(activation)
    theory = depth_theory(activation, start.weight_variance, start.bias_variance)
    assert theory.variance == "settles"
    assert theory.q_star == pytest.approx(start.variance, rel=1e-6)
    assert theory.chi1 == pytest.approx(0.99)
    assert theory.chi_q == pytest.approx(0.98)


def test_what_is_steady_at_variance_1_stays_there() -> None:
    start = steady_start("tanh")
    theory = depth_theory("tanh", start.weight_variance, start.bias_variance)
    assert start.variance == 1
    assert theory.q_star == pytest.approx(1)
    assert theory.chi1 == pytest.approx(0.99)
    assert theory.chi_q < 0.9


def test_a_function_of_ones_own_is_known_by_its_values() -> None:
    assert steady_start(lambda x: 2 * x / (1 + 2.718281828459045 ** (-x))).variance == (
        pytest.approx(steady_start("silu").variance, rel=1e-4)
    )


@pytest.mark.parametrize("activation", ["relu", "softplus"])
def test_some_have_none(activation: str) -> None:
    with pytest.raises(FaninError, match=f"{activation} has no steady start: .* Normalize"):
        steady_start(activation)
