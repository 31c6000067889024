"""The recipe mup: sizes and learning rates as a function of the width, by table 3."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fanin import FaninError, plan
from fanin.plans import optimizer_groups
from fanin.recipes import Choice, completep, depth_mup, find, mup

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
    def __init__(self, width: int, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor
        self.words = nn.Embedding(5, width)
        self.head = nn.Linear(width, 5, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.words(x)) * self.factor


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
    with pytest.raises(FaninError, match=r"optimizer of mup is 'lion'; allowed are adam, sgd, mu"):
        mup(base={}, optimizer="lion")
    with pytest.raises(FaninError, match=r"layers of completep is 0; give the base's number"):
        completep(base={}, layers=0)
    with pytest.raises(FaninError, match=r"recipe 'completep' needs the shapes of a narrower mod"):
        find("completep")


def test_an_override_keeps_the_learning_rate(zoo: Any) -> None:
    base = dict(zoo.models["mlp"](8).named_parameters())
    rows = plan(zoo.models["mlp"](32), recipe=mup(base=base), overrides={"4.weight": "zeros"})
    assert (str(rows["4.weight"].initializer), rows["4.weight"].lr_factor) == ("zeros()", 1 / 4)


def test_rates_of_sgd_and_muon(zoo: Any) -> None:
    """Of SGD by table 3: input growth, hidden 1, output 1 / growth; vectors by their growth."""
    rates = {}
    for optimizer in ("sgd", "muon"):
        base = dict(zoo.models["mlp"](8).named_parameters())
        made = zoo.choices(zoo.models["mlp"](32), mup(base, optimizer), zoo.inputs["mlp"])
        rates[optimizer] = [choice.lr_factor for choice in made.values()]
    names = ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"]
    assert dict(zip(names, rates["sgd"], strict=True)) == {
        "0.weight": 4, "0.bias": 4, "2.weight": 1, "2.bias": 4, "4.weight": 1 / 4, "4.bias": 1,
    }  # fmt: skip
    assert rates["muon"] == [1, 1, 1, 1, 1 / 4, 1]
    base = {"weight": (6, 4), "bias": (6,)}
    made = zoo.choices(nn.Linear(8, 54), mup(base, "muon"))
    assert made["weight"].lr_factor == pytest.approx(math.sqrt(9 / 2))


def test_a_tied_head_asks_for_a_division() -> None:
    base, tokens = {"words.weight": (5, 2)}, torch.zeros(1, 3, dtype=torch.long)
    made = plan(Tied(8), tokens, mup(base=base))
    assert made["words.weight"].std == pytest.approx(2**-0.5)  # that of the base
    assert made["words.weight"].lr_factor == 1
    (note,) = [note for note in made.notes if "logits" in note]
    assert note == (
        "the model must divide the logits of words.weight, a table too, by 4; the run shows "
        "them times 1."
    )
    assert not any("logits" in note for note in plan(Tied(8, 0.25), tokens, mup(base=base)).notes)
    assert any("by 4." in note for note in plan(Tied(8), recipe=mup(base=base)).notes)


class Deep(nn.Module):
    """Residual layers of one weight, times a number."""

    def __init__(self, width: int, layers: int = 4, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor
        self.first, self.head = nn.Linear(3, width), nn.Linear(width, 2)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))

    def forward(self, x: torch.Tensor) -> Any:
        x = self.first(x)
        for layer in self.layers:
            x = x + self.factor * torch.relu(layer(x))
        return self.head(x)


def deep(recipe: Any, factor: float = 1.0) -> Any:
    base = dict(Deep(8).named_parameters())
    return plan(Deep(32, factor=factor), torch.zeros(2, 3), recipe(base, layers=2))


def test_completep_by_its_table() -> None:
    """Width times 4, layers times 2."""
    made = deep(completep)
    factors = {
        name: (row.lr_factor, row.eps_factor, row.decay_factor) for name, row in made.items()
    }
    assert factors["first.weight"] == (1, 1 / 4, 1)
    assert factors["layers.1.weight"] == (1 / 4, 1 / 8, 4)
    assert factors["layers.1.bias"] == (1, 1 / 8, 1)
    assert factors["head.weight"] == (1 / 4, 1, 4)
    assert factors["head.bias"] == (1, 1, 1)
    assert made["layers.0.weight"].std == pytest.approx(1 / math.sqrt(32))
    (note,) = [note for note in made.notes if "branches" in note]
    assert "multiplied by 0.5 in the model; the run shows 1." in note
    assert not any("branches" in note for note in deep(completep, 0.5).notes)


def test_depth_mup_shrinks_rates_of_branches() -> None:
    made = deep(depth_mup, 0.5**0.5)
    assert made["layers.3.weight"].lr_factor == pytest.approx(0.5**0.5 / 4)
    assert made["layers.3.weight"].eps_factor == made["layers.3.weight"].decay_factor == 1
    assert made["first.weight"].lr_factor == 1
    assert not any("branches" in note for note in made.notes)
    assert any("multiplied by 0.7071" in note for note in deep(depth_mup).notes)


def test_groups_of_an_optimizer(tmp_path: Path) -> None:
    made = deep(completep)
    assert type(made).load(made.save(tmp_path / "plan.toml")) == made
    model = Deep(32)
    tensors = dict(model.named_parameters())
    groups = optimizer_groups(made, tensors, lr=0.1, eps=1e-8, weight_decay=0.5)
    assert sum(len(group["params"]) for group in groups) == len(tensors)
    hidden = next(g for g in groups if any(p is model.layers[0].weight for p in g["params"]))
    assert (hidden["lr"], hidden["eps"], hidden["weight_decay"]) == (0.025, 1.25e-9, 2.0)
    assert len(hidden["params"]) == 4
    torch.optim.AdamW(groups)
    assert set(optimizer_groups(made, tensors, lr=1.0)[0]) == {"params", "lr"}
    with pytest.raises(FaninError, match="the plan has no parameter 'other'; make it of the same"):
        optimizer_groups(made, {"other": model.head.bias}, lr=1.0)
    with pytest.raises(FaninError, match="lr is 0; give a number above 0"):
        optimizer_groups(made, tensors, lr=0)
