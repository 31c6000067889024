"""The loss that a model returns is the one that is judged."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

import fanin

TOKENS = torch.randint(0, 400, (16, 12), generator=torch.Generator().manual_seed(0))


class Language(nn.Module):
    """Tied tables; `form` says how logits and loss are returned."""

    def __init__(self, form: str, std: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table, self.mix = nn.Embedding(400, 64), nn.Linear(64, 64)
        nn.init.normal_(self.table.weight, std=std)
        self.norm, self.form = nn.LayerNorm(64), form

    def forward(self, ids: Tensor, labels: Tensor | None = None) -> Any:
        logits = F.linear(self.norm(self.mix(self.table(ids))), self.table.weight)
        if labels is None:
            return logits
        loss = F.cross_entropy(logits.view(-1, 400), labels.view(-1))
        return {
            "dict": {"loss": loss, "logits": logits},
            "loss first": (loss, logits),
            "loss last": (logits, loss),
            "loss alone": loss,
        }[self.form]


@pytest.mark.parametrize("form", ["dict", "loss first", "loss last", "loss alone"])
def test_the_models_own_loss_is_judged(form: str) -> None:
    inputs = {"ids": TOKENS, "labels": (TOKENS * 7 + 3) % 400}
    checkup = fanin.check(Language(form, 20.0), inputs)
    assert checkup.conditions.loss == "the model's own"
    (one,) = (found for found in checkup.findings if found.id == "F11")
    assert (one.severity, checkup.ok()) == ("error", False)
    assert "from ln 400" in one.measured
    sound = fanin.check(Language(form, 0.125), inputs)
    assert not [found for found in sound.findings if found.id == "F11"]


def test_a_loss_that_is_given_is_judged_too() -> None:
    labels = (TOKENS * 7 + 3) % 400

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits.view(-1, 400), targets.view(-1))

    def summed(logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits.view(-1, 400), targets.view(-1), reduction="sum")

    (one,) = fanin.check(Language("", 20.0), TOKENS, labels, loss, select="F11").findings
    assert one.severity == "error"
    assert not fanin.check(Language("", 0.125), TOKENS, labels, loss, select="F11").findings
    assert not fanin.check(Language("", 0.125), TOKENS, labels, summed, select="F11").findings


def test_a_number_beside_the_output_is_no_loss_without_labels() -> None:
    class Penalized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.line(x), self.line.weight.square().sum()

    assert fanin.check(Penalized(), torch.randn(16, 8)).conditions.loss == "random projection"


def test_losses_of_a_detector_are_summed() -> None:
    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            made = self.line(x)
            return {"loss_box": made.square().mean(), "loss_class": made.abs().mean()}

    assert fanin.check(Detector(), torch.randn(16, 8)).conditions.loss == "the model's own"
