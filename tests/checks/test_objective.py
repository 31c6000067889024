"""F18, what the loss reads as logits; F13 of targets and inputs; F21, what targets it compares."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

import fanin
from fanin.errors import FaninError

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


LOSSES = [nn.MSELoss(), F.smooth_l1_loss, lambda output, y: (y - output).abs().mean()]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_targets_laid_out_in_another_way(loss: Any) -> None:
    line = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1))
    targets = INPUTS[:, 0]
    (found,) = fanin.check(line, INPUTS, targets, loss, select="F21").findings
    assert (found.severity, found.fix) == ("error", "targets[..., None]")
    assert "(64, 64)" in found.measured
    assert not fanin.check(line, INPUTS, targets[:, None], loss, select="F21").findings
    squeezed = lambda output, y: loss(output.squeeze(-1), y)  # noqa: E731
    assert not fanin.check(line, INPUTS, targets, squeezed, select="F21").findings


@pytest.mark.parametrize("loss", [None, *LOSSES])
@pytest.mark.parametrize(
    ("last", "reach"),
    [(nn.ReLU(), "none below 0"), (nn.Sigmoid(), "0 to 1"), (nn.Tanh(), "-1 to 1")],
)
def test_targets_that_no_output_reaches(last: nn.Module, reach: str, loss: Any) -> None:
    targets = torch.randn(64, 4, generator=torch.Generator().manual_seed(3))
    (found,) = fanin.check(network(last), INPUTS, targets, loss, select="F21").findings
    assert (found.severity, found.layer) == ("warning", "3")
    assert found.measured.endswith(f"gives {reach}")
    within = targets.sigmoid()
    assert not fanin.check(network(last), INPUTS, within, loss, select="F21").findings
    assert not fanin.check(network(), INPUTS, targets, loss, select="F21").findings


def test_targets_that_the_loss_brings_into_range() -> None:
    targets = 5 * INPUTS[:, :4]
    loss = lambda output, y: (output - y.sigmoid()).square().mean()  # noqa: E731
    assert not fanin.check(network(nn.Sigmoid()), INPUTS, targets, loss, select="F21").findings


def test_labels_of_no_class() -> None:
    with pytest.raises(FaninError, match=r"holds 4, and there are 4 .* targets - 1"):
        fanin.check(network(), INPUTS, CLASSES + 1)
    ignored = torch.where(CLASSES == 0, -100, CLASSES)
    fanin.check(network(), INPUTS, ignored)


def test_inputs_have_the_advice_that_fits_them() -> None:
    one_hot = F.one_hot(torch.arange(64) * 40, 2560).float()
    wide = nn.Sequential(nn.Linear(2560, 32), nn.ReLU(), nn.Linear(32, 4))
    (found,) = fanin.check(wide, one_hot, CLASSES, select="F13").findings
    assert "nn.Embedding(2560, width)" in found.fix
    pixels = torch.randint(0, 256, (64, 64), generator=torch.Generator().manual_seed(0)).float()
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4))
    (found,) = fanin.check(model, pixels, CLASSES, select="F13").findings
    assert found.fix.startswith("x = x / 255")
    (found,) = fanin.check(network(), pixels[:, :16], CLASSES, select="F13").findings
    assert found.fix.startswith("Standardize the data")  # of a table

    class Sine(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sin(30 * x)

    siren = nn.Sequential(nn.Linear(2, 32), Sine(), nn.Linear(32, 1))
    pairs = 64 * torch.rand(64, 2, generator=torch.Generator().manual_seed(0))
    (found,) = fanin.check(siren, pairs, INPUTS[:, :1], select="F13").findings
    assert "into [-1, 1]" in found.fix
    assert not fanin.check(siren, pairs / 32 - 1, INPUTS[:, :1], select="F13").findings
