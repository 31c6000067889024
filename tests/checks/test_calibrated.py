"""What the calibration added to the rules: depth, normalizations and residual branches."""

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402

import fanin  # noqa: E402

INPUTS = torch.randn(256, 32, generator=torch.Generator().manual_seed(0))
TARGETS = torch.arange(256) % 10


def plain(depth: int, norm: Callable[[int], nn.Module], activation: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [part for _ in range(depth) for part in (nn.Linear(32, 32), norm(32), activation)]
    return nn.Sequential(*layers, nn.Linear(32, 10))


class Block(nn.Module):
    def __init__(self, bias: float) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(32, 32), nn.Linear(32, 32)
        nn.init.constant_(self.first.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(torch.relu(self.first(x)))


def found(model: nn.Module, rule: str) -> list[Any]:
    return list(fanin.check(model, INPUTS, TARGETS, select=rule).findings)


def test_depth_without_residual_connections() -> None:
    (deep,) = found(plain(50, nn.LayerNorm, nn.Tanh()), "F16")
    assert (deep.severity, deep.value) == ("error", 50.0)
    assert deep.measured == "50 hidden layers one behind another, and no residual connection"
    assert [one.severity for one in found(plain(36, nn.LayerNorm, nn.Tanh()), "F16")] == ["warning"]
    assert found(plain(30, nn.LayerNorm, nn.Tanh()), "F16") == []
    torch.manual_seed(0)
    residual = nn.Sequential(*(Block(0.0) for _ in range(30)), nn.Linear(32, 10))
    assert found(residual, "F16") == []


def test_gradients_that_explode_through_batch_normalizations() -> None:
    (one,) = found(plain(40, nn.BatchNorm1d, nn.ReLU()), "F03")
    assert (one.severity, one.layer) == ("error", "0")
    assert one.value > 1000
    assert "of 39 layers on, through normalizations" in one.measured
    assert found(plain(8, nn.BatchNorm1d, nn.ReLU()), "F03") == []


def test_collapse_through_layer_normalizations() -> None:
    (one,) = found(plain(20, nn.LayerNorm, nn.Sigmoid()), "F14")
    assert one.severity == "error"


@pytest.mark.parametrize("norm", [nn.LayerNorm, nn.BatchNorm1d])
def test_all_zeros_with_normalizations_between(norm: Callable[[int], nn.Module]) -> None:
    model = plain(3, norm, nn.Tanh())
    for part in model:
        if isinstance(part, nn.Linear):
            nn.init.zeros_(part.weight)
            nn.init.zeros_(part.bias)
    assert {one.severity for one in found(model, "F10")} == {"error"}


def test_dead_branches_beside_a_stream_are_warnings() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(Block(-50.0), Block(-50.0), nn.Linear(32, 10))
    checkup = fanin.check(model, INPUTS, TARGETS)
    assert {one.severity for one in checkup.findings if one.id == "F07"} == {"warning"}
    assert checkup.ok()
    without = nn.Sequential(model[0].first, nn.ReLU(), nn.Linear(32, 10))
    assert {one.severity for one in found(without, "F07")} == {"error"}
