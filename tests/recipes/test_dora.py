"""DoRA: low-rank updates of frozen weights, and the norms of their rows, start as the weight."""

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import fanin


class ByHand(nn.Module):
    """Liu et al. 2024: m (W + B A) / |W + B A|, row by row, of bare parameters."""

    def __init__(self, column: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16, 8) * 0.05, requires_grad=False)
        self.A, self.B = nn.Parameter(torch.randn(2, 8) * 0.1), nn.Parameter(torch.zeros(16, 2))
        self.m = nn.Parameter(self.weight.norm(dim=1, keepdim=column).clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight + self.B @ self.A
        return functional.linear(x, self.m.view(-1, 1) * weight / weight.norm(dim=1, keepdim=True))


class AsPeft(nn.Module):
    """As peft does it: the update is found by running its layers on the identity."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(8, 16).requires_grad_(False)
        self.lora_A, self.lora_B = nn.Linear(8, 2, bias=False), nn.Linear(2, 16, bias=False)
        nn.init.zeros_(self.lora_B.weight)
        self.magnitude = nn.Parameter(self.base.weight.detach().norm(dim=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        update = self.lora_B(self.lora_A(torch.eye(8))).T
        norms = (self.base.weight + update).norm(dim=1).detach()
        low = self.lora_B(self.lora_A(x))
        return self.magnitude / norms * (functional.linear(x, self.base.weight) + low)


@pytest.mark.parametrize("inputs", [torch.zeros(3, 8), None])
@pytest.mark.parametrize("recipe", ["auto", "orthogonal"])
@pytest.mark.parametrize("build", [lambda: ByHand(False), lambda: ByHand(True), AsPeft])
def test_the_base_does_not_move(build: Any, recipe: str, inputs: Any) -> None:
    torch.manual_seed(0)
    model = build()
    x = torch.randn(5, 8)
    before = model(x)
    plan = fanin.initialize(model, 0, inputs, recipe)
    torch.testing.assert_close(model(x), before, rtol=0, atol=0)
    first = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape))
    assert fanin.initialize(model, 0, inputs, recipe).rows == plan.rows
    assert all(torch.equal(first[name], value) for name, value in model.state_dict().items())


def test_what_runs_on_the_identity_is_sized_for_the_data() -> None:
    plan = fanin.plan(AsPeft(), torch.zeros(3, 8))
    assert plan["lora_A.weight"].initializer == fanin.initializers.lecun_normal()
    assert plan["magnitude"].why == "the norms of a frozen weight, kept"
