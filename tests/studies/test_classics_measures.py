"""The measurements of the classics against closed forms and torch, at small sizes.

Seeds are fixed. Bounds of random quantities are 4 standard errors: a false alarm, for another
seed, in one of 16,000 tests (with Student's t over 20 values, one in 1,300).
"""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from threadpoolctl import threadpool_limits

from fanin.gains import critical_weight_variance
from fanin.studies.classics import _defaults, _glorot, _jacobian, _logits, _meanfield, _narrow
from fanin.studies.classics._chain import backward, draw, forward, normal
from fanin.studies.classics._residual import grow


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As a study measures: two threads wait for each other where others use the machine."""
    with threadpool_limits(1):
        yield


def close(values: list[float], expected: float) -> bool:
    """Whether the mean is within 4 standard errors."""
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    return bool(abs(np.mean(values) - expected) <= 4 * error)


def test_the_pass_back_is_torch_s() -> None:
    weights = draw("he_normal", 6, 3, 0)
    biases = [normal((6,), 0.3, 0, f"b{k}") for k in range(3)]
    inputs = normal((4, 6), 1.0, 0)
    passed = forward(weights, inputs, "gelu", biases)
    last = normal((4, 6), 1.0, 1)
    at_before, at_after = backward(passed, last)

    signal = start = torch.from_numpy(inputs).double().requires_grad_()
    kept = []
    for weight, bias in zip(weights, biases, strict=True):
        kept.append(signal @ torch.from_numpy(weight).double().T + torch.from_numpy(bias))
        signal = torch.nn.functional.gelu(kept[-1])
    wanted = torch.autograd.grad(signal, [start, *kept], torch.from_numpy(last).double())
    assert passed.after[-1] == pytest.approx(signal.detach().numpy(), abs=1e-5)
    for one, other in zip([at_after[0], *at_before], wanted, strict=True):
        assert one == pytest.approx(other.numpy(), abs=1e-5)


def test_stacked_networks_are_the_networks_alone() -> None:
    weights = draw("he_normal", 5, 2, 0, networks=3)
    inputs = normal((3, 4, 5), 1.0, 0)
    together = forward(weights, inputs, "relu").after[-1]
    for k in range(3):
        alone = forward([w[k] for w in weights], inputs[k], "relu").after[-1]
        assert together[k] == pytest.approx(alone, rel=1e-5)


def test_gradients_of_the_weights_are_torch_s() -> None:
    found = _glorot.gradients("glorot_uniform", 20, 30, seed=3)
    weights = [torch.from_numpy(one).requires_grad_() for one in draw("glorot_uniform", 20, 6, 3)]
    signal = torch.from_numpy(normal((30, 20), _glorot.INPUT, 3))
    for weight in weights[:-1]:
        signal = torch.tanh(signal @ weight.T)
    loss = torch.nn.functional.cross_entropy(signal @ weights[-1][:10].T, torch.arange(30) % 10)
    wanted = torch.autograd.grad(loss, weights[:-1])
    assert found["weights"] == pytest.approx([float(one.square().mean().sqrt()) for one in wanted])


def test_singular_values_of_orthogonal_layers_are_the_slopes() -> None:
    passed = forward(draw("orthogonal", 30, 5, 0), normal((1, 30), _glorot.INPUT, 0), "tanh")
    slopes = np.mean([passed.activation.slope(one) for one in passed.before])
    assert _glorot.singular_values("orthogonal", 30, 0) == pytest.approx(slopes, rel=1e-5)


def test_a_quarter_circle_of_singular_values() -> None:
    """8 / (3 pi) / sqrt 3 for U(+-1/sqrt n); n = 300, one network, |f'| < 1 by 3 % at most."""
    theory = 8 / (3 * math.pi) / math.sqrt(3)
    assert 0.96 * theory < _glorot.singular_values("torch_default", 300, 0) < 1.01 * theory


@pytest.mark.parametrize(("activation", "factor"), [("identity", 1 / 3), ("relu", 1 / 6)])
def test_torch_s_default_shrinks_a_signal(activation: str, factor: float) -> None:
    """Two layers, so that the factor is a mean without bias; 40 networks of width 128."""
    values = [_defaults.growth(activation, 128, 2, seed) for seed in range(40)]
    assert close(values, factor)


