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


def _orthogonal(depth: int, activation: type[nn.Module]) -> nn.Sequential:
    model = plain(depth, lambda width: nn.Identity(), activation())
    for part in model.modules():
        if isinstance(part, nn.Linear):
            nn.init.orthogonal_(part.weight)
            nn.init.zeros_(part.bias)
    return model


def _of_depth(model: nn.Module) -> list[str]:
    return [each.severity for each in found(model, "F16") if "one behind" in each.measured]


def test_depth_of_orthogonal_weights_that_hold_the_gradient() -> None:
    model = _orthogonal(50, nn.Tanh)
    assert _of_depth(model) == ["warning"]
    with torch.no_grad():
        model[39].weight.normal_(std=32**-0.5)
    assert _of_depth(model) == ["error"]


def test_depth_of_orthogonal_weights_that_lose_the_gradient() -> None:
    """A ReLU halves it in every layer."""
    assert _of_depth(_orthogonal(50, nn.ReLU)) == ["error"]


@pytest.mark.parametrize(
    ("depth", "std", "severity"), [(2, 1.5, "warning"), (2, 4.0, "error"), (5, 1.5, "error")]
)
def test_few_saturated_layers_train(depth: int, std: float, severity: str) -> None:
    """Of 32 inputs each: some 80 % of tanh's values where it is flat, and over 90 %."""
    model = plain(depth, lambda width: nn.Identity(), nn.Tanh())
    for part in model.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=std)
    assert [each.severity for each in found(model, "F05")] == [severity]


def _severities(model: nn.Module, rule: str, optimizer: str | None) -> set[str]:
    told = fanin.check(model, INPUTS, TARGETS, select=rule, optimizer=optimizer)
    return {each.severity for each in told.findings}


def test_gradients_that_differ_more_than_sgd_can_follow() -> None:
    """By some 2000 over ten layers of half of He's scale."""
    model = plain(11, lambda width: nn.Identity(), nn.ReLU())
    for part in model.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.5 * (2 / 32) ** 0.5)
            nn.init.zeros_(part.bias)
    assert _severities(model, "F03", "sgd") == {"error"}
    assert _severities(model, "F03", "adamw") == _severities(model, "F03", None) == {"warning"}


@pytest.mark.parametrize("rule", ["F03", "F14"])
def test_adam_brings_back_gradients_where_biases_hold_the_signal(rule: str) -> None:
    """torch's own start of 16 layers of ReLU; those of tanh are flat where they would go."""
    deep = plain(16, lambda width: nn.Identity(), nn.ReLU())
    assert _severities(deep, rule, "adamw") == {"warning"}
    assert _severities(deep, rule, "sgd") == _severities(deep, rule, None) == {"error"}
    deep = plain(24, lambda width: nn.Identity(), nn.Tanh())
    assert _severities(deep, rule, "adamw") == {"error"}


@pytest.mark.parametrize(("rule", "factor"), [("F11", 100.0), ("F15", 1.0)])
def test_limits_of_losses_and_streams_are_lower_with_sgd(rule: str, factor: float) -> None:
    torch.manual_seed(0)
    blocks = [Block(0.0) for _ in range(10)]
    for block in blocks:
        for part in (block.first, block.second):
            nn.init.kaiming_normal_(part.weight)
            nn.init.zeros_(part.bias)
    model = nn.Sequential(*blocks[: 7 if rule == "F15" else 2], nn.Linear(32, 10))
    with torch.no_grad():
        model[-1].weight.mul_(factor)
    assert _severities(model, rule, "sgd") == {"error"}
    assert _severities(model, rule, "adam") == {"warning"}


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
