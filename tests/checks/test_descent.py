"""F22, gradients too small for SGD; F11 of squares."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import fanin
from fanin.checks import Finding

pytestmark = pytest.mark.usefixtures("one_thread")
GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(128, 32, generator=GENERATOR)
LABELS = (INPUTS @ torch.randn(32, 4, generator=GENERATOR)).argmax(1)


def network(std: float, outputs: int = 4) -> nn.Sequential:
    """A tanh network whose weights all have this deviation."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs)
    )
    for part in model:
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=std)
            nn.init.zeros_(part.bias)
    return model


def weak(model: nn.Module, targets: Tensor, optimizer: object = None) -> list[Finding]:
    return list(fanin.check(model, INPUTS, targets, optimizer=optimizer, select="F22").findings)


def _train(model: nn.Module, optimizer: torch.optim.Optimizer) -> float:
    for _ in range(300):
        loss = F.cross_entropy(model(INPUTS), LABELS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def test_a_gradient_too_small_for_sgd_alone() -> None:
    model = network(1e-3)
    (found,) = weak(model, LABELS, "sgd")
    assert found.severity == "error"
    assert found.value is not None
    assert found.value > 1000
    assert not weak(model, LABELS, "adamw")
    model = network(1e-3)
    slow = _train(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
    model = network(1e-3)
    fast = _train(model, torch.optim.AdamW(model.parameters(), lr=0.01))
    assert slow > 1.3 > 0.5 > fast  # ln 4 is 1.39


def test_three_layers_get_away_from_weights_that_are_not_so_small() -> None:
    model = network(5e-3)
    assert not weak(model, LABELS, "sgd")
    assert _train(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)) < 0.1


def test_the_optimizer_itself_tells() -> None:
    model = network(1e-3)
    assert weak(model, LABELS, torch.optim.SGD(model.parameters(), lr=0.1))
    assert not weak(model, LABELS, torch.optim.Adam(model.parameters()))


def test_without_an_optimizer_it_is_a_note_that_the_verdict_tells() -> None:
    assert [found.severity for found in weak(network(1e-3), LABELS)] == ["note"]
    told = fanin.check(network(1e-3), INPUTS, LABELS, select="F22").verdict
    assert told.endswith("with Adam, but SGD would hardly move it (F22).")


@pytest.mark.parametrize("optimizer", [None, "sgd"])
def test_sound_gradients(optimizer: str | None) -> None:
    assert not weak(network(0.15), LABELS, optimizer)
    assert not weak(network(0.15, 1), torch.randn(128, 1), optimizer)


def test_squares_of_small_weights_too() -> None:
    assert weak(network(1e-3, 1), torch.randn(128, 1), "sgd")


def test_a_trained_network_has_small_gradients_rightly() -> None:
    model = network(0.15)
    assert _train(model, torch.optim.AdamW(model.parameters(), lr=0.01)) < 0.05
    assert not weak(model, LABELS, "sgd")


def test_zero_weights_are_left_to_other_rules() -> None:
    assert not weak(network(0.0), LABELS, "sgd")
    assert "F10" in {found.id for found in fanin.check(network(0.0), INPUTS, LABELS).findings}


def test_losses_of_other_kinds_are_not_judged() -> None:
    def loss(output: Tensor, targets: Tensor) -> Tensor:
        return output.exp().mean()

    assert not fanin.check(
        network(1e-3), INPUTS, LABELS, loss, optimizer="sgd", select="F22"
    ).findings


def _squares(factor: float, targets: Tensor) -> list[Finding]:
    model = network(0.15, 1)
    with torch.no_grad():
        model[-1].weight.mul_(factor)
    return list(fanin.check(model, INPUTS, targets, select="F11").findings)


def test_squares_thousands_of_times_the_targets() -> None:
    targets = torch.randn(128, 1, generator=torch.Generator().manual_seed(1))
    (found,) = _squares(300.0, targets)
    assert (found.severity, found.layer) == ("error", "4")
    assert "times the variance of the targets" in found.measured
    assert not _squares(10.0, targets)
    assert not _squares(1.0, 1e4 * targets)  # F13 tells


def test_sums_of_squares_are_no_mean() -> None:
    targets = torch.randn(128, 1, generator=torch.Generator().manual_seed(1))

    def total(output: Tensor, goals: Tensor) -> Tensor:
        return 100 * F.mse_loss(output, goals, reduction="sum")

    assert not fanin.check(network(0.15, 1), INPUTS, targets, total, select="F11").findings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "sdg"}, "unknown optimizer 'sdg': did you mean 'sgd'"),
        ({"optimizer": "adam", "lr": 0.1}, "lr is 0.1, and steps is 0: pass steps=8"),
    ],
)
def test_wrong_optimizers(options: dict[str, object], message: str) -> None:
    with pytest.raises(fanin.FaninError, match=message):
        fanin.check(network(0.15), INPUTS, LABELS, **options)  # type: ignore[arg-type]
