"""Signals: functions, sums, products and maxima against simulation and formulas."""

import math

import numpy as np
import pytest

from fanin.gains import gain, names
from fanin.gains._activation import as_activation
from fanin.graph import signal
from fanin.graph.signal import Signal, apply_pointwise, gaussian

RNG = np.random.default_rng(0)
N = 1_000_000


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def rectified(second: float = 1.0, correlation: float = 0.0, node: int = 0) -> Signal:
    return apply_pointwise(relu, [gaussian(second, node, correlation)], node)


def test_a_gaussian_has_its_moments() -> None:
    one = gaussian(2.0, 0, mean=0.5)
    assert one.second == pytest.approx(2.0, rel=1e-12)
    assert one.mean == pytest.approx(0.5, rel=1e-12)
    assert one.shared == pytest.approx(0.25, rel=1e-12)  # no correlation: the mean squared


def test_a_rectifier_halves_the_second_moment() -> None:
    assert rectified().second == pytest.approx(0.5, rel=1e-12)
    assert rectified().mean == pytest.approx(1 / math.sqrt(2 * math.pi), rel=1e-12)


@pytest.mark.parametrize("c", [0.0, 0.3, 0.9, 1.0])
def test_what_positions_share_is_the_arc_cosine_kernel(c: float) -> None:
    """Cho & Saul 2009, eq. 6 of order one."""
    expected = (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / (2 * math.pi)
    assert rectified(correlation=c).shared == pytest.approx(expected, rel=2e-3)


def test_functions_of_one_normal_are_composed_exactly() -> None:
    x = gaussian(1.0, 0)
    half = apply_pointwise(lambda z: 1 / (1 + np.exp(-z)), [x], 1)
    swish = signal.multiply(x, half, 2)
    z = RNG.standard_normal(N)
    assert swish.second == pytest.approx(np.mean((z / (1 + np.exp(-z))) ** 2), rel=5e-3)
    assert signal.add(x, signal.scale(x, -1.0), 3).second == 0


def test_a_rectified_stream_is_not_halved_again() -> None:
    """n = 10**6 simulated values of relu(relu(z) + b): standard error below 0.2 %."""
    stream, values = rectified(), relu(RNG.standard_normal(N))
    for block in range(4):
        stream = apply_pointwise(relu, [signal.add(stream, gaussian(0.25, 10 + block), 20)], 30)
        values = relu(values + 0.5 * RNG.standard_normal(N))
        assert stream.second == pytest.approx(np.mean(values**2), rel=0.01)
        assert stream.mean == pytest.approx(np.mean(values), rel=0.01)


def test_independent_products_and_sums() -> None:
    a, b = gaussian(2.0, 0, 0.5), gaussian(3.0, 1, 0.2)
    assert signal.multiply(a, b, 2).second == pytest.approx(6.0)
    assert signal.multiply(a, b, 2).share == pytest.approx(0.1)
    assert signal.add(a, b, 2).second == pytest.approx(5.0)
    assert signal.add(a, b, 2).shared == pytest.approx(2 * 0.5 + 3 * 0.2)


def test_a_function_of_two_independent_activations() -> None:
    a, b = gaussian(1.0, 0), rectified(node=1)
    made = apply_pointwise(lambda x, y: x / (1 + y), [a, b], 2)
    x, y = RNG.standard_normal((2, N))
    assert made.second == pytest.approx(np.mean((x / (1 + relu(y))) ** 2), rel=0.01)


def test_normalizations_make_the_second_moment_one() -> None:
    centred = signal.normalize(rectified(3.0), centred=True)
    assert centred.second == pytest.approx(1)
    assert centred.mean == pytest.approx(0, abs=1e-12)
    assert signal.normalize(rectified(3.0), centred=False).second == pytest.approx(1)


def test_concatenation_weighs_by_size() -> None:
    both = signal.concatenate([gaussian(1.0, 0), gaussian(4.0, 1)], [3, 1], 2)
    assert both.second == pytest.approx(7 / 4)
    mixed = signal.concatenate([rectified(), gaussian(4.0, 1)], [1, 1], 2)
    assert mixed.second == pytest.approx((0.5 + 4) / 2, rel=1e-9)


OFF_THE_GRID = ("hardshrink(0.3)", "softshrink(0.1)", "hardtanh(-0.3, 0.4)", "threshold(0.1, 20)")
NEEDS = {"threshold": "threshold(0.3, -1)"}


@pytest.mark.parametrize("name", [*(NEEDS.get(one, one) for one in names()), *OFF_THE_GRID])
@pytest.mark.parametrize(("second", "mean"), [(1.0, 0.0), (0.7, 0.05)])
def test_functions_of_a_normal_have_the_moment_that_gains_have(
    name: str, second: float, mean: float
) -> None:
    """Kinks and jumps included, wherever they lie."""
    made = apply_pointwise(as_activation(name), [gaussian(second, 0, mean=mean)], 1)
    variance = second - mean**2
    assert made.second == pytest.approx(
        variance / gain(name, variance=variance, mean=mean) ** 2, rel=1e-6
    )


def test_poles_and_steps_without_end_stay_as_the_grid_has_them() -> None:
    """What is too rare for a batch to show, or not finite, corrects nothing."""
    for fn in (
        lambda x: 1 / (np.abs(x - 0.1) + 1e-9),
        lambda x: np.sqrt(np.abs(x)) / np.abs(x - 0.1),
        lambda x: np.round(x * 1e4) / 1e4,
        lambda x: np.exp(x * x),
        lambda x: np.ones_like(x),
        lambda x: np.zeros_like(x),
    ):
        values = fn(signal.Z)
        made = apply_pointwise(fn, [gaussian(1.0, 0)], 1)
        assert made.second == pytest.approx(signal.MASS @ values**2, rel=0.01)
