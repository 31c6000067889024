"""F17: parameters behind a cut, frozen ones, and tensors that no parameter list has."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.checks import Finding

INPUTS = torch.randn(32, 16, generator=torch.Generator().manual_seed(0))
TARGETS = torch.arange(32) % 4


class Cut(nn.Module):
    """An encoder whose output goes through a function before the head reads it."""

    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8))
        self.codes = nn.Embedding(8, 8)
        self.head = nn.Linear(8, 4)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        found = self.between(self.encoder(x))
        made: Tensor = self.head(found if found.is_floating_point() else self.codes(found))
        return made


def of_training(model: nn.Module, **options: Any) -> list[Finding]:
    return list(fanin.check(model, INPUTS, TARGETS, **options).findings)


@pytest.mark.parametrize(
    ("between", "where"),
    [
        (lambda h: h.detach(), "between encoder.2 and head"),
        (lambda h: h.data, "between encoder.2 and head"),
        (lambda h: (h > 0).float(), "and head"),
        (lambda h: h.argmax(1), "by integers"),
        (lambda h: torch.tensor(h.tolist()), "before the output"),
    ],
)
def test_a_cut_graph_is_named_and_no_other_weights_advised(between: Any, where: str) -> None:
    found = of_training(Cut(between))
    (one,) = (one for one in found if one.id == "F17")
    assert (one.severity, one.layer) == ("warning", "encoder")
    assert "encoder.0.weight" in one.measured
    assert where in one.why
    assert not [other for other in found if other.layer.startswith("encoder") and other != one]


class Silent(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.inner, self.how = nn.Linear(16, 4), how

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "no_grad":
            with torch.no_grad():
                return self.inner(x)
        return self.inner(x).detach()


@pytest.mark.parametrize("how", ["no_grad", "detach"])
@pytest.mark.parametrize("targets", [TARGETS, None])
def test_a_model_of_which_nothing_trains(how: str, targets: Tensor | None) -> None:
    (one,) = (one for one in fanin.check(Silent(how), INPUTS, targets).findings)
    assert (one.id, one.severity, one.layer) == ("F17", "error", "inner")
    assert "before the output" in one.why


def test_all_frozen_is_an_error_and_some_is_not() -> None:
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    model[0].requires_grad_(False)
    assert not [one for one in of_training(model) if one.id == "F17"]
    (one,) = (one for one in of_training(model.requires_grad_(False)) if one.id == "F17")
    assert one.severity == "error"
    assert "all 4 parameters" in one.measured


def test_what_the_loss_does_not_need_is_a_note() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.other = nn.Linear(16, 4), nn.Linear(16, 8)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.used(x), self.other(x)

    checkup = fanin.check(
        Two(), INPUTS, TARGETS, lambda out, y: nn.functional.cross_entropy(out[0], y)
    )
    assert "F17" not in {one.id for one in checkup.findings}
    assert any(note.startswith("other.weight, other.bias: used") for note in checkup.notes)


def test_a_function_without_slope_is_named_in_place_of_weights() -> None:
    (one,) = (one for one in of_training(Cut(torch.round)) if one.severity == "error")
    assert (one.id, one.layer) == ("F17", "encoder")
    assert one.fix.startswith("A gradient for round")


class Plain:
    """A layer that is no module."""

    def __init__(self) -> None:
        self.weight = torch.randn(16, 32).div(4).requires_grad_()

    def __call__(self, x: Tensor) -> Tensor:
        return x @ self.weight


class Hidden(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        layer = nn.Linear(16, 32)
        holders: dict[str, Any] = {
            "list": [layer],
            "dict": {"a": layer},
            "object": Plain(),
            "recurrent": [nn.GRU(16, 32)],
        }
        self.held, self.how = holders[how], how
        self.gain = nn.Parameter(torch.ones(32)) * 0.5
        self.head = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        held: Any = self.held
        layer = held if self.how == "object" else held["a" if self.how == "dict" else 0]
        found = layer(x)[0] if self.how == "recurrent" else layer(x)
        made: Tensor = self.head(torch.relu(found * self.gain))
        return made


@pytest.mark.parametrize(
    ("how", "name", "advice"),
    [
        ("list", "held.0.weight", "nn.ModuleList"),
        ("dict", "held.a.weight", "nn.ModuleDict"),
        ("object", "held.weight", "nn.Parameter"),
        ("recurrent", "held.0.weight_ih_l0", "nn.ModuleList"),
    ],
)
def test_weights_that_no_parameter_list_has(how: str, name: str, advice: str) -> None:
    model = Hidden(how)
    (one,) = (one for one in of_training(model) if one.id == "F17")
    assert (one.severity, one.layer) == ("warning", name)
    assert advice in one.fix
    if how == "list":
        assert "gain (32,)" in one.measured
        assert model.held[0].weight.grad is None  # the check leaves no gradients there


def test_a_bias_that_a_derivative_does_not_need() -> None:
    class Derivative(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 1))

        def forward(self, x: Tensor) -> Tensor:
            x = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.inner(x).sum(), x, create_graph=True)
            return slope

    found = fanin.check(Derivative(), INPUTS, loss=lambda slope: slope.square().mean()).findings
    assert not [one for one in found if one.id == "F17"]


def test_sparse_gradients_are_gradients() -> None:
    model = nn.Sequential(nn.Embedding(30, 16, sparse=True), nn.Flatten(), nn.Linear(48, 4))
    found = fanin.check(model, torch.arange(96).reshape(32, 3) % 30, TARGETS).findings
    assert not [one for one in found if one.id == "F17"]


def test_what_a_run_does_not_use_is_told() -> None:
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    model[1].register_module("spare", nn.Linear(3, 3))
    found = fanin.check(model, INPUTS, TARGETS)
    assert found.ok("warning")
    assert any(note.startswith("1.spare.weight, 1.spare.bias: trainable") for note in found.notes)
    model[1].spare.requires_grad_(False)
    assert not any("spare" in note for note in fanin.check(model, INPUTS, TARGETS).notes)
