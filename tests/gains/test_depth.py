"""Depth theory against published figures, closed forms and a simulated network."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanin import FaninError, gain
from fanin.gains import critical_weight_variance, depth_theory, names
from fanin.gains._root import root

# Figures for tanh: bias variance -> critical weight variance; (1.05, 2.01e-5) is Xiao et al. 2018.
CRITICAL = {2.01e-5: 1.05, 0.0025: 1.2601, 0.01: 1.4242, 0.04: 1.7008, 0.05: 1.76095, 0.2: 2.2852}


@pytest.mark.parametrize("bias_variance", CRITICAL)
def test_the_critical_line_of_tanh(bias_variance: float) -> None:
    weight_variance = critical_weight_variance("tanh", bias_variance)
    assert weight_variance == pytest.approx(CRITICAL[bias_variance], abs=6e-5)
    theory = depth_theory("tanh", weight_variance, bias_variance)
    assert theory.chi1 == pytest.approx(1, abs=1e-9)
    assert theory.xi_c == math.inf
    if bias_variance == 0.05:
        assert theory.q_star == pytest.approx(0.570, abs=6e-4)


# tanh with bias variance 0.05: weight variance -> xi_c, chi1.
SCALES = {
    1.0: (3.6, 0.759),
    1.3: (7.8, 0.880),
    1.5: (15.8, 0.939),
    1.7: (74.9, 0.987),
    1.9: (39.4, 1.029),
    2.5: (11.8, 1.134),
    4.0: (7.0, 1.343),
}


@pytest.mark.parametrize("weight_variance", SCALES)
@pytest.mark.parametrize("f", ["tanh", np.tanh])
def test_the_depth_scales_of_tanh(f: object, weight_variance: float) -> None:
    xi_c, chi1 = SCALES[weight_variance]
    theory = depth_theory(f, weight_variance, 0.05)  # type: ignore[arg-type]
    assert theory.xi_c == pytest.approx(xi_c, abs=0.06)
    # One figure, 1.343, was 1.3424 rounded up.
    assert theory.chi1 == pytest.approx(chi1, abs=7e-4)
    assert (theory.c_star == 1) == (chi1 < 1)


@pytest.mark.parametrize(
    ("name", "bias_variance", "weight_variance"),
    [("gelu", 0.17292239, 1.98305826), ("silu", 0.55514317, 1.98800468)],
)
def test_where_both_slopes_are_1(name: str, bias_variance: float, weight_variance: float) -> None:
    """Roberts, Yaida & Hanin 2022, section 5.3.4: chi1 = chi_q = 1 there."""
    above = critical_weight_variance(name, bias_variance * 1.0001)
    assert above == pytest.approx(weight_variance, rel=1e-3)
    theory = depth_theory(name, above, bias_variance * 1.0001)
    assert theory.chi1 == pytest.approx(1, abs=1e-6)
    assert theory.chi_q == pytest.approx(1, abs=0.02)
    with pytest.raises(FaninError, match=f"{name} has no critical weight variance at bias vari"):
        critical_weight_variance(name, bias_variance * 0.99)


@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
def test_rectifiers_are_critical_where_he_puts_them(slope: float) -> None:
    name = f"leaky_relu({slope})"
    weight_variance = critical_weight_variance(name)
    assert weight_variance == pytest.approx(2 / (1 + slope**2), rel=1e-12)
    theory = depth_theory(name, gain(name) ** 2)
    assert theory.variance == "is kept"
    assert (theory.chi1, theory.chi_q) == pytest.approx((1, 1), rel=1e-12)
    assert (theory.c_star, theory.xi_c, theory.xi_q) == (1, math.inf, math.inf)
    with pytest.raises(FaninError, match="has no critical weight variance at bias variance"):
        critical_weight_variance(name, 0.1)


@given(st.floats(0.05, 1.9), st.floats(0.01, 3))
def test_relu_with_a_bias_in_closed_form(weight: float, bias: float) -> None:
    theory = depth_theory("relu", weight, bias)
    assert theory.variance == "settles"
    assert theory.q_star == pytest.approx(bias / (1 - weight / 2), rel=1e-9)
    assert (theory.chi1, theory.chi_q) == pytest.approx((weight / 2, weight / 2), rel=1e-9)
    assert theory.xi_c == pytest.approx(-1 / math.log(weight / 2), rel=1e-8)


@pytest.mark.parametrize("c", [-1.0, -0.4, 0.0, 0.7, 0.999, 1.0])
def test_the_correlation_map_of_relu_is_the_arc_cosine_kernel(c: float) -> None:
    exact = (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi
    assert depth_theory("relu", 2.0).correlation_map(c) == pytest.approx(exact, abs=1e-12)


def test_the_default_of_torch_shrinks_the_variance() -> None:
    """Var = 1 / (3 fan_in): by 1/3 a linear layer, 1/6 a ReLU layer, besides the bias."""
    for name, factor in (("linear", 1 / 3), ("relu", 1 / 6)):
        theory = depth_theory(name, 1 / 3)
        assert theory.variance == "vanishes"
        assert theory.chi_q == pytest.approx(factor, rel=1e-9)
        assert theory.variance_map(1.0) == pytest.approx(factor, rel=1e-9)


def test_courses_of_the_variance() -> None:
    assert depth_theory("relu", 3.0).variance == "grows without bound"
    assert depth_theory("relu", 2.0, 0.1).q_star == math.inf
    assert math.isnan(depth_theory("relu", 3.0).chi1)
    vanishing = depth_theory("tanh", 0.9)
    assert (vanishing.variance, vanishing.q_star) == ("vanishes", 0)
    assert vanishing.chi1 == vanishing.chi_q == pytest.approx(0.9, rel=1e-9)
    assert vanishing.xi_c == pytest.approx(-1 / math.log(0.9), rel=1e-8)
    assert math.isnan(vanishing.c_star)
    unstable = depth_theory("gelu", gain("gelu") ** 2)
    assert (unstable.variance, unstable.q_star) == ("is unstable", 1)
    assert math.isnan(unstable.xi_q)
    assert depth_theory("tanh", gain("tanh") ** 2).variance == "settles"
    assert critical_weight_variance("tanh") == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("name", [name for name in names() if name != "threshold"])
def test_fixed_points_are_fixed_and_slopes_are_slopes(name: str) -> None:
    theory = depth_theory(name, 1.3, 0.1)
    q = theory.q_star
    if q == math.inf:
        assert theory.variance_map(1e6) > 1e6
        return
    assert theory.variance_map(q) == pytest.approx(q, rel=1e-10)
    step = 1e-3 * q
    values = [theory.variance_map(q + k * step) for k in (-2, -1, 1, 2)]
    slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    assert theory.chi_q == pytest.approx(slope, rel=1e-6, abs=1e-8)
    assert theory.correlation_map(theory.c_star) == pytest.approx(theory.c_star, abs=1e-9)
    # Near 1 a kink leaves a term in (1 - c)**1.5.
    rise = (theory.c_star - theory.correlation_map(theory.c_star - 1e-6)) / 1e-6
    assert rise == pytest.approx(math.exp(-1 / theory.xi_c), abs=1e-3)


def test_a_function_that_jumps_decorrelates() -> None:
    """sign: C(c) = 2/pi asin(c), infinitely steep at 1, with the slope 2/pi at its c* = 0."""
    theory = depth_theory(np.sign, 1.0)
    assert (theory.q_star, theory.chi1, theory.c_star) == (1, 0, 0)
    assert theory.xi_c == pytest.approx(-1 / math.log(2 / math.pi), rel=1e-6)
    assert theory.correlation_map(0.7) == pytest.approx(2 / math.pi * math.asin(0.7), rel=1e-6)


def test_a_wide_layer_does_what_theory_says() -> None:
    """tanh, 20 layers of width 1000, each fed a pair of variance q* and correlation 0.8.

    Over 30 other seeds the relative variance has the standard deviation 0.011, the correlation
    too: at 0.05 a false alarm has probability 1e-5, and the seed is fixed.
    """
    theory = depth_theory("tanh", 2.5, 0.05)
    rng = np.random.default_rng(0)
    variances, products = [], []
    for _ in range(20):
        x = rng.normal(size=(1000, 2)) * math.sqrt(theory.q_star)
        x[:, 1] = 0.8 * x[:, 0] + 0.6 * x[:, 1]
        weights = rng.normal(size=(1000, 1000)) * math.sqrt(2.5 / 1000)
        x = weights @ np.tanh(x) + rng.normal(size=(1000, 1)) * math.sqrt(0.05)
        variances.append((x**2).mean())
        products.append((x[:, 0] * x[:, 1]).mean())
    assert np.mean(variances) / theory.q_star == pytest.approx(1, abs=0.05)
    together = np.mean(products) / theory.q_star
    assert together == pytest.approx(theory.correlation_map(0.8), abs=0.05)


def test_bad_input() -> None:
    theory = depth_theory("tanh", 1.5, 0.05)
    for call, message in (
        (lambda: depth_theory("tanh", 0), "weight_variance is 0; it must be a finite number > 0"),
        (lambda: depth_theory("tanh", "1"), "weight_variance is '1'; it must be"),  # type: ignore[arg-type]
        (lambda: depth_theory("tanh", 1, -1), "bias_variance is -1; it must be a finite number >="),
        (lambda: depth_theory("tanh", 1, math.nan), "bias_variance is nan; it must be"),
        (lambda: depth_theory("softmax", 1), "softmax has no gain"),
        (lambda: critical_weight_variance("tanh", math.inf), "bias_variance is inf; it must be"),
        (lambda: theory.variance_map(-1), "variance q is -1; it must be a finite number >= 0"),
        (lambda: theory.correlation_map(1.1), "correlation is 1.1; it must be a number from -1"),
        (lambda: theory.correlation_map(math.nan), "correlation is nan; it must be"),
        (
            lambda: depth_theory("relu", 3).correlation_map(0.5),
            "the variance of relu grows without bound at weight variance 3 and bias variance 0: ",
        ),
    ):
        with pytest.raises(FaninError, match=message):
            call()


def test_theories_compare_and_print() -> None:
    theory = depth_theory("relu", 2.0)
    assert theory == depth_theory("relu", 2.0)
    assert "network" not in repr(theory)
    with pytest.raises(AttributeError):
        theory.q_star = 2.0  # type: ignore[misc]


@given(st.floats(-5, 5), st.floats(0.1, 3))
def test_root(zero: float, power: float) -> None:
    def f(x: float) -> float:
        return math.copysign(abs(x - zero) ** power, x - zero)

    assert root(f, -6, 7) == pytest.approx(zero, abs=1e-9)
