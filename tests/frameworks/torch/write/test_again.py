"""A model that is initialized again: what its constructor made, and what its old weights left."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils import spectral_norm as hooked

import fanin
from fanin import FaninWarning


class Net(nn.Module):
    """Constants of many kinds, with values that a training changes."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((8,), 1e-2))
        self.log_std = nn.Parameter(torch.full((3,), -0.5))
        self.alpha = nn.Parameter(torch.zeros(1))
        self.rate = nn.Parameter(torch.log(torch.arange(1.0, 9.0)))
        self.noise = nn.Parameter(torch.empty(8).uniform_(1, 16).log_())
        self.norm = nn.BatchNorm1d(8)
        self.a, self.b, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        nn.init.constant_(self.head.bias, -4.6)

    def forward(self, x: torch.Tensor) -> Any:
        x = x + self.gamma * torch.relu(self.a(self.norm(x)))
        x = x + self.alpha * self.b(x) * torch.exp(-self.rate.exp()) * torch.exp(-self.noise.exp())
        return self.head(x), self.log_std


def train(model: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        model(torch.randn(16, 8, generator=generator))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("inputs", [torch.zeros(2, 8), None])
def test_a_trained_model_is_initialized_as_a_new_one(inputs: torch.Tensor | None) -> None:
    model = Net()
    first = fanin.initialize(model, 3, inputs)
    want = state(model)
    train(model)
    copies = [model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for trained in copies:
        again = fanin.initialize(trained, 3, inputs)
        assert same(state(trained), want)
        assert again.rows == first.rows
        assert again.diff(first) == ()
        assert again.notes[-1] == "running statistics start anew, like the weights, in norm."
    train(model)
    first.apply(model)
    assert same(state(model), want)
    first.verify(model)


def test_a_state_that_is_loaded_is_initialized_alike() -> None:
    x = torch.zeros(2, 8)
    model, trained = Net(), Net()
    fanin.initialize(model, 3, x)
    want = state(model)
    fanin.initialize(trained, 1, x)
    train(trained)
    model.load_state_dict(trained.state_dict())
    fanin.initialize(model, 3, x)
    assert same(state(model), want)


def test_statistics_of_what_is_frozen_stay() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 8), nn.BatchNorm1d(8))
    train(model)
    model[:2].requires_grad_(False)
    kept, moved = model[1].running_mean.clone(), model[3].running_mean.clone()
    plan = fanin.initialize(model, 0, torch.zeros(2, 8))
    assert torch.equal(model[1].running_mean, kept)
    assert not torch.equal(model[3].running_mean, moved)
    assert plan.notes[-1].endswith("in 3.")


def test_what_is_too_large_to_remember_is_named() -> None:
    class Large(nn.Module):
        def __init__(self, rates: torch.Tensor) -> None:
            super().__init__()
            self.rate, self.line = nn.Parameter(rates), nn.Linear(20000, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.line(x * torch.exp(-self.rate.exp()))

    model, x = Large(torch.linspace(0, 1, 20000).square()), torch.zeros(1, 20000)
    with pytest.warns(FaninWarning, match="rate: the values are the constructor's"):
        assert not any("trained" in note for note in fanin.initialize(model, 0, x).notes)
    with torch.no_grad():
        model.rate.add_(1)
    with pytest.warns(FaninWarning, match="rate: the values are the constructor's"):
        plan = fanin.initialize(model, 0, x)
    assert "rate stay as they are, which is not as the constructor made them" in str(plan.notes)


def test_differences_of_kept_rows_can_be_seen() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.odd = nn.Parameter(torch.arange(16.0).view(2, 2, 4))

    model = Odd()
    before = fanin.plan(model, unplaced="keep")
    with torch.no_grad():
        model.odd.add_(1)
    minus, plus = before.diff(fanin.plan(model, unplaced="keep"))
    assert minus.startswith("- odd (2, 2, 4) float32: kept, sha256 ")
    assert minus[1:] != plus[1:]


WRAPS = [parametrizations.spectral_norm, hooked]


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.spectral_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize("wrap", WRAPS)
def test_vectors_of_a_spectral_norm_fit_the_new_weight(wrap: Any) -> None:
    def build(torch_seed: int) -> nn.Sequential:
        torch.manual_seed(torch_seed)
        return nn.Sequential(wrap(nn.Conv2d(16, 32, 3)), nn.ReLU(), wrap(nn.Conv2d(32, 8, 3)))

    x = torch.zeros(2, 16, 8, 8)
    models = [build(0), build(1)]
    with fanin.empty_weights():
        models.append(build(2))
    for model in models:
        plan = fanin.initialize(model, 0, x)
        plan.verify(model)
        model.eval()(x)
        for layer in (model[0], model[2]):
            norm = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)
            assert norm == pytest.approx(1, abs=0.02)
    assert same(state(models[0]), state(models[1]))
    assert same(state(models[0]), state(models[2]))
    for model in models[:2]:
        plan.apply(model.train())
    assert same(state(models[0]), state(models[2]))
