"""The recipe mup: sizes and learning rates as a function of the width, by table 3."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from fanin import FaninError, plan
from fanin.recipes import Choice, mup

RELU = 2.0  # squared gain


def made(zoo: Any, kind: str, width: int, base: int) -> tuple[dict[str, Choice], dict[str, float]]:
    wide, narrow = (zoo.models[kind](one) for one in (width, base))
    recipe = mup(base=dict(narrow.named_parameters()))
    inputs = zoo.inputs[kind]
    return zoo.choices(wide, recipe, inputs), zoo.stds(wide, recipe, inputs)


@pytest.mark.parametrize("growth", [1, 4, 16])
def test_an_mlp_by_table_3(growth: int, zoo: Any) -> None:
    choices, stds = made(zoo, "mlp", 8 * growth, 8)
    assert stds["0.weight"] == pytest.approx(math.sqrt(1 / 6))  # input
    assert stds["2.weight"] == pytest.approx(math.sqrt(RELU / (8 * growth)))  # hidden
    tanh = zoo.stds(zoo.models["mlp"](8), "auto")["4.weight"] ** 2 * 8
    assert stds["4.weight"] == pytest.approx(math.sqrt(tanh / (8 * growth) / growth))  # output
    rates = {name: choice.lr_factor for name, choice in choices.items()}
    assert rates == {
        "0.weight": 1,
        "0.bias": 1,
        "2.weight": 1 / growth,
        "2.bias": 1,
        "4.weight": 1 / growth,
        "4.bias": 1,
    }


def test_convolutions_embeddings_and_recurrent_layers(zoo: Any) -> None:
    choices, stds = made(zoo, "cnn", 32, 8)
    assert (choices["0.weight"].lr_factor, choices["3.weight"].lr_factor) == (
        1,
        1,
    )  # depthwise: fan_in stays 9
    assert choices["5.weight"].lr_factor == choices["8.weight"].lr_factor == 1 / 4
    assert stds["8.weight"] == pytest.approx(math.sqrt(1 / 32 / 4))
    assert stds["3.weight"] == pytest.approx(math.sqrt(RELU / 9))
    choices, stds = made(zoo, "lstm", 16, 8)
    assert (stds["words.weight"], choices["words.weight"].lr_factor) == (1, 1)
    assert choices["lstm.weight_ih_l0"].lr_factor == choices["lstm.weight_hh_l0"].lr_factor == 1 / 2
    assert stds["lstm.weight_ih_l0"] == pytest.approx(1 / 4)


def test_a_transformer(zoo: Any) -> None:
    choices, stds = made(zoo, "encoder", 16, 8)
    assert (
        choices["patches.weight"].lr_factor
        == choices["positions"].lr_factor
        == choices["token"].lr_factor
        == 1
    )
    assert choices["layers.0.self_attn.in_proj_weight"].lr_factor == 1 / 2
    assert stds["layers.0.self_attn.in_proj_weight"] == pytest.approx(1 / 4)
    assert stds["head.weight"] == pytest.approx(math.sqrt(1 / 16 / 2))
    rows = plan(
        zoo.models["encoder"](16),
        recipe=mup(base=dict(zoo.models["encoder"](8).named_parameters())),
    )
    assert rows["head.weight"].lr_factor == 1 / 2


def test_a_base_may_be_shapes(zoo: Any) -> None:
    base = {name: tuple(one.shape) for name, one in zoo.models["mlp"](4).named_parameters()}
    assert zoo.choices(zoo.models["mlp"](8), mup(base=base))["2.weight"].lr_factor == 1 / 2


class Tied(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(5, width)
        self.head = nn.Linear(width, 5, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.words(x))


def test_what_it_cannot_place_is_said(zoo: Any) -> None:
    with pytest.raises(FaninError, match=r"recipe 'mup' needs the shapes of a narrower model: "):
        plan(zoo.models["mlp"](), recipe="mup")
    with pytest.raises(FaninError, match=r"base of mup is 64; it maps parameter names to shapes"):
        mup(base=64)  # type: ignore[arg-type]
    with pytest.raises(FaninError, match=r"base of mup has no '0\.weight', of shape \(8, 6\)"):
        plan(zoo.models["mlp"](), recipe=mup(base={}))
    base = {name: one.shape for name, one in zoo.models["mlp"](4).named_parameters()}
    with pytest.raises(FaninError, match=r"0\.weight has shape \(8, 6\), and \(4, 6, 1\) in the b"):
        plan(zoo.models["mlp"](), recipe=mup(base={**base, "0.weight": (4, 6, 1)}))
    narrow = nn.Conv2d(3, 4, 5)
    with pytest.raises(FaninError, match=r"weight of shape \(4, 3, 3, 3\) has another kernel"):
        plan(nn.Conv2d(3, 4, 3), recipe=mup(base=dict(narrow.named_parameters())))
    tied = mup(base={"words.weight": (5, 2)})
    with pytest.raises(FaninError, match=r"words\.weight of shape \(5, 4\) is also head\.weight"):
        plan(Tied(4), recipe=tied)


def test_an_override_keeps_the_learning_rate(zoo: Any) -> None:
    base = dict(zoo.models["mlp"](8).named_parameters())
    rows = plan(zoo.models["mlp"](32), recipe=mup(base=base), overrides={"4.weight": "zeros"})
    assert (str(rows["4.weight"].initializer), rows["4.weight"].lr_factor) == ("zeros()", 1 / 4)
