import math

import pytest
import torch

from fanin import FaninError, initialize
from fanin.lab import recipes
from fanin.lab.networks import SmallConvNet
from fanin.lab.settings import INITIALIZERS


def initialized(name: str, seed: int) -> dict[str, torch.Tensor]:
    model = SmallConvNet()
    recipes.find(name).initialize(model, seed)
    return {name: value.detach() for name, value in model.named_parameters()}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_a_default_row_is_a_function_of_its_seed(name: str) -> None:
    first, again, other = (initialized(name, seed) for seed in (2**64 - 1, 2**64 - 1, 0))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not any(torch.equal(first[key], other[key]) for key in first if "weight" in key)


def test_torch_is_what_a_new_module_has() -> None:
    torch.manual_seed(5)
    fresh = dict(SmallConvNet().named_parameters())
    before = torch.get_rng_state()
    drawn = initialized("torch", 5)
    assert all(torch.equal(fresh[key], drawn[key]) for key in drawn)
    # The models above drew their own defaults; the recipe itself moved the generator nowhere.
    torch.set_rng_state(before)
    model = SmallConvNet()
    after = torch.get_rng_state()
    recipes.find("torch").initialize(model, 5)
    assert torch.equal(torch.get_rng_state(), after)


def test_glorot_then_he() -> None:
    mixed, glorot, he = (
        initialized(name, 1) for name in ("glorot_then_he", "glorot_normal", "he_normal")
    )
    assert torch.equal(mixed["conv1.weight"], glorot["conv1.weight"])
    assert torch.equal(mixed["conv2.weight"], he["conv2.weight"])
    assert torch.equal(mixed["head.weight"], he["head.weight"])
    assert mixed["head.weight"].std() == pytest.approx(math.sqrt(2 / 648), rel=0.05)


def test_an_expression_is_what_initialize_makes_of_it() -> None:
    model = SmallConvNet()
    initialize(model, 3, initializer="uniform(-0.5, 0.5)")
    drawn = initialized("uniform(-0.5, 0.5)", 3)
    assert torch.equal(model.conv1.weight, drawn["conv1.weight"])


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("he_norml", "he_normal"), ("troch", "torch"), ("glorot_than_he", "glorot_then_he")],
)
def test_an_unknown_name_gets_the_nearest_of_both_lists(name: str, nearest: str) -> None:
    with pytest.raises(FaninError, match=f"unknown initializer '{name}': did you mean '{nearest}'"):
        recipes.find(name)
