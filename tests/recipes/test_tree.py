"""Rules by kind: what every parameter gets where no run showed it at work."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from fanin import plan
from fanin.axes import Axes
from fanin.initializers import (
    constant,
    forget_gate,
    he_normal,
    lecun_normal,
    normal,
    ones,
    orthogonal,
    zeros,
)
from fanin.param import Param
from fanin.recipes import find

GELU = 1.5335304412  # 1 / sqrt(E gelu(z)**2)


def chosen(param: Param) -> Any:
    return find("auto").choose({param.name: param}, None, {})


def test_weights_by_their_activation(zoo: Any) -> None:
    found = zoo.stds(zoo.models["mlp"](), "auto")
    assert found["0.weight"] == pytest.approx(math.sqrt(1 / 6))
    assert found["2.weight"] == pytest.approx(math.sqrt(2 / 8))
    cnn = zoo.stds(zoo.models["cnn"](), "auto")
    assert cnn["3.weight"] == pytest.approx(math.sqrt(2 / 9))
    assert cnn["5.weight"] == pytest.approx(math.sqrt(2 / 8))  # 8 channels, 1 of 4 positions
    assert cnn["8.weight"] == pytest.approx(math.sqrt(1 / 8))
    assert zoo.choices(zoo.models["mlp"](), "auto")["2.weight"].initializer == he_normal()
    model = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 4))
    assert zoo.stds(model, "auto")["2.weight"] == pytest.approx(GELU / 2)


def test_the_reason_says_that_the_model_was_not_run(zoo: Any) -> None:
    made = zoo.choices(zoo.models["mlp"](), "auto")
    assert made["2.weight"].why == "after ReLU, gain 1.414; the model was not run"
    assert made["0.weight"].why == "no activation is known before it; the model was not run"


def test_parameters_that_a_run_left_out_are_placed(zoo: Any) -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(3, 3), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> Any:
            return self.used(x)

    made = zoo.choices(Half(), "auto", torch.zeros(2, 3))
    assert made["idle.weight"].why == "no activation is known before it; the run did not use it"
    assert "run" not in made["used.weight"].why


def test_other_kinds(zoo: Any) -> None:
    made = zoo.choices(zoo.models["lstm"](), "auto")
    assert made["words.weight"].initializer == normal()
    assert made["lstm.weight_hh_l0"].initializer == orthogonal()
    assert made["lstm.bias_ih_l0"].initializer == forget_gate()
    assert made["lstm.bias_hh_l0"].initializer == zeros()
    encoder = zoo.choices(zoo.models["encoder"](), "auto")
    assert encoder["positions"].initializer == encoder["token"].initializer == normal(std=1.0)
    assert encoder["norm.weight"].initializer == ones()
    slope = zoo.choices(nn.PReLU(init=0.2), "auto")
    assert slope["weight"].initializer == constant(0.2)
    assert zoo.choices(nn.PReLU(init=0.2), "auto", torch.zeros(4, 3)) == slope


def test_without_a_run_the_rest_is_a_guess_that_says_so() -> None:
    param = Param("gate", (5,), "float32", "other", "Gate", Axes(("stack",)))
    rows = Param("rows", (5, 3), "float32", "other", "Gate", Axes(("stack", "stack")))
    assert chosen(param)["gate"].initializer is None
    assert chosen(rows)["rows"].initializer == normal(std=0.02)
    assert chosen(param)["gate"].guessed
    assert chosen(rows)["rows"].guessed
    assert chosen(replace(param, kind="shift"))["gate"].initializer == zeros()


NORMED = {
    "linear": (lambda: nn.Linear(6, 9), 0, torch.zeros(2, 6)),
    "linear, whole": (lambda: nn.Linear(6, 9), None, torch.zeros(2, 6)),
    "convolution": (lambda: nn.Conv2d(4, 6, 3, groups=2), 0, torch.zeros(2, 4, 5, 5)),
    "transposed": (lambda: nn.ConvTranspose1d(4, 6, 4, stride=2), 0, torch.zeros(2, 4, 5)),
}


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("kind", NORMED)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_normalized_weights_get_the_size_of_plain_ones(kind: str, old: bool, zoo: Any) -> None:
    """The root mean square of an effective weight is exact: it is what the norm fixes."""
    make, dim, inputs = NORMED[kind]
    weight_norm = nn.utils.weight_norm if old else nn.utils.parametrizations.weight_norm
    model = weight_norm(make(), dim=dim)  # type: ignore[operator]
    for recipe in ("auto", "torch", "llama"):
        plain = zoo.stds(make(), recipe)["weight"]
        plan(model, recipe=recipe).apply(model)
        model(inputs)  # where hooks compute the weight
        assert float(model.weight.detach().square().mean().sqrt()) == pytest.approx(plain, rel=1e-5)


class Branch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.line = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))

    def forward(self, x: torch.Tensor) -> Any:
        return x + self.line(x)


def test_a_normalized_weight_of_zero_keeps_a_direction(zoo: Any) -> None:
    model = nn.Sequential(nn.Linear(3, 4), Branch(), nn.Linear(4, 2))
    made = zoo.choices(model, "fixup", torch.zeros(2, 3))
    assert made["1.line.weight.original0"].initializer == zeros()
    assert made["1.line.weight.original1"].initializer == lecun_normal()


def test_a_table_that_is_also_a_head_is_sized_for_it_without_a_run() -> None:
    class Language(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.places = nn.Embedding(50, 16), nn.Embedding(7, 16)
            self.head = nn.Linear(16, 50, bias=False)
            self.head.weight = self.words.weight

    rows = plan(Language())
    for name in ("words.weight", "places.weight"):
        assert rows[name].initializer == normal(std=0.25)
    assert rows["words.weight"].why.startswith("also the head")
