import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from fanin.gains._activation import Activation, as_activation
from fanin.gains._correlation import Edges, covariance, covariance_slope

NEAR_ONE = [0.99, 0.9999, 1 - 1e-7, 1 - 1e-11]
CORRELATIONS = [-0.999, -0.5, 0.0, 1e-9, 0.3, 0.9, *NEAR_ONE]


def relu(c: float) -> float:
    """E relu(u) relu(v) for variance 1: the arc-cosine kernel (Cho & Saul 2009)."""
    return (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / (2 * math.pi)


def relu_slope(c: float) -> float:
    return (math.pi - math.acos(c)) / (2 * math.pi)


@pytest.mark.parametrize("variance", [0.04, 1.0, 50.0])
@pytest.mark.parametrize("c", CORRELATIONS)
@pytest.mark.parametrize("f", ["relu", lambda x: np.maximum(x, 0)])
def test_relu_is_the_arc_cosine_kernel(f: object, c: float, variance: float) -> None:
    activation = as_activation(f)  # type: ignore[arg-type]
    edges = Edges(activation, variance)
    assert covariance(activation, edges, variance, c) == pytest.approx(
        variance * relu(c), rel=1e-11, abs=1e-13 * variance
    )
    assert covariance_slope(activation, edges, variance, c) == pytest.approx(
        variance * relu_slope(c), rel=1e-9, abs=1e-9 * variance
    )


@pytest.mark.parametrize("variance", [0.3, 30.0, 1e4])
@pytest.mark.parametrize("c", CORRELATIONS)
def test_erf_is_the_arc_sine_kernel(c: float, variance: float) -> None:
    """E erf(u) erf(v) = 2/pi asin(2 q c / (1 + 2 q)) (Williams 1997)."""
    f = as_activation(np.vectorize(math.erf, otypes=[float]))
    edges = Edges(f, variance)
    ratio = 2 * variance / (1 + 2 * variance)
    exact = 2 / math.pi * math.asin(ratio * c)
    assert covariance(f, edges, variance, c) == pytest.approx(exact, rel=1e-11, abs=1e-13)
    slope = 2 / math.pi * ratio / math.sqrt(1 - (ratio * c) ** 2)
    assert covariance_slope(f, edges, variance, c) == pytest.approx(slope, rel=1e-9)


@given(st.floats(-0.9999, 0.9999), st.floats(-2, 2))
def test_a_step_anywhere(c: float, t: float) -> None:
    """P(u > t, v > t) = Phi(-t) - 2 T(t, sqrt((1 - c) / (1 + c))), with Owen's function T."""
    f = as_activation(lambda x: x > t)
    found = covariance(f, Edges(f, 1.0), 1.0, c)
    owen = integrate.quad(
        lambda x: math.exp(-t * t * (1 + x * x) / 2) / (1 + x * x),
        0,
        math.sqrt((1 - c) / (1 + c)),
        epsabs=1e-13,
    )[0]
    exact = math.erfc(t / math.sqrt(2)) / 2 - owen / math.pi
    assert found == pytest.approx(exact, abs=2e-9)


@pytest.mark.parametrize("name", ["tanh", "gelu", "hardtanh", "hardshrink", "softplus"])
def test_the_slope_is_the_derivative(name: str) -> None:
    f = as_activation(name)
    edges = Edges(f, 1.7)

    def at(c: float) -> float:
        return covariance(f, edges, 1.7, c)

    for c in (-0.6, 0.2, 0.8):
        difference = (8 * (at(c + 1e-3) - at(c - 1e-3)) - (at(c + 2e-3) - at(c - 2e-3))) / 12e-3
        assert covariance_slope(f, edges, 1.7, c) == pytest.approx(difference, rel=1e-7)


@pytest.mark.parametrize("t", [0.0, 0.25, -1.0, 3.3])
def test_kinks_and_jumps_are_located(t: float) -> None:
    for function in (lambda x: np.maximum(x - t, 0), lambda x: np.where(x > t, 1.0, -1.0)):
        kinks = Edges(as_activation(function), 4.0).kinks
        assert kinks.size == 1
        assert kinks[0] == pytest.approx(t, abs=2e-6)
    smooth: Activation = as_activation(np.tanh)
    assert Edges(smooth, 4.0).kinks.size == 0
