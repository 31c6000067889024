"""Plans on disk: every initializer comes back, and wrong paths are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import fanin
from fanin import FaninError, Plan, initializers
from fanin.axes import parse_axes
from fanin.initializers._registry import ENTRIES
from fanin.plans import Row


@pytest.mark.parametrize("name", ENTRIES)
def test_every_initializer_comes_back(name: str, tmp_path: Path) -> None:
    entry = ENTRIES[name]
    axes = parse_axes(None, entry.shape)
    row = Row("w", entry.shape, "float32", "weight", initializers.get(entry.example), axes, "why")
    plan = Plan("auto", (row,))
    assert Plan.load(plan.save(tmp_path / "plan.toml")) == plan


@pytest.mark.parametrize("shape", [(3,), (64,), (16, 8), (2, 3, 40), (0,)])
def test_arrays_of_constants_come_back(shape: tuple[int, ...], tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=shape)
    plan = Plan(
        "auto",
        (
            Row(
                *("w", shape, "float32", "weight", initializers.constant(values)),
                *(parse_axes(None, shape), "as given"),
            ),
        ),
    )
    path = plan.save(tmp_path / "plan.toml")
    assert Plan.load(path) == plan


def test_a_model_is_planned_with_an_array_and_drawn_from_the_file(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 64))
    given = initializers.constant(list(range(64)))
    saved = fanin.plan(model, overrides={"0.bias": given}).save(tmp_path / "plan.toml")
    Plan.load(saved).apply(model)
    assert model[0].bias.tolist() == list(range(64))


@pytest.mark.parametrize("path", [None, 3, b"plan", "a\0b"])
def test_what_is_no_path_is_refused(path: Any) -> None:
    plan = fanin.plan(nn.Linear(2, 2))
    with pytest.raises(FaninError, match="path is "):
        plan.save(path)
    with pytest.raises(FaninError, match="path is "):
        Plan.load(path)


def test_a_folder_is_no_plan(tmp_path: Path) -> None:
    with pytest.raises(FaninError, match="cannot write the plan"):
        fanin.plan(nn.Linear(2, 2)).save(tmp_path)
    with pytest.raises(FaninError, match="cannot read the plan"):
        Plan.load(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_parameter_with_two_rows_is_refused(tmp_path: Path) -> None:
    path = fanin.plan(nn.Sequential(nn.Linear(2, 2, bias=False))).save(tmp_path / "plan.toml")
    text = path.read_text()
    path.write_text(text + text[text.index("[[parameter]]") :])
    with pytest.raises(FaninError, match=r"is not a plan: parameter 0\.weight has 2 rows; leave"):
        Plan.load(path)


@pytest.mark.parametrize("seed", [1, 7, 2**64 - 1])
def test_a_loaded_plan_draws_with_its_own_seed(seed: int, tmp_path: Path) -> None:
    """The file is all that a second machine needs: apply and verify take the seed from it."""
    first, second, other = (nn.Sequential(nn.Linear(4, 8), nn.ReLU()) for _ in range(3))
    saved = fanin.initialize(first, seed).save(tmp_path / "plan.toml")
    loaded = Plan.load(saved)
    applied = loaded.apply(second)
    assert applied.seed == seed
    assert torch.equal(first[0].weight, second[0].weight)
    loaded.verify(second)
    applied.verify(first)
    assert loaded.apply(other, seed=0).seed == 0
    assert not torch.equal(first[0].weight, other[0].weight)
    with pytest.raises(FaninError, match=f"than seed {seed} of this plan draws"):
        loaded.verify(other)


def test_a_plan_that_was_never_applied_draws_with_seed_0() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    plan = fanin.plan(model)
    assert plan.seed is None
    assert plan.apply(model).seed == 0
    plan.verify(model)
    plan.verify(model, seed=0)
