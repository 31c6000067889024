"""The model is exactly as it was afterwards, also where the checkup fails."""

import gc
import random
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.errors import FaninError


class Network(nn.Module):
    """Whatever a run may change: statistics, dropout, a list, frozen and tied parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8)
        self.line = nn.Linear(8, 8)
        self.tied = nn.Linear(8, 8)
        self.tied.weight = self.line.weight
        self.drop = nn.Dropout(0.5)
        self.size = nn.Parameter(torch.ones(8))
        self.seen: list[float] = []
        self.raises = False

    def forward(self, x: Tensor) -> dict[str, Any]:
        self.seen.append(float(x.detach().mean()))
        with torch.no_grad():  # as layers do that scale themselves on the first batch
            self.size.mul_(2.0)
        x = self.tied(torch.relu(self.line(self.drop(self.norm(x * self.size)))))
        if self.raises:
            raise RuntimeError("not on a Sunday")
        return {"prediction": x, "hidden": (x, None)}


def state(model: nn.Module, x: Tensor) -> list[Any]:
    """Everything that is to stay: names, values, flags, gradients, hooks and random states."""
    hooks = nn.modules.module
    return [
        {name: value.tolist() for name, value in model.state_dict().items()},
        [
            (one.requires_grad, None if one.grad is None else one.grad.tolist())
            for one in model.parameters()
        ],
        [one.training for one in model.modules()],
        [(len(one._forward_hooks), len(one._forward_pre_hooks)) for one in model.modules()],
        (len(hooks._global_forward_hooks), len(hooks._global_forward_pre_hooks)),
        [len(one._backward_hooks or ()) for one in (*model.parameters(), x)],
        [len(one._post_accumulate_grad_hooks or ()) for one in model.parameters()],
        torch.get_rng_state().tolist(),
        random.getstate(),
        np.random.get_state()[1].tolist(),
        x.tolist(),
        x.grad,
        torch.is_grad_enabled(),
    ]


@pytest.fixture
def model() -> Network:
    torch.manual_seed(0)
    made = Network()
    made.norm.eval()
    made.tied.bias.requires_grad_(False)
    made.line.weight.grad = torch.full((8, 8), 3.0)
    made.register_forward_hook(lambda module, args, output: None)
    return made


@pytest.fixture
def x() -> Tensor:
    made = torch.randn(6, 8, generator=torch.Generator().manual_seed(1))
    return made.requires_grad_()


@pytest.mark.parametrize("grad", [True, False])
def test_after_a_checkup(model: Network, x: Tensor, grad: bool) -> None:
    with torch.set_grad_enabled(grad):
        before, kept = state(model, x), model.line.weight.grad
        first = fanin.check(model, x)
        assert state(model, x) == before
    assert model.line.weight.grad is kept
    assert model.seen == []
    assert first.conditions.mode == "mixed"
    assert fanin.check(model, x).to_json() == first.to_json()  # the same masks


@pytest.mark.parametrize("what", ["forward", "loss", "targets"])
def test_after_a_failure(model: Network, x: Tensor, what: str) -> None:
    model.raises = what == "forward"
    before = state(model, x)

    def loss(output: Any) -> Tensor:
        raise ValueError("no loss today")

    arguments: dict[str, dict[str, Any]] = {
        "forward": {},
        "loss": {"loss": loss},
        "targets": {"targets": torch.zeros(6, 3)},
    }
    message = {
        "forward": "the model does not run on these inputs: RuntimeError: not on a Sunday",
        "loss": "ValueError: no loss today",
        "targets": r"targets has shape \(6, 3\), the output \(6, 8\)",
    }
    with pytest.raises(FaninError, match=message[what]):
        fanin.check(model, x, **arguments[what])
    model.raises = False
    after = state(model, x)
    assert after == before
    assert model.seen == []


def test_all_parameters_frozen() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)).requires_grad_(False)
    layers = fanin.check(model, torch.randn(32, 8)).layers
    assert all(one.gradient for one in layers)
    assert not any(one.requires_grad for one in model.parameters())


def test_under_inference_mode() -> None:
    model = nn.Linear(8, 3)
    x = torch.randn(32, 8)
    with torch.inference_mode():
        assert fanin.check(model, x).layers[0].gradient


def test_a_module_that_runs_three_times() -> None:
    class Reused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(3):
                x = torch.tanh(self.line(x))
            made: Tensor = self.head(x)
            return made

    checkup = fanin.check(Reused(), torch.randn(32, 8))
    assert [one.name for one in checkup.layers] == ["line.weight", "head.weight"]
    assert [one.position for one in checkup.layers] == [0, 3]


def test_memory_is_not_held() -> None:
    """No activation outlives the run but those that autograd keeps: here none but the inputs."""
    alive: list[Callable[[], Any]] = []

    class Watched(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            for _ in range(5):
                x = x + 1.0  # autograd keeps nothing of a sum
                alive.append(weakref.ref(x))
            gc.collect()
            assert sum(one() is not None for one in alive) <= 1
            return x

    model = nn.Sequential(nn.Linear(8, 8), Watched(), nn.Linear(8, 3))
    fanin.check(model, torch.randn(32, 8))
    assert not any(one() is not None for one in alive)
