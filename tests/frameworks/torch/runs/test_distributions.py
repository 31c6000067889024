"""Distributions of torch that a model returns: their parameters are its outputs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, distributions, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

import fanin
from fanin import FaninError
from fanin.frameworks.torch import tensors_in

X = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))
Made = Callable[[Tensor, Tensor], Any]


class TwoHeads(nn.Module):
    """Two heads, and what is made of what they give."""

    def __init__(self, made: Made) -> None:
        super().__init__()
        self.inner, self.first, self.second = nn.Linear(8, 32), nn.Linear(32, 4), nn.Linear(32, 4)
        self._made = made

    def forward(self, x: Tensor) -> Any:
        hidden = torch.relu(self.inner(x))
        return self._made(self.first(hidden), F.softplus(self.second(hidden)) + 0.001)


def normal(mean: Tensor, scale: Tensor) -> distributions.Normal:
    return distributions.Normal(mean, scale)


def squashed(mean: Tensor, scale: Tensor) -> distributions.TransformedDistribution:
    turns = [distributions.AffineTransform(mean, scale), distributions.TanhTransform()]
    base = distributions.Normal(torch.zeros(4), torch.ones(4))
    return distributions.TransformedDistribution(base, turns)


def mixture(mean: Tensor, scale: Tensor) -> distributions.MixtureSameFamily:
    parts = distributions.Categorical(logits=scale.log())
    return distributions.MixtureSameFamily(parts, normal(mean, torch.ones(4)))


MADE: dict[str, tuple[Made, Tensor]] = {
    "normal": (normal, torch.full((64, 4), 0.5)),
    "independent": (
        lambda mean, scale: distributions.Independent(normal(mean, scale), 1),
        torch.full((64, 4), 0.5),
    ),
    "squashed": (squashed, torch.full((64, 4), 0.5)),
    "mixture": (mixture, torch.full((64,), 0.5)),
}


@pytest.mark.parametrize("made", MADE)
def test_a_plan_is_that_of_the_parameters(made: str) -> None:
    plan = fanin.plan(TwoHeads(MADE[made][0]), X)
    assert plan.notes == ()  # whether parameters are valid is not asked
    plain = fanin.plan(TwoHeads(lambda mean, scale: (mean, scale)), X)
    assert [*plan.values()] == [*plain.values()]
    assert plan["second.weight"].why.endswith("the head")


@pytest.mark.parametrize("made", MADE)
def test_a_loss_of_a_distribution_reaches_both_heads(made: str) -> None:
    torch.manual_seed(0)
    forward, targets = MADE[made]
    checkup = fanin.check(
        TwoHeads(forward), X, targets, lambda found, given: -found.log_prob(given).mean()
    )
    assert [finding for finding in checkup.findings if finding.severity == "error"] == []
    assert all(layer.gradient for layer in checkup.layers)
    assert fanin.check(TwoHeads(forward), X).layers[0].gradient


@pytest.mark.parametrize("kind", ["logits", "probs"])
def test_categories_are_of_a_head(kind: str) -> None:
    """torch takes from logits the logarithm of their sum, and divides probabilities by it."""

    def made(mean: Tensor, scale: Tensor) -> distributions.Categorical:
        given = mean if kind == "logits" else F.softmax(mean, -1)
        return distributions.Categorical(**{kind: given})

    assert fanin.plan(TwoHeads(made), X)["first.weight"].why.endswith("the head")


def test_a_parameter_of_two_names_counts_once() -> None:
    logits = torch.zeros(2, 3, requires_grad=True)
    assert len([*tensors_in(distributions.Categorical(logits=logits))]) == 1
    base = distributions.Normal(logits, torch.ones(2, 3))
    assert len([*tensors_in({"it": [distributions.Independent(base, 1)]})]) == 2


@pytest.mark.parametrize("targets", [None, torch.zeros(64, 4)])
def test_a_model_that_returns_nothing_says_so(targets: Tensor | None) -> None:
    with pytest.raises(FaninError, match="the model returned NoneType, in which there is no ten"):
        fanin.check(TwoHeads(lambda mean, scale: None), X, targets)


def test_a_loss_knows_how_to_read_any_object() -> None:
    class Found:
        def __init__(self, mean: Tensor, scale: Tensor) -> None:
            self.mean, self.scale = mean, scale

    checkup = fanin.check(
        TwoHeads(Found), X, torch.zeros(64, 4), lambda found, y: (found.mean - y).square().mean()
    )
    assert "F17" not in {item.id for item in checkup.findings if item.severity == "error"}
    assert checkup.layers[0].gradient
