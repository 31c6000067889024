"""The recipes gpt2, llama and vit on small models: standard deviations by hand."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from fanin import FaninError, plan
from fanin.initializers import normal, zeros

ENDS = [f"layers.{i}.{end}.weight" for i in range(2) for end in ("self_attn.out_proj", "linear2")]


def test_gpt2_shrinks_what_ends_a_branch(zoo: Any) -> None:
    found = zoo.stds("encoder", "gpt2")
    for name, std in found.items():
        if name in ENDS:  # two layers of two branches
            assert std == pytest.approx(0.02 / math.sqrt(4)), name
        elif name.endswith("bias") or "norm" in name:
            assert std == 0, name
        else:
            assert std == 0.02, name
    assert {"positions", "token", "layers.0.self_attn.in_proj_weight", "head.weight"} < set(found)


class Branch(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.line = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> Any:
        return x + self.line(x)


def test_gpt2_counts_the_branches_of_each_stream(zoo: Any) -> None:
    model = nn.Sequential(*[Branch(4) for _ in range(3)], nn.Linear(4, 5), Branch(5))
    found = zoo.stds(model, "gpt2", torch.zeros(2, 4))
    assert found["0.line.weight"] == pytest.approx(0.02 / math.sqrt(3))
    assert found["3.weight"] == 0.02
    assert found["4.line.weight"] == 0.02  # the only branch of its stream


def test_gpt2_without_inputs_is_an_error(zoo: Any) -> None:
    for recipe in ("gpt2", "vit", "fixup"):
        with pytest.raises(FaninError, match=f"{recipe}.* needs .*inputs="):
            plan(zoo.models["mlp"](), recipe=recipe)


def test_llama_has_one_std(zoo: Any) -> None:
    for kind in zoo.models:
        found = zoo.stds(kind, "llama")
        for name, std in found.items():
            weight = "weight" in name and "norm" not in name and (kind, name) != ("cnn", "1.weight")
            assert std == (0.02 if weight or name in ("token", "positions") else 0), name
    model = zoo.models["lstm"]()
    assert zoo.choices(model, "llama")["lstm.bias_ih_l0"].initializer == zeros()


def test_vit_by_formula(zoo: Any) -> None:
    choices = zoo.choices(zoo.models["encoder"](), "vit", zoo.inputs["encoder"])
    found = zoo.stds("encoder", "vit")
    assert found["patches.weight"] == pytest.approx(1 / math.sqrt(3 * 16))
    assert found["token"] == found["head.weight"] == found["head.bias"] == 0
    assert found["positions"] == 0.02
    for layer in ("layers.0.", "layers.1."):
        assert found[layer + "self_attn.in_proj_weight"] == pytest.approx(math.sqrt(2 / 16))
        assert found[layer + "self_attn.out_proj.weight"] == pytest.approx(math.sqrt(2 / 16))
        assert found[layer + "linear1.weight"] == pytest.approx(math.sqrt(2 / 40))
        assert found[layer + "linear2.weight"] == pytest.approx(math.sqrt(2 / 40))
        assert choices[layer + "linear1.bias"].initializer == normal(std=1e-6)
        assert choices[layer + "linear2.bias"].initializer == normal(std=1e-6)
        assert choices[layer + "self_attn.in_proj_bias"].initializer == zeros()
        assert choices[layer + "self_attn.out_proj.bias"].initializer == zeros()
