"""Long rows of layers whose activation multiplies what chance makes: their variance is held."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import fanin

WIDTH = 256


def row(
    activation: Callable[[], nn.Module], depth: int, *, bias: bool = True, norm: bool = False
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(WIDTH, WIDTH, bias=bias)]
        layers += [nn.LayerNorm(WIDTH)] if norm else []
        layers += [activation()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


def variances(model: nn.Sequential, x: Tensor) -> list[float]:
    """Of the outputs of every layer but the head."""
    found = []
    with torch.no_grad():
        for layer in model:
            x = layer(x)
            if isinstance(layer, nn.Linear):
                found.append(x.square().mean().item())
    return found[:-1]


@pytest.mark.parametrize(
    ("activation", "name"),
    [(nn.SiLU, "silu"), (nn.GELU, "gelu"), (nn.Mish, "mish"), (nn.Hardswish, "hard_swish")],
)
def test_fifty_layers_keep_their_variance(activation: Callable[[], nn.Module], name: str) -> None:
    """Six draws, fixed; of twenty the least was 0.2 of the planned one and the most 3.4."""
    torch.manual_seed(0)
    model, x = row(activation, 50), torch.randn(64, WIDTH)
    plan = fanin.plan(model, x)
    wanted = fanin.gains.steady_start(name).variance
    for seed in range(6):
        plan.apply(model, seed)
        found = variances(model, x)
        assert min(found) / wanted > 0.2
        assert max(found) / wanted < 5


def test_gradients_arrive() -> None:
    torch.manual_seed(0)
    model, x = row(nn.SiLU, 50), torch.randn(64, WIDTH)
    fanin.initialize(model, 0, x)
    model(x).square().mean().backward()
    first, last = (model[i].weight.grad.square().mean().sqrt().item() for i in (0, 98))
    assert 0.05 < first / last < 20


def biases(model: nn.Module) -> set[str]:
    plan = fanin.plan(model, torch.randn(4, WIDTH))
    return {str(row.initializer) for row in plan.rows if row.role == "bias"}


@pytest.mark.parametrize(
    "model", [row(nn.SiLU, 10), row(nn.SiLU, 30, norm=True), row(nn.ReLU, 30), row(nn.Tanh, 30)]
)
def test_biases_of_other_rows_start_at_zero(model: nn.Module) -> None:
    assert biases(model) == {"zeros()"}


def test_the_reasons_say_it() -> None:
    plan = fanin.plan(row(nn.SiLU, 20), torch.randn(4, WIDTH))
    why = "keeps variance 25.4 of silu in a long row"
    assert plan["2.bias"].why == why
    assert plan["2.weight"].why.endswith(why)
    assert str(plan["40.bias"].initializer) == "zeros()"  # the head's

    plain = fanin.plan(row(nn.SiLU, 20, bias=False), torch.randn(4, WIDTH))
    assert "its row multiplies chance by 24; no bias" in plain["2.weight"].why


def test_biases_that_the_constructor_made_stay() -> None:
    model = row(nn.SiLU, 20)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.constant_(layer.bias, 0.1)
    plan = fanin.plan(model, torch.randn(4, WIDTH))
    assert "no bias" in plan["2.weight"].why
