"""The recipe orthogonal: gains by hand, with a run and without."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from fanin import gain
from fanin.initializers import forget_gate, orthogonal


@pytest.mark.parametrize("run", [True, False])
def test_gains_are_those_of_the_activations(run: bool, zoo: Any) -> None:
    made = zoo.choices(zoo.models["mlp"](), "orthogonal", zoo.inputs["mlp"] if run else None)
    gains = [made[f"{layer}.weight"].initializer.gain for layer in (0, 2, 4)]
    assert gains == pytest.approx([1, math.sqrt(2), gain("tanh")])
    assert "relu" in made["2.weight"].why.lower()


def test_pooling_is_passed_and_normalizations_are_not(zoo: Any) -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3),
        nn.ReLU(),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 4, 3),
    )
    for inputs in (None, torch.zeros(2, 3, 16, 16)):
        made = zoo.choices(model, "orthogonal", inputs)
        gains = [made[f"{layer}.weight"].initializer.gain for layer in (0, 3, 6)]
        assert gains == pytest.approx([1, math.sqrt(2), 1])


def test_recurrent_layers_and_attention(zoo: Any) -> None:
    lstm = zoo.choices(zoo.models["lstm"](), "orthogonal", zoo.inputs["lstm"])
    assert lstm["lstm.weight_hh_l0"].initializer == orthogonal()
    assert lstm["lstm.weight_ih_l0"].initializer == orthogonal()
    assert lstm["lstm.bias_ih_l0"].initializer == forget_gate()
    assert zoo.stds("lstm", "orthogonal")["lstm.weight_hh_l0"] == pytest.approx(1 / math.sqrt(8))
    encoder = zoo.stds("encoder", "orthogonal")
    assert encoder["layers.0.self_attn.in_proj_weight"] == pytest.approx(1 / math.sqrt(8))
    assert encoder["layers.0.linear2.weight"] == pytest.approx(gain("gelu") / math.sqrt(32))
