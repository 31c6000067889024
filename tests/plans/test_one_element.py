"""A parameter of one element: nothing in it shows whether its value was drawn or written."""

import math
import warnings

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin import FaninWarning
from fanin.recipes import is_short
from fanin.streams import Stream

X = torch.zeros(2, 8)


class Scaled(nn.Module):
    """A layer written by hand, of one unit, with scales; fanin can build it again."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.weight = nn.Parameter(torch.randn(1, inputs))
        self.bias = nn.Parameter(torch.randn(1))
        self.scale = nn.Parameter(torch.rand(()))
        self.log_scale = nn.Parameter(torch.randn(1, 1))
        self.written = nn.Parameter(torch.tensor(3.3).log().add(1).exp())

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = (x * self.scale) @ self.weight.T + self.bias
        return made * self.log_scale.exp() * self.written


class Unknown(nn.Module):
    """Its argument is not kept, so that nobody can build it again."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.scale = nn.Parameter(torch.tensor([number]))

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layer(x) * self.scale
        return made


def _make(random: int) -> Scaled:
    torch.manual_seed(random)
    return Scaled(8)


@pytest.mark.parametrize("inputs", [None, X])
def test_what_was_drawn_follows_from_the_seed(inputs: Tensor | None) -> None:
    models = [_make(0), _make(1)]
    with fanin.empty_weights():
        models.append(Scaled(8))
    plans = [fanin.initialize(model, 0, inputs, strict=True) for model in models]
    plans.append(fanin.initialize(models[0], 0, inputs, strict=True))  # and once more
    assert len({str(plan) for plan in plans}) == 1
    for model in models[1:]:
        for mine, first in zip(model.parameters(), models[0].parameters(), strict=True):
            assert torch.equal(mine, first)
    assert models[0].written.item() == pytest.approx(3.3 * math.e)
    assert models[0].scale.item() == 1
    assert inputs is None or models[0].bias.item() == 0


def test_what_fanin_cannot_find_out_is_told() -> None:
    model = Unknown(0.8098284602165222)
    with pytest.warns(FaninWarning, match="scale: the values are the constructor's"):
        plan = fanin.initialize(model, 0, X)
    assert plan["scale"].keeps == "unseeded"
    assert model.scale.item() == pytest.approx(0.80982846)
    assert any("stay in scale" in note for note in plan.notes)
    with pytest.raises(fanin.FaninError, match=r"strict is True, .* of the parameters scale"):
        fanin.plan(model, X, strict=True)


@pytest.mark.parametrize("number", [0.07, 1e-6, 2.5, 1000.0, math.log(1 / 0.07), 128**-0.5])
def test_what_people_write_stays_without_a_word(number: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", FaninWarning)
        plan = fanin.plan(Unknown(number), X, strict=True)
    assert plan["scale"].initializer is not None
    assert plan["scale"].std == 0


def test_draws_are_seldom_numbers_that_people_write() -> None:
    """8000 draws: the rule says about 1 in 1000, and 30 of them at once in 10^8 runs."""
    drawn = Stream(0, "numbers").normal((8000,), dtype="float32")
    assert sum(is_short(float(f"{number:.9g}")) for number in drawn.tolist()) < 30
