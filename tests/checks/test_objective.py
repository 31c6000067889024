"""F18, what the loss reads as logits; F13 of targets."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

import fanin

INPUTS = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
CLASSES = torch.arange(64) % 4
BITS = (INPUTS[:, :4] > 0).float()


def network(*last: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4), *last)


def flattened(output: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(output.view(-1, 4), targets)


@pytest.mark.parametrize(
    ("last", "targets", "loss", "what"),
    [
        (nn.Softmax(1), CLASSES, None, "cross-entropy of what a softmax gives"),
        (nn.Softmax(1), CLASSES, flattened, "cross-entropy of what a softmax gives"),
        (nn.Sigmoid(), CLASSES, nn.CrossEntropyLoss(), "cross-entropy of what a sigmoid gives"),
        (nn.Softmax(1), CLASSES, F.nll_loss, "nll_loss of what a softmax gives"),
        (
            nn.Sigmoid(),
            BITS,
            nn.BCEWithLogitsLoss(),
            "binary cross-entropy with logits of what a sigmoid gives",
        ),
    ],
)
def test_squashed_twice(last: nn.Module, targets: Tensor, loss: Any, what: str) -> None:
    checkup = fanin.check(network(last), INPUTS, targets, loss)
    (one,) = (one for one in checkup.findings if one.id == "F18")
    assert (one.severity, one.layer, one.measured) == ("warning", "3", what)
    assert one.fix.startswith("Take the s")
    assert checkup.ok()


@pytest.mark.parametrize(
    ("last", "targets", "loss"),
    [
        ((), CLASSES, None),
        ((nn.LogSoftmax(1),), CLASSES, F.nll_loss),
        ((nn.LogSoftmax(1),), CLASSES, None),
        ((nn.Sigmoid(),), BITS, F.binary_cross_entropy),
        ((nn.Sigmoid(),), BITS, F.mse_loss),
    ],
)
def test_squashed_once(last: tuple[nn.Module, ...], targets: Tensor, loss: Any) -> None:
    found = fanin.check(network(*last), INPUTS, targets, loss).findings
    assert "F18" not in {one.id for one in found}


@pytest.mark.parametrize("loss", [None, F.l1_loss, lambda output, y: ((output - y) ** 2).mean()])
def test_targets_of_another_size(loss: Any) -> None:
    targets = 2e5 + 7e4 * INPUTS[:, :4]
    (one,) = fanin.check(network(), INPUTS, targets, loss, select="F13").findings
    assert one.severity == "warning"
    assert "targets of shape (64, 4) have mean 2" in one.measured
    assert "Standardize the targets" in one.fix
    assert not fanin.check(network(), INPUTS, targets / 1e4, loss, select="F13").findings
