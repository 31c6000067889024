"""What the optimizer that a check is told adds: targets out of reach, states and branches that SGD
cannot train; and recurrent modules of several layers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin

INPUTS = torch.randn(128, 10, generator=torch.Generator().manual_seed(0))
SEQUENCES = torch.randn(128, 24, 8, generator=torch.Generator().manual_seed(1))
CLASSES = torch.arange(128) % 10
LARGE = 150 + 75 * torch.randn(128, 1, generator=torch.Generator().manual_seed(2))
Make = Callable[[], nn.Module]


def severities(
    model: Any, rule: str, optimizer: str | None, inputs: Any = INPUTS, targets: Any = CLASSES
) -> list[str]:
    told = fanin.check(model, inputs, targets, select=rule, optimizer=optimizer)
    return [found.severity for found in told.findings]


def network(width: int, activation: Make, *more: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, width), activation(), *more, nn.Linear(width, 1))


@pytest.mark.parametrize(
    ("model", "sgd", "adam"),
    [
        (network(64, nn.ReLU), "error", "warning"),
        (network(64, nn.Tanh), "warning", "warning"),
        (network(16, nn.Sigmoid), "warning", "error"),
        (network(16, nn.SiLU, nn.LayerNorm(16, elementwise_affine=False)), "warning", "error"),
        (network(16, nn.SiLU, nn.LayerNorm(16)), "error", "warning"),
        (nn.Linear(10, 1), "warning", "error"),
    ],
)
def test_large_targets_by_what_the_optimizer_can_reach(
    model: nn.Module, sgd: str, adam: str
) -> None:
    of = {name: severities(model, "F13", name, targets=LARGE) for name in ("sgd", "adam", None)}
    assert of == {"sgd": [sgd], "adam": [adam], None: ["warning"]}


def test_targets_of_variance_one_are_within_reach() -> None:
    targets = (LARGE - LARGE.mean()) / LARGE.std()
    for optimizer in ("sgd", "adam"):
        assert not severities(network(64, nn.ReLU), "F13", optimizer, targets=targets)


def test_the_sharpness_of_two_layers_whose_product_is_large() -> None:
    """4 T |x|, and equal where both layers are as large; so the limit on targets with SGD."""
    x, size = torch.tensor(1.0), 100.0
    both = torch.full((2,), size**0.5, dtype=torch.float64)
    hessian: Tensor = torch.autograd.functional.hessian(
        lambda weights: (weights[0] * weights[1] * x - size) ** 2, both
    )
    assert float(torch.linalg.eigvalsh(hessian)[-1]) == pytest.approx(4 * size)


def test_squares_that_start_far_above_the_targets() -> None:
    model = network(64, nn.Tanh)
    targets = torch.randn(128, 1, generator=torch.Generator().manual_seed(3))
    assert not severities(model, "F11", "adam", targets=targets)
    with torch.no_grad():
        model[-1].weight.mul_(50)
    assert severities(model, "F11", "adam", targets=targets) == ["error"]


class Last(nn.Module):
    """Classes of sequences, from the last state or the mean of all."""

    def __init__(self, kind: Any, layers: int, *, mean: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn = kind(8, 16, layers, batch_first=True)
        self.head, self.mean = nn.Linear(16, 10), mean

    def forward(self, x: Tensor) -> Tensor:
        states = self.rnn(x)[0]
        return self.head(states.mean(1) if self.mean else states[:, -1])


def scaled(model: nn.Module, factor: float, part: str = "weight") -> nn.Module:
    with torch.no_grad():
        for name, value in model.named_parameters():
            if part in name and "head" not in name:
                value.mul_(factor)
    return model


def of_sequences(model: nn.Module, rule: str, optimizer: str | None) -> list[str]:
    return severities(model, rule, optimizer, SEQUENCES)


def test_a_gradient_that_is_gone_after_a_few_steps_through_time() -> None:
    forgets = scaled(Last(nn.RNN, 1), 0.1, "weight_hh")
    (found,) = fanin.check(forgets, SEQUENCES, CLASSES, select="F03", optimizer="sgd").findings
    assert (found.severity, found.layer) == ("error", "rnn.weight_hh_l0")
    assert found.fix.startswith("orthogonal() for rnn.weight_hh_l0")
    assert not of_sequences(forgets, "F03", "adam")
    assert not of_sequences(Last(nn.RNN, 1), "F03", "sgd")
    assert not of_sequences(scaled(Last(nn.RNN, 1, mean=True), 0.1, "weight_hh"), "F03", "sgd")
    assert not of_sequences(scaled(Last(nn.LSTM, 1), 0.1, "weight_hh"), "F03", "sgd")


@pytest.mark.parametrize("optimizer", ["sgd", "adam", None])
def test_states_that_biases_alone_make(optimizer: str | None) -> None:
    alike = scaled(Last(nn.GRU, 6), 0.2)
    (found,) = fanin.check(alike, SEQUENCES, CLASSES, select="F14", optimizer=optimizer).findings
    assert (found.severity, found.layer) == ("error", "rnn")
    assert "glorot_uniform() for rnn.weight_ih_l0" in found.fix
    assert not of_sequences(Last(nn.GRU, 6), "F14", optimizer)


@pytest.mark.parametrize(("layers", "severity"), [(2, "warning"), (3, "error")])
def test_three_layers_of_saturated_states(layers: int, severity: str) -> None:
    model = Last(nn.LSTM, layers)
    for name, value in model.named_parameters():
        if "rnn.weight" in name:
            nn.init.normal_(value, std=2.0)
    (found,) = fanin.check(model, SEQUENCES, CLASSES, select="F05").findings
    assert found.severity == severity
    assert not of_sequences(Last(nn.LSTM, layers), "F05", None)


class Attends(nn.Module):
    """Attention around which a stream leads."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))
        with torch.no_grad():
            self.query.weight.mul_(scale)

    def forward(self, x: Tensor) -> Tensor:
        given = self.norm(x)
        logits = self.query(given) @ self.key(given).mT / 8**0.5
        return x + logits.softmax(-1) @ self.value(given)


class Reads(nn.Module):
    def __init__(self, count: int, scale: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.Sequential(*(Attends(scale) for _ in range(count)))
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x).mean(1))


@pytest.mark.parametrize(
    ("count", "scale", "severities"), [(2, 200, ["warning"]), (3, 200, ["error"]), (3, 1, [])]
)
def test_attention_that_takes_one_key_in_every_layer(
    count: int, scale: float, severities: list[str]
) -> None:
    assert of_sequences(Reads(count, scale), "F05", None) == severities


class Branch(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(10, 10), nn.Tanh(), nn.Linear(10, 10), nn.Tanh(), nn.Linear(10, 10)
        )
        scaled(self, scale)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def test_sgd_where_no_branch_gets_a_gradient() -> None:
    """The stream leads past all of them, and is linear."""
    torch.manual_seed(0)
    head = nn.Linear(10, 10)
    closed = nn.Sequential(Branch(0.02), Branch(0.02), head)
    assert set(severities(closed, "F03", "sgd")) == {"error"}
    assert set(severities(closed, "F03", "adam")) == {"warning"}
    assert set(severities(nn.Sequential(Branch(0.02), Branch(1.0), head), "F03", "sgd")) == {
        "warning"
    }
    assert not severities(nn.Sequential(Branch(1.0), Branch(1.0), head), "F03", "sgd")