def test_a_default_bias_has_a_third_of_the_variance() -> None:
    assert close([_defaults.bias_share(1000, seed) for seed in range(20)], 1.0)


def test_the_first_layer_of_tanh_saturates_as_the_normal_law_says() -> None:
    """Its variance is E tanh(z)^2 = 0.3943; 40 networks of width 64, gain 2."""
    shares = [_defaults.tanh_deep(4.0, 64, seed)["first"] for seed in range(40)]
    edge = math.atanh(0.97) / math.sqrt(4 * 0.394295)
    assert close(shares, math.erfc(edge / math.sqrt(2)))


def test_a_wide_critical_network_keeps_its_variance() -> None:
    """20 networks of width 300, whose standard errors are 0.6 % and 0.2 %."""
    found = [_meanfield.wide(300, 30, seed) for seed in range(20)]
    assert np.mean([one["q"] for one in found]) == pytest.approx(0.570, rel=0.03)
    assert np.mean([one["chi"] for one in found]) == pytest.approx(1.0, rel=0.03)
    assert critical_weight_variance("tanh", _meanfield.BIAS) == pytest.approx(
        _meanfield.WEIGHT, abs=5e-6
    )


def test_the_spread_of_one_gaussian_layer() -> None:
    """E tr S^2 / n of a Wishart matrix is 2 + 1/n, so 1 + 1/n; 40 networks, n = 50."""
    values = [_jacobian.spread("identity", "lecun_normal", 50, 1, seed) for seed in range(40)]
    assert close(values, 1 + 1 / 50)
    assert _jacobian.spread("identity", "orthogonal", 50, 8, 0) < 1e-9
    # Half of the units of an orthogonal layer are off: s**2 is 2 or 0, so its variance is 1.
    exact = _jacobian.spread("relu", "orthogonal(1.4142135623730951)", 50, 1, 0)
    passed = forward(draw("orthogonal", 50, 1, 0), normal((1, 50), 1.0, 0), "relu")
    alive = float(np.mean(passed.before[0] > 0))
    assert exact == pytest.approx((1 - alive) / alive, rel=1e-5)


def test_lengths_have_the_second_moment_of_the_formula() -> None:
    """10,000 networks of width 20, depth 2: 20 means of 500."""
    found = _narrow.lengths(20, 2, 10_000)
    assert close(found["mean"], 1.0)
    assert close(found["square"], (1 + 5 / 20) ** 2)
    assert sum(found["histogram"]) <= found["networks"] == 10_000


@pytest.mark.parametrize(("width", "depth"), [(1, 3), (2, 4), (3, 6)])
def test_networks_are_born_dead_as_often_as_the_formula_says(width: int, depth: int) -> None:
    count = 20_000
    wanted = 1 - (1 - 2.0**-width) ** depth
    error = math.sqrt(wanted * (1 - wanted) / count)
    assert abs(_narrow.dead(width, depth, count) / count - wanted) < 4 * error


def test_both_signs_of_a_number_die_less_often() -> None:
    one, both = (_narrow.dead(2, 10, 20_000, signs) for signs in (False, True))
    assert both < one


def test_the_loss_of_two_classes() -> None:
    """E ln cosh(d / 2), d of variance 2 s^2: 400 heads, whose rows have 256 weights."""

    def integrand(z: float, s2: float) -> float:
        half = z * math.sqrt(2 * s2) / 2
        return math.log(math.cosh(half)) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    wanted = quad(integrand, -12, 12, args=(1.0,))[0]
    assert close(_logits.excess(2, 1.0, 400, 250), wanted)


def test_he_doubles_a_stream_and_a_zero_branch_keeps_it() -> None:
    """40 networks of width 64, three blocks."""
    values = [grow(("he_normal", "he_normal"), 64, 3, False, seed) for seed in range(40)]
    assert close(values, 2.0**3)
    assert grow(("he_normal", "zeros"), 64, 3, False, 0) == 1.0
