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


class Line(nn.Linear):
    """A branch of one weight."""

    def forward(self, x: torch.Tensor) -> Any:
        return x + super().forward(x)


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
    model = nn.Sequential(nn.Linear(3, 4), Line(4, 4), nn.Linear(4, 2))
    found = zoo.stds(model, "fixup", torch.zeros(5, 3))
    assert found["0.weight"] == pytest.approx(math.sqrt(2 / 3))
    assert found["1.weight"] == found["2.weight"] == 0


def test_a_model_without_branches_is_hes_but_for_the_head(zoo: Any) -> None:
    found = zoo.stds("mlp", "fixup")
    assert found["0.weight"] == pytest.approx(math.sqrt(2 / 6))
    assert found["2.weight"] == pytest.approx(math.sqrt(2 / 8))
    assert found["4.weight"] == 0


class Attending(nn.Module):
    """A stream whose branch attends to another stream."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 4), Line(4, 4), Line(4, 4))
        self.q, self.k, self.v, self.o = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> Any:
        z = self.encoder(x)
        attended = nn.functional.scaled_dot_product_attention(self.q(y), self.k(z), self.v(z))
        return y + self.o(attended)


def test_a_branch_holds_no_weights_of_a_stream_that_it_attends_to(zoo: Any) -> None:
    inputs = (torch.zeros(2, 5, 3), torch.zeros(2, 6, 4))
    found = zoo.stds(Attending(), "fixup", inputs)
    for name in "qkv":  # 3 branches; this one has 2 weights on its longest way
        assert found[f"{name}.weight"] == pytest.approx(math.sqrt(2 / 4) * 3 ** (-1 / 2))
    assert found["o.weight"] == found["encoder.1.weight"] == 0
    assert found["encoder.0.weight"] == pytest.approx(math.sqrt(2 / 3))


class Nested(nn.Module):
    """A branch with a branch inside."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inner, self.last = nn.Linear(4, 4), Line(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> Any:
        return x + self.last(self.inner(self.first(x)))


def test_a_branch_within_a_branch(zoo: Any) -> None:
    model = nn.Sequential(nn.Linear(4, 4), Nested())
    found = zoo.stds(model, "fixup", torch.zeros(2, 4))
    assert found["1.first.weight"] == pytest.approx(math.sqrt(2 / 4) * 2 ** (-1 / 4))  # m = 3
    assert found["1.inner.weight"] == found["1.last.weight"] == 0
    assert found["0.weight"] == pytest.approx(math.sqrt(2 / 4))


class Normalized(nn.Module):
    """A branch that ends in a normalization, and a shortcut with a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.norm, self.shortcut = nn.BatchNorm2d(6), nn.Conv2d(3, 6, 1)

    def forward(self, x: torch.Tensor) -> Any:
        return self.shortcut(x) + self.norm(self.two(torch.relu(self.one(x))))


def test_a_normalization_at_the_end_is_zero_instead(zoo: Any) -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 1), Normalized())
    inputs = torch.zeros(2, 3, 4, 4)
    found, choices = zoo.stds(model, "fixup", inputs), zoo.choices(model, "fixup", inputs)
    assert choices["1.norm.weight"].initializer == zeros()
    assert found["1.two.weight"] == pytest.approx(math.sqrt(2 / 54))  # L = 1 shrinks nothing
    assert found["1.shortcut.weight"] == pytest.approx(math.sqrt(2 / 3))
