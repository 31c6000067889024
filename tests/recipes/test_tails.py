"""Narrow layers: outputs whose variance is by chance, and what functions make of them."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.graph import tails
from fanin.graph.signal import MASS, Z, apply_pointwise, gaussian

NARROW = 16


def silu(x: np.ndarray) -> np.ndarray:
    return np.asarray(x / (1 + np.exp(-x)))


def separable(width: int = NARROW, blocks: int = 4) -> nn.Sequential:
    """Depthwise kernels of nine taps and weights of few channels in turn, nothing normalized."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.SiLU()]
    for _ in range(blocks):
        circular = {"padding": 1, "padding_mode": "circular"}
        layers += [nn.Conv2d(width, width, 3, groups=width, **circular), nn.SiLU()]  # type: ignore[arg-type]
        layers += [nn.Conv2d(width, width, 1), nn.SiLU()]
    return nn.Sequential(*layers)


def dense(width: int = NARROW, layers: int = 8) -> nn.Sequential:
    return nn.Sequential(
        *(one for _ in range(layers) for one in (nn.Linear(width, width), nn.GELU()))
    )


def measure(model: nn.Sequential, inputs: Tensor, draws: int) -> list[float]:
    """Mean squares of what every weight gives, over draws."""
    plan, found = fanin.plan(model, inputs), {}
    for seed in range(draws):
        plan.apply(model, seed)
        x = inputs
        with torch.no_grad():
            for at, layer in enumerate(model):
                x = layer(x)
                if hasattr(layer, "weight"):
                    found[at] = found.get(at, 0.0) + float(x.square().mean()) / draws
    return list(found.values())


def test_narrow_layers_are_as_large_as_planned_over_draws() -> None:
    """1.8 in the last layer, were outputs taken for normal ones."""
    torch.manual_seed(0)
    assert measure(dense(), torch.randn(256, NARROW), 200) == pytest.approx([1.0] * 8, rel=0.2)


def test_depthwise_layers_are_as_large_as_planned_over_draws() -> None:
    """3 and more in the last layer, were outputs taken for normal ones."""
    torch.manual_seed(0)
    sizes = measure(separable(), torch.randn(4, 3, 12, 12), 100)
    assert sizes[1:] == pytest.approx([1.0] * 8, rel=0.35)


def test_rectifiers_do_not_care() -> None:
    model = nn.Sequential(*(one for _ in range(6) for one in (nn.Linear(8, 8), nn.ReLU())))
    plan = fanin.plan(model, torch.zeros(2, 8))
    assert str(plan["10.weight"].initializer) == "he_normal()"


def test_a_tail_leaves_the_second_moment_and_raises_that_of_what_is_steep() -> None:
    fed = gaussian(1.0, 0)
    made = tails.weigh(fed, gaussian(2.0, 1), 9, 1, 1)
    assert made.uneven.tail == pytest.approx(2 / 9, rel=1e-3)  # of a sum of nine squares of normals
    assert made.second == pytest.approx(2.0)
    assert tails.kurtosis(made) == pytest.approx(3 * (1 + 2 / 9), rel=0.02)
    even, uneven = (apply_pointwise(silu, (item,), 1) for item in (gaussian(2.0, 1), made))
    assert uneven.second > 1.01 * even.second
    q = np.random.default_rng(0).chisquare(9, 200_000) / 9
    drawn = np.sqrt(2 * q) * np.random.default_rng(1).standard_normal(len(q))
    assert uneven.second == pytest.approx(float(np.mean(silu(drawn) ** 2)), rel=0.02)


def test_behind_a_norm_all_sites_are_alike() -> None:
    made = tails.weigh(gaussian(1.0, 0), gaussian(1.0, 1), 4, 1, 1)
    normed = tails.level(made, made)
    assert normed.uneven.tail == 0
    assert np.allclose(normed.values, Z)
    assert tails.weigh(normed, gaussian(1.0, 2), 4, 1, 1).uneven.tail == 0


def test_groups_of_channels_have_noise_of_their_own() -> None:
    """Of 64 groups no site has it in common."""
    made = tails.weigh(gaussian(1.0, 0), gaussian(1.0, 1), 9, 9, 64)
    assert made.uneven.tail == pytest.approx(2 / 9, rel=0.01)
    assert made.uneven.common == pytest.approx(1 / 64, rel=0.1)


def test_what_all_sites_share_is_the_draws() -> None:
    same = gaussian(1.0, 0, correlation=1.0)
    assert tails.weigh(same, gaussian(1.0, 1), 4, 1, 1).uneven.tail == 0


def test_a_sum_with_an_even_activation_has_a_smaller_tail() -> None:
    uneven = tails.weigh(gaussian(1.0, 0), gaussian(1.0, 1), 4, 1, 1)
    made = tails.add_tails(uneven, gaussian(1.0, 2), gaussian(2.0, 3))
    assert made.uneven.tail == pytest.approx(uneven.uneven.tail / 4, rel=0.02)


def test_a_product_has_the_kurtosis_of_both() -> None:
    uneven = tails.weigh(gaussian(1.0, 0), gaussian(1.0, 1), 4, 1, 1)
    gate = apply_pointwise(lambda x: 1 / (1 + np.exp(-x)), (gaussian(1.0, 2),), 2)
    second = uneven.second * gate.second
    made = tails.gate(uneven, gate, gaussian(second, 3))
    power = float(MASS @ gate.values**4) / gate.second**2
    assert tails.kurtosis(made) == pytest.approx(tails.kurtosis(uneven) * power)
    assert math.isclose(made.second, second)


def test_a_quotient_of_large_tails_is_silu_all_the_same() -> None:
    """exp(-x) of a tail is beyond every bound; what divides by it is bounded again."""

    class Swish(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x / (1 + torch.exp(-x))

    width, layers = 64, [one for _ in range(8) for one in (nn.Linear(64, 64), Swish())]
    plan = fanin.plan(nn.Sequential(*layers), torch.zeros(2, width))
    fed = [float(row.initializer.std(row.shape, row.axes)) for row in plan.rows[2::2]]  # type: ignore[union-attr]
    assert fed == pytest.approx([fed[0]] * len(fed), rel=0.1)  # each layer's spread adds a little
