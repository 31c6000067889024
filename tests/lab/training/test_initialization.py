import math
from pathlib import Path

import pytest
import torch

import fanin
from fanin import FaninError
from fanin.lab.networks.networks import SmallConvNet
from fanin.lab.settings import INITIALIZERS, CompareSettings
from fanin.lab.setup import TrialSpec
from fanin.lab.training import initialization, lookup

IMAGES = torch.rand(16, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def initialized(name: str, seed: int) -> dict[str, torch.Tensor]:
    model = SmallConvNet()
    initialization.find(name).initialize(model, seed, IMAGES)
    return {name: value.detach() for name, value in model.named_parameters()}


@pytest.mark.parametrize("name", [*INITIALIZERS, "auto", "lsuv", "recipe:orthogonal"])
def test_a_row_is_a_function_of_its_seed(name: str) -> None:
    first, again, other = (initialized(name, seed) for seed in (2**64 - 1, 2**64 - 1, 0))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not any(torch.equal(first[key], other[key]) for key in first if "weight" in key)


def test_glorot_then_he() -> None:
    mixed, glorot, he = (
        initialized(name, 1) for name in ("glorot_then_he", "glorot_normal", "he_normal")
    )
    assert torch.equal(mixed["conv1.weight"], glorot["conv1.weight"])
    assert torch.equal(mixed["conv2.weight"], he["conv2.weight"])
    assert torch.equal(mixed["head.weight"], he["head.weight"])
    assert mixed["head.weight"].std() == pytest.approx(math.sqrt(2 / 648), rel=0.05)


@pytest.mark.parametrize("text", ["uniform(-0.5, 0.5)", "he_normal(mode='fan_out')"])
def test_an_expression_is_what_initialize_makes_of_it(text: str) -> None:
    model = SmallConvNet()
    fanin.initialize(model, 3, initializer=text)
    assert torch.equal(model.conv1.weight, initialized(text, 3)["conv1.weight"])


def test_a_recipe_sees_the_images() -> None:
    model = SmallConvNet()
    fanin.initialize(model, 3, inputs=IMAGES, recipe="auto")
    assert torch.equal(model.conv2.weight, initialized("auto", 3)["conv2.weight"])


def test_lsuv_measures_on_the_images() -> None:
    model = SmallConvNet()
    initialization.find("lsuv").initialize(model, 0, IMAGES)
    assert float(model.conv1(IMAGES).detach().var()) == pytest.approx(1, abs=0.02)


def test_rows_of_one_seed_are_no_twins_by_mistake() -> None:
    setup = CompareSettings(data="digits", train=40, test=20).setup
    names = ("lsuv", "glorot_then_he", "glorot_normal", "torch", "auto")
    built = lookup.initialize([TrialSpec(setup, name, 3, 0.1) for name in names])  # no warning
    assert len(built) == len(names)


def test_a_file_of_a_plan(tmp_path: Path) -> None:
    path = fanin.plan(SmallConvNet(), initializer="he_normal").save(tmp_path / "my.toml")
    drawn, expected = initialized(str(path), 5), initialized("he_normal", 5)
    assert all(torch.equal(drawn[key], expected[key]) for key in drawn)
    before = initialization.find(str(path)).digest
    fanin.plan(SmallConvNet(), initializer="glorot_normal").save(path)
    assert initialization.find(str(path)).digest != before
    with pytest.raises(FaninError, match=r"cannot read the plan .*none\.toml"):
        initialization.find("none.toml")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("he_norml", "he_normal"), ("troch", "torch"), ("glorot_than_he", "glorot_then_he")],
)
def test_an_unknown_name_gets_the_nearest_of_all_lists(name: str, nearest: str) -> None:
    with pytest.raises(FaninError, match=f"unknown initializer '{name}': did you mean '{nearest}'"):
        initialization.find(name)


def test_a_recipe_that_needs_more_than_a_name() -> None:
    with pytest.raises(FaninError, match="recipe 'mup' needs the shapes of a narrower model"):
        initialization.find("mup")
