"""strict=: what does not follow from the seed is an error in place of a warning."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin import FaninError, FaninWarning


class Decay(nn.Module):
    """A constant that the constructor draws, by means of an argument that it does not keep."""

    def __init__(self, low: float, has_buffer: bool = False) -> None:
        super().__init__()
        self.log_decay = nn.Parameter(torch.empty(32).uniform_(low, 16).log())
        self.mix = nn.Linear(32, 32)
        if has_buffer:
            self.register_buffer("features", torch.randn(32, 32))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.mix(x) * torch.exp(-self.log_decay.exp())
        return out


X = torch.zeros(2, 32)


CALLS: dict[str, Callable[[fanin.Plan, nn.Module], object]] = {
    "plan": lambda plan, model: fanin.plan(model, X, strict=True),
    "initialize": lambda plan, model: fanin.initialize(model, 0, X, strict=True),
    "apply": lambda plan, model: plan.apply(model, strict=True),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=[*CALLS])
def test_a_drawn_constant_is_refused_where_it_is_asked(call: Any) -> None:
    model = Decay(1.0)
    plan = fanin.plan(model, X)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    told = "strict is True, .* of the parameters log_decay: pass overrides="
    with pytest.raises(FaninError, match=told):
        call(plan, model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.warns(FaninWarning, match="log_decay: the values are the constructor's"):
        plan.apply(model)


def test_the_roads_that_it_names_lead_on() -> None:
    how: dict[str, Any] = {"overrides": {"log_decay": "uniform(0.0, 2.7)"}, "strict": True}
    fanin.initialize(Decay(1.0), 0, X, **how)
    with fanin.empty_weights():
        model = Decay(1.0)
    fanin.initialize(model, 0, X, strict=True)
    fanin.initialize(nn.Linear(4, 4), 0, strict=True)
    kept = fanin.plan(Decay(1.0), X, only="mix.*", strict=True)  # as the user asks
    assert kept["log_decay"].keeps == "asked"


def test_drawn_buffers_count_too() -> None:
    with fanin.empty_weights():
        model = Decay(1.0, has_buffer=True)
    told = re.escape("whatever the seed, of the buffers features: fill them from fanin.Stream")
    with pytest.raises(FaninError, match=told):
        fanin.initialize(model, 0, X, strict=True)


class Frozen(nn.Module):
    """Features that do not train, which fanin can build again, and a layer that reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Embedding(4, 32)
        self.positions = nn.Parameter(torch.arange(32.0).sin(), requires_grad=False)
        self.project = nn.Linear(32, 64)
        self.mix = nn.Linear(64, 32)
        self.features.requires_grad_(False)
        self.project.requires_grad_(False)

    def forward(self, rows: Tensor) -> Tensor:
        out: Tensor = self.mix(self.project(self.features(rows) + self.positions).cos())
        return out


ROWS = torch.zeros(2, dtype=torch.long)


def test_frozen_draws_that_the_plan_reads_are_told() -> None:
    model = Frozen()
    before = model.project.weight.clone()
    names = "features.weight, project.weight, project.bias"
    plan = fanin.initialize(model, 0, ROWS)
    assert any(f"reads {names}, frozen, whose values look drawn" in note for note in plan.notes)
    assert torch.equal(model.project.weight, before)
    told = f"whatever the seed, of the frozen parameters {names}: pass overrides="
    with pytest.raises(FaninError, match=told):
        fanin.plan(model, ROWS, strict=True)
    with pytest.raises(FaninError, match=told):
        plan.apply(model, strict=True)


def test_what_was_loaded_or_drawn_from_a_seed_is_no_draw_of_the_constructor() -> None:
    how = {"features.*": "normal(std=1.0)", "project.*": "normal(std=0.1)"}
    drawn = [Frozen(), Frozen()]
    plans = [fanin.initialize(model, 0, ROWS, overrides=how, strict=True) for model in drawn]
    assert plans[0].rows == plans[1].rows
    assert torch.equal(drawn[0].mix.weight, drawn[1].mix.weight)
    assert fanin.plan(drawn[0], ROWS, strict=True).notes == ()
    loaded = Frozen()
    with torch.no_grad():
        loaded.project.weight.mul_(1.3)  # and its bias with it: a few numbers do not tell
    notes = " ".join(fanin.plan(loaded, ROWS).notes)
    assert "features.weight, frozen" in notes
    assert "project" not in notes


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.spectral_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize("wrap", [nn.utils.parametrizations.spectral_norm, nn.utils.spectral_norm])
@pytest.mark.parametrize("outputs", [32, 1])
def test_vectors_of_spectral_norms_are_the_weights(wrap: Any, outputs: int) -> None:
    plan = fanin.initialize(wrap(nn.Linear(32, outputs)), 0, X, strict=True)
    assert [str(row.initializer) for row in plan.values()] == ["zeros()", "lecun_normal()"]
