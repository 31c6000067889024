"""Recipes by name."""

from typing import Any

import pytest
import torch
from torch import nn

from fanin import FaninError, recipes
from fanin.initializers import zeros
from fanin.recipes._registry import CALLED, RECIPES

# Those that place parameters without a model to measure.
BY_NAME = [name for name, recipe in RECIPES.items() if not recipe.needs_values] + [*CALLED]


def test_names() -> None:
    assert set(recipes.names()) == {
        "auto", "orthogonal", "torch", "keras", "flax", "equinox", "haiku", "gpt2", "llama",
        "vit", "fixup", "lsuv", "mup", "depth_mup", "completep", "bert", "t5", "small_init", "wang",
        "gamma", "torchtitan", "olmo", "megatron", "nanochat", "spectral", "deepnorm", "sub_ln",
        "ds_init", "t_fixup", "rezero", "skipinit", "zero_gamma", "layerscale", "timm_vit",
        "efficientnet", "dcgan", "dit", "ppo", "siren", "sdf", "glow", "irnn",
        "chrono", "mamba", "mimetic", "pinn", "kan",
        "pissa", "milora", "olora", "mica", "eva", "corda", "lora_ga", "lora",
    }  # fmt: skip
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert recipe.source
        assert recipes.find(name) is recipe
        assert recipes.find(recipe) is recipe
    for name in CALLED:
        assert recipes.find(name).name.partition("(")[0] == name
        assert recipes.find(name).source


@pytest.mark.parametrize("kind", ["mlp", "cnn", "lstm", "encoder"])
@pytest.mark.parametrize("name", BY_NAME)
def test_every_parameter_of_common_models_is_placed(name: str, kind: str, zoo: Any) -> None:
    model = zoo.models[kind]()
    made = zoo.choices(model, name, zoo.inputs[kind])
    assert list(made) == [one for one, _ in model.named_parameters()]
    assert all(choice.why and choice.role for choice in made.values())


class Adapted(nn.Module):
    """A frozen layer with a low-rank update beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.base, self.a, self.b = nn.Linear(6, 5), nn.Linear(6, 2), nn.Linear(2, 5)
        self.base.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> Any:
        return self.base(x) + self.b(self.a(x))


@pytest.mark.parametrize("name", BY_NAME)
def test_low_rank_updates_start_at_zero(name: str, zoo: Any) -> None:
    model = nn.Sequential(nn.Linear(3, 6), Adapted(), nn.Linear(5, 2))
    made = zoo.choices(model, name, torch.zeros(4, 3))
    assert made["1.b.weight"].initializer == zeros()
    assert made["1.a.weight"].initializer != zeros()


def test_unknown_recipes_are_named() -> None:
    with pytest.raises(FaninError, match=r"unknown recipe 'fixpu': did you mean 'fixup'\?"):
        recipes.find("fixpu")
    with pytest.raises(FaninError, match=r"unknown recipe 'resnet'\. Of 55 known, nearest: "):
        recipes.find("resnet")
    with pytest.raises(FaninError, match=r"recipe is 3; give a name or a Recipe\."):
        recipes.find(3)  # type: ignore[arg-type]
    assert recipes.find("lsuv").needs == "values"
    with pytest.raises(FaninError, match=r"recipe lsuv needs a batch to measure on: pass"):
        recipes.find("lsuv").choose({}, None, {})
    with pytest.raises(FaninError, match=r"recipe 'mup' needs the shapes of a narrower model"):
        recipes.find("mup")
