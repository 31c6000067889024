"""Advice names data, a bias, a scale or a function at fault, never what is there already."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.checks import Finding
from fanin.checks._remedy import DATA
from tests.checks.adapters import LowRank

INPUTS = torch.randn(128, 32, generator=torch.Generator().manual_seed(0))
RAW = 200 + 100 * INPUTS
TARGETS = torch.arange(128) % 4
he = nn.init.kaiming_normal_


def network(
    activation: Callable[[], nn.Module],
    depth: int,
    rule: Callable[[Tensor], Any] = nn.init.xavier_normal_,
    norm: Callable[[int], nn.Module] | None = None,
) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for at in range(depth):
        line = nn.Linear(64 if at else 32, 64)
        rule(line.weight)
        nn.init.zeros_(line.bias)
        layers += [line, *([norm(64)] if norm else []), activation()]
    return nn.Sequential(*layers, nn.Linear(64, 4))


def of(model: nn.Module, inputs: Tensor = INPUTS, **options: Any) -> dict[str, Finding]:
    return {
        one.id: one for one in reversed(fanin.check(model, inputs, TARGETS, **options).findings)
    }


def test_zeros_are_not_advised_for_biases_that_are_zero() -> None:
    found = of(network(nn.ReLU, 30))
    assert found["F02"].severity == "error"
    assert {found[one].fix for one in ("F02", "F03", "F12")} == {
        "he_normal() for these weights; or fanin.initialize(model, inputs=x) for the whole model."
    }


@pytest.mark.parametrize(
    ("activation", "depth", "bias", "rules"),
    [(nn.Tanh, 8, 3.0, ("F03", "F05", "F14")), (nn.Sigmoid, 2, -10.0, ("F03", "F05"))],
)
def test_a_bias_at_fault_is_named(
    activation: Any, depth: int, bias: float, rules: tuple[str, ...]
) -> None:
    model = network(activation, depth)
    for layer in model[: 2 * depth : 2]:
        nn.init.constant_(layer.bias, bias)
    found = of(model)
    for rule in rules:
        assert found[rule].fix.startswith("zeros() for the bias of 0, 2")
    model = network(activation, depth)
    nn.init.constant_(model[2].bias, bias)
    assert "zeros() for the bias of 2" in of(model)["F05"].fix


@pytest.mark.parametrize("rule", ["F02", "F14"])
def test_a_bias_that_makes_the_signal_explode_is_named(rule: str) -> None:
    model = network(nn.ReLU, 4, he)
    nn.init.constant_(model[6].bias, 1e3)
    found = of(model)[rule]
    assert found.fix.startswith("zeros() for the bias of 6: it outweighs the signal")


def test_biases_beside_a_signal_that_fades_are_not_to_blame() -> None:
    torch.manual_seed(0)
    layers = [part for _ in range(12) for part in (nn.Linear(32, 32), nn.ReLU())]
    fix = of(nn.Sequential(*layers, nn.Linear(32, 4)))["F03"].fix  # torch's own draws
    assert fix.startswith("he_normal() for these weights and zeros() for their biases")


@pytest.mark.parametrize("rule", ["F02", "F03", "F05", "F13"])
def test_raw_inputs_are_named_in_place_of_weights_that_fit(rule: str) -> None:
    assert of(network(nn.Tanh, 3), RAW)[rule].fix == DATA
    assert rule not in of(nn.Sequential(nn.BatchNorm1d(32), network(nn.Tanh, 3)), RAW)


def test_raw_inputs_that_the_model_brings_to_scale_itself() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network(nn.Tanh, 3)

        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = self.inner((x - 200) / 100)
            return made

    assert not of(Scaled(), RAW)


def test_coordinates_that_are_far_from_zero_and_images_that_are_not() -> None:
    steps = torch.linspace(0, 30, 128)[:, None].expand(-1, 32)
    assert of(network(nn.Tanh, 3), steps, select="F13")["F13"].fix == DATA
    assert not of(network(nn.Tanh, 3), 0.46 + 0.16 * INPUTS, select="F13")


def test_raw_inputs_and_weights_that_do_not_fit() -> None:
    fix = of(network(nn.Tanh, 3, nn.init.normal_), RAW)["F05"].fix
    assert fix == f"{DATA} And glorot_normal() for the weights of 0, 2, 4."


class Exponential(nn.Module):
    def __init__(self, std: float, fn: Callable[[Tensor], Tensor] = torch.exp) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.before, self.logvar, self.fn = nn.Linear(32, 256), nn.Linear(256, 4), fn
        nn.init.normal_(self.logvar.weight, std=std)

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(self.logvar(torch.relu(self.before(x))))


@pytest.mark.parametrize(
    ("inputs", "model", "fix"),
    [
        (RAW, Exponential(1.0), DATA),
        (INPUTS, Exponential(20.0), "Bound the layer logvar first: x.clamp(max=10)"),
        (INPUTS, Exponential(0.1, lambda h: 1 / (h - h.detach())), "Keep what reciprocal is given"),
    ],
)
def test_overflow_of_a_function(inputs: Tensor, model: nn.Module, fix: str) -> None:
    assert of(model, inputs)["F01"].fix.startswith(fix)


def test_dead_units_whose_bias_is_zero() -> None:
    model = network(nn.ReLU, 3, he)
    with torch.no_grad():
        model[4].weight.copy_(-model[4].weight.abs())
    found = of(model)
    for rule in ("F03", "F07"):
        assert "bias" not in found[rule].fix
    assert "he_normal()" in found["F07"].fix or "leaky_relu" in found["F07"].fix
    nn.init.constant_(model[2].bias, -20.0)
    assert of(model)["F07"].fix == "zeros() for the bias of 2."


@pytest.mark.parametrize("norm", [nn.LayerNorm, nn.BatchNorm1d, nn.RMSNorm])
def test_scales_that_are_zero_and_stay_so(norm: Any) -> None:
    model = network(nn.ReLU, 3, he, norm)
    for at in (1, 4, 7):
        nn.init.zeros_(model[at].weight)
    found = of(model)
    assert found["F10"].severity == "error"
    assert found["F10"].fix == "ones() for 1.weight, 4.weight, 7.weight."
    assert set(found) == {"F10"}
    nn.init.ones_(model[1].weight)
    nn.init.ones_(model[7].weight)
    assert of(model)["F10"].fix == "ones() for 4.weight."


def test_of_zero_weights_in_series_the_last_may_stay() -> None:
    model = nn.Sequential(LowRank(32), nn.ReLU(), LowRank(4))
    found = fanin.check(model, INPUTS, TARGETS, select="F10").findings
    assert [one.fix for one in found] == [
        f"glorot_uniform() for {at}.a; {at}.b alone may start at zeros()." for at in (0, 2)
    ]
    plain = network(nn.ReLU, 3, he)
    for at in (2, 4, 6):
        nn.init.zeros_(plain[at].weight)
    fix = "he_normal() for 2.weight, 4.weight; 6.weight alone may start at zeros()."
    assert of(plain)["F10"].fix == fix


def test_one_zero_weight_that_stops_all_but_the_readout() -> None:
    model = network(nn.ReLU, 3, he)
    nn.init.zeros_(model[2].weight)
    assert of(model)["F10"].severity == "error"
    nn.init.constant_(model[2].weight, 0.01)  # equal units, but moving ones
    assert "F10" not in of(model)


def test_a_tied_readout_is_not_set_to_zero() -> None:
    class Language(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.norm = nn.Embedding(100, 64), nn.LayerNorm(64)
            self.inner, self.head = nn.Linear(64, 64), nn.Linear(64, 100, bias=False)
            self.head.weight = self.words.weight

        def forward(self, tokens: Tensor) -> Tensor:
            hidden = self.words(tokens)
            made: Tensor = self.head(self.norm(hidden + self.inner(hidden)))
            return made.transpose(1, 2)

    torch.manual_seed(0)
    tokens = torch.randint(0, 100, (32, 8))
    (one,) = fanin.check(Language(), tokens, (tokens * 7 + 3) % 100, select="F11").findings
    assert one.fix == "normal(std=0.125) for words.weight, 1/sqrt(width): it is the embedding too."


def test_sigmoids_are_counted_through_sums() -> None:
    model = nn.Sequential(
        *[part for _ in range(3) for part in (LowRank(32), nn.Sigmoid())], LowRank(4)
    )
    assert of(model, select="F06")["F06"].value == 3.0
