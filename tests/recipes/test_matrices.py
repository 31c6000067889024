"""Matrices made of parameters: an input meets every factor of W + B @ A as it does with layers."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import parametrize

import fanin

WIDTH, RANK, OUT = 256, 4, 32
Forms = Callable[["LowRank", Tensor], Tensor]


class LowRank(nn.Module):
    def __init__(self, form: Forms, made: float = 0.0) -> None:
        super().__init__()
        self.form = form
        self.w = nn.Parameter(torch.randn(OUT, WIDTH) / 16)
        self.a = nn.Parameter(torch.randn(RANK, WIDTH) / 16)
        self.b = nn.Parameter(made * torch.randn(OUT, RANK).abs())

    def forward(self, x: Tensor) -> Tensor:
        return self.form(self, x)


def std(plan: fanin.Plan, name: str) -> float:
    row = plan[name]
    assert row.initializer is not None
    return row.initializer.std(row.shape, row.axes)


FORMS: dict[str, Forms] = {
    "two layers": lambda m, x: F.linear(x, m.w) + F.linear(F.linear(x, m.a), m.b),
    "a sum": lambda m, x: F.linear(x, m.w + m.b @ m.a),
    "in front": lambda m, x: F.linear(x, m.b @ m.a + m.w),
    "times a number": lambda m, x: F.linear(x, m.w + 2.0 * (m.b @ m.a)),
    "over a number": lambda m, x: x @ (m.w + (m.b @ m.a) / RANK).T,
    "turned": lambda m, x: x @ (m.w.T + m.a.T @ m.b.T),
    "of three axes": lambda m, x: (x[:, None] @ (m.w + m.b @ m.a).T)[:, 0],
    "addmm": lambda m, x: F.linear(x, m.w) + F.linear(x, m.b @ m.a),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_low_rank_update_is_sized_as_two_layers(form: str) -> None:
    x = torch.randn(512, WIDTH)
    torch.manual_seed(0)
    model = LowRank(FORMS[form])
    plan = fanin.initialize(model, 0, x)
    assert std(plan, "w") == std(plan, "a") == pytest.approx(WIDTH**-0.5)
    assert not model.b.any()  # an update that starts at zero still does
    assert float(model(x).detach().square().mean()) == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("number", [1.0, 0.1, 10.0])
def test_a_product_of_matrices_alone(number: float) -> None:
    """32 outputs of rank 4, 512 samples, three seeds: their mean square is sure to about 20 %."""
    x, found = torch.randn(512, WIDTH), []
    model = LowRank(lambda m, x: torch.tanh(F.linear(x, number * (m.b @ m.a))) @ m.w, made=1.0)
    for seed in range(3):
        plan = fanin.initialize(model, seed, x)
        found.append(float(F.linear(x, number * model.b @ model.a).detach().square().mean()))
    assert std(plan, "a") == pytest.approx(WIDTH**-0.5)
    assert std(plan, "b") == pytest.approx(RANK**-0.5 / number)
    assert sum(found) / 3 == pytest.approx(1.0, rel=0.5)


def test_a_parametrization_that_adds_a_low_rank_update() -> None:
    class Update(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.randn(RANK, WIDTH))
            self.b = nn.Parameter(torch.zeros(OUT, RANK))

        def forward(self, weight: Tensor) -> Tensor:
            return weight + self.b @ self.a

    layer = nn.Linear(WIDTH, OUT)
    parametrize.register_parametrization(layer, "weight", Update())
    plan = fanin.plan(layer, torch.randn(4, WIDTH))
    assert std(plan, "weight") == pytest.approx(WIDTH**-0.5)
    assert std(plan, "parametrizations.weight.0.a") == pytest.approx(WIDTH**-0.5)


def test_powers_of_sums_are_no_layers() -> None:
    """Their factors double with every square: the plan ends, and says what it can."""

    def power(model: LowRank, x: Tensor) -> Tensor:
        matrix = model.b @ model.a @ model.w.T
        for _ in range(30):
            matrix = matrix @ matrix / 100
        return x @ model.a.T @ model.b.T @ matrix

    plan = fanin.plan(LowRank(power, made=1.0), torch.randn(4, WIDTH))
    assert std(plan, "a") > 0
