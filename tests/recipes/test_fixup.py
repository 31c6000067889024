"""The recipe fixup: which weights are zero, and how much the others shrink."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from fanin.initializers import he_normal, ones, zeros


class Block(nn.Module):
    """A branch of three convolutions with Fixup's scalar behind the last."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(3))
        self.scale = nn.Parameter(torch.ones(1))
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> Any:
        y = x
        for conv in self.convs:
            y = conv(torch.relu(y))
        return x + y * self.scale + self.shift


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.blocks = nn.Sequential(*[Block(4) for _ in range(5)])
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def test_branches_by_formula(zoo: Any) -> None:
    model, inputs = Net(), torch.zeros(2, 3, 4, 4)
    found, choices = zoo.stds(model, "fixup", inputs), zoo.choices(model, "fixup", inputs)
    for block in range(5):
        for conv in range(2):  # L = 5 branches of m = 3 weights
            he = math.sqrt(2 / 36)
            std = found[f"blocks.{block}.convs.{conv}.weight"]
            assert std == pytest.approx(he * 5 ** (-1 / 4))
        assert choices[f"blocks.{block}.convs.2.weight"].initializer == zeros()
        assert choices[f"blocks.{block}.scale"].initializer == ones()
        assert choices[f"blocks.{block}.shift"].initializer == zeros()
    assert choices["stem.weight"].initializer == he_normal()
    assert choices["head.weight"].initializer == zeros()
    assert all(std == 0 for name, std in found.items() if name.endswith("bias"))


def test_attention_is_a_branch_of_two_weights(zoo: Any) -> None:
    found = zoo.stds("encoder", "fixup")
    packed = found["layers.0.self_attn.in_proj_weight"]
    assert packed == pytest.approx(math.sqrt(2 / 8) * 4 ** (-1 / 2))
    assert found["layers.0.self_attn.out_proj.weight"] == 0
    assert found["layers.1.linear1.weight"] == pytest.approx(math.sqrt(2 / 8) * 4 ** (-1 / 2))
    assert found["layers.1.linear2.weight"] == found["head.weight"] == 0
    assert found["patches.weight"] == pytest.approx(math.sqrt(2 / 48))


def test_a_branch_of_one_weight_is_zero_and_nothing_else_shrinks(zoo: Any) -> None:
    class Line(nn.Linear):
        def forward(self, x: torch.Tensor) -> Any:
            return x + super().forward(x)

    model = nn.Sequential(nn.Linear(3, 4), Line(4, 4), nn.Linear(4, 2))
    found = zoo.stds(model, "fixup", torch.zeros(5, 3))
    assert found["0.weight"] == pytest.approx(math.sqrt(2 / 3))
    assert found["1.weight"] == found["2.weight"] == 0


def test_a_model_without_branches_is_hes_but_for_the_head(zoo: Any) -> None:
    found = zoo.stds("mlp", "fixup")
    assert found["0.weight"] == pytest.approx(math.sqrt(2 / 6))
    assert found["2.weight"] == pytest.approx(math.sqrt(2 / 8))
    assert found["4.weight"] == 0
