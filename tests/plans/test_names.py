"""Names: a plan reads as a dict of its rows, and knows every name of a shared module."""

import pytest
import torch
from torch import nn

import fanin
from fanin import FaninError


class Twice(nn.Module):
    """A module under two names, as state_dict has it, and once more inside a list."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(8, 8)
        self.other = self.one
        self.fc = nn.Linear(8, 8)
        self.all = nn.ModuleList([self.one, self.fc])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.relu(self.other(torch.relu(self.one(x)))))  # type: ignore[no-any-return]


class Cell(nn.Module):
    """Two names for one child, and so on: 2**depth names for the last."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.left = Cell(depth - 1) if depth else nn.Linear(2, 2)
        self.right = self.left


X = torch.zeros(2, 8)


@pytest.mark.parametrize("inputs", [None, X])
def test_every_name_of_state_dict_is_known(inputs: torch.Tensor | None) -> None:
    model = Twice()
    plan = fanin.plan(model, inputs)
    assert list(plan) == ["one.weight", "one.bias", "fc.weight", "fc.bias"]
    assert plan["one.weight"].aliases == ("other.weight", "all.0.weight")
    assert all(name in plan for name in model.state_dict())
    assert plan["other.weight"] is plan["one.weight"]


@pytest.mark.parametrize("key", ["other.weight", "all.0.weight", "other.w*", "one.weight"])
def test_overrides_take_any_name(key: str) -> None:
    plan = fanin.plan(Twice(), X, overrides={key: "orthogonal"})
    assert str(plan["one.weight"].initializer) == "orthogonal(1.0)"
    assert str(plan["fc.weight"].initializer) != "orthogonal(1.0)"


def test_a_name_of_its_own_wins_over_patterns_of_the_others() -> None:
    overrides = {"one.weight": "zeros", "other.*": "ones"}
    plan = fanin.plan(Twice(), overrides=overrides)
    assert str(plan["one.weight"].initializer) == "zeros()"
    assert str(plan["one.bias"].initializer) == "ones()"


def test_rename_takes_any_name() -> None:
    model = Twice()
    plan = fanin.plan(model, X, rename={"other.weight": "w"})
    assert list(plan) == ["w", "one.bias", "fc.weight", "fc.bias"]
    plan.apply(model, rename={"one.weight": "w"}).verify(model, rename={"all.0.weight": "w"})


def test_a_shared_module_that_is_built_empty_is_made_once() -> None:
    with fanin.empty_weights():
        model = Twice()
    plan = fanin.initialize(model, 0, X)
    assert model.one is model.other is model.all[0]
    plan.verify(model)


def test_modules_of_endless_names_are_planned() -> None:
    plan = fanin.plan(Cell(20))
    assert len(plan) == 2
    assert len(plan.rows[0].aliases) < 100


def test_a_plan_reads_as_a_dict_of_rows() -> None:
    plan = fanin.plan(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)))
    assert len(plan) == 4
    assert [row.name for row in plan.rows] == list(plan) == list(plan.keys())
    assert dict(plan)["0.bias"] is plan.rows[1] is plan.get("0.bias")
    assert ("0.weight" in plan, "x" in plan, 3 in plan) == (True, False, False)
    assert plan.get("x") is None
    with pytest.raises(FaninError, match=r"no parameter '0\.wieght': did you mean '0\.weight'\?"):
        plan["0.wieght"]
    with pytest.raises(KeyError):
        plan["0.wieght"]


def test_a_model_without_parameters_is_told_of() -> None:
    for model in (nn.ReLU(), nn.Sequential(), nn.ModuleList()):
        with pytest.warns(fanin.FaninWarning, match="has no parameters, so nothing was drawn"):
            plan = fanin.initialize(model)
        assert plan.notes == ("the model has no parameters, so there is nothing to draw.",)
        assert len(plan) == 0
    stage = nn.Sequential(nn.ReLU())
    fanin.plan(nn.Sequential(nn.Linear(2, 2))).apply(stage)  # a stage of a pipeline: no warning
