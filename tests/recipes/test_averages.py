"""Averages whose weights and products are added step by step, as in RWKV."""

import re

import pytest
import torch
from torch import Tensor, nn

import fanin

WIDTH, STEPS = 128, 8


class Stepwise(nn.Module):
    """Values averaged with weights that fade, one position after another, and what reads them."""

    def __init__(self, crossed: bool = False, others: bool = False) -> None:
        super().__init__()
        self.crossed, self.others = crossed, others
        self.key, self.value = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.after = nn.Linear(WIDTH, 8)
        self.fed = torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        key, value = self.key(x), self.value(x)
        top, bottom = (torch.zeros_like(key[:, 0]) for _ in range(2))
        made = []
        for step in range(STEPS):
            kept = torch.sigmoid(key[:, step] - 1)
            weight = torch.exp(key[:, step])
            top = kept * top + weight * value[:, step]
            counted = torch.exp(-key[:, step]) if self.others else weight
            bottom = counted + kept * bottom if self.crossed else kept * bottom + counted
            made.append(top / (bottom + 1e-6) if self.crossed else top / bottom)
        self.fed = torch.stack(made, 1)
        return self.after(self.fed)


@pytest.mark.parametrize("crossed", [False, True])
def test_products_over_the_weights_that_they_were_made_with_are_averages(crossed: bool) -> None:
    """Eight values at most, so their second moment is 1/8 to 1 of the plan's (6 % for chance)."""
    torch.manual_seed(0)
    model, rows = Stepwise(crossed), torch.randn(64, STEPS, WIDTH)
    plan = fanin.initialize(model, 0, rows)
    model(rows)
    fed = re.search(r"second moment ([0-9.]+)", plan["after.weight"].why)
    assert fed is not None
    assert plan["after.weight"].averaged
    value = float(model.value(rows).detach().square().mean())
    assert float(fed[1]) == pytest.approx(value, rel=0.06)
    assert value / STEPS < float(model.fed.detach().square().mean()) < 1.06 * value


def test_products_over_other_weights_are_none() -> None:
    plan = fanin.plan(Stepwise(others=True), torch.randn(2, STEPS, WIDTH))
    assert not plan["after.weight"].averaged
