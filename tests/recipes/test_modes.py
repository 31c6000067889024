"""Modes: a weight behind batch normalization serves training and evaluation where both differ.

Wide layers and many positions: the means of squares over four seeds are sure to about 10 %.
"""

import math

import pytest
import torch
from torch import Tensor, nn

import fanin

WIDTH = 128


class Scaled(nn.Module):
    """A batch normalization that reads something else than a weight's output."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.first, self.norm = nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH)
        self.last, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 4)
        self.seen = torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.last(self.norm(self.factor * self.first(x)))
        return self.head(torch.relu(self.seen))


class Pooled(nn.Module):
    """Positions that are alike, as behind many layers, until they are normalized."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv1d(WIDTH, WIDTH, 1)]
        for _ in range(24):
            layers += [nn.ReLU(), nn.Conv1d(WIDTH, WIDTH, 1)]
        self.body, self.norm = nn.Sequential(*layers), nn.BatchNorm1d(WIDTH)
        self.pool, self.last = nn.MaxPool1d(64), nn.Conv1d(WIDTH, WIDTH, 1)
        self.head = nn.Conv1d(WIDTH, 4, 1)
        self.seen = torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.last(self.pool(torch.relu(self.norm(self.body(x)))))
        return self.head(torch.relu(self.seen))


def sizes(model: Scaled | Pooled, inputs: Tensor) -> tuple[float, float]:
    """The mean square of what the last weight gives, in eval and in train mode."""
    found = {False: 0.0, True: 0.0}
    for seed in range(4):
        fanin.initialize(model, seed, inputs)
        for train in found:
            model.train(train)(inputs)
            found[train] += float(model.seen.detach().square().mean()) / 4
    return found[False], found[True]


def test_a_size_that_batches_change_is_planned_half_way() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(256, WIDTH)
    row = fanin.plan(Scaled(4.0), inputs)["last.weight"]
    assert "second moment 4, between 16 in eval and 1 in train mode" in row.why
    evaluated, trained = sizes(Scaled(4.0), inputs)
    assert evaluated == pytest.approx(4, rel=0.3)
    assert trained == pytest.approx(1 / 4, rel=0.3)


def test_a_size_that_batches_hardly_change_is_planned_for_evaluation() -> None:
    torch.manual_seed(0)
    evaluated, trained = sizes(Scaled(1.8), torch.randn(256, WIDTH))
    assert evaluated == pytest.approx(1, rel=0.3)
    assert trained == pytest.approx(1 / 1.8**2, rel=0.3)


def test_maxima_of_what_batches_made_independent_are_planned_half_way() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(8, WIDTH, 64)
    why = fanin.plan(Pooled(), inputs)["last.weight"].why
    assert "between 1.1" in why
    evaluated, trained = sizes(Pooled(), inputs)
    assert trained == pytest.approx(math.sqrt(5.7 / 1.1), rel=0.3)
    assert 0.1 < evaluated < 1.6  # by chance: 24 layers spread ln of a mean square by 1


def test_a_concatenation_of_averages_is_one() -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.values, self.last = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 4)

        def forward(self, x: Tensor) -> Tensor:
            scores = torch.softmax(x @ x.mT, -1)
            heads = self.values(x).chunk(2, -1)
            return self.last(torch.cat([scores @ heads[0], 0.3 * (scores @ heads[1])], -1))

    assert fanin.plan(Heads(), torch.randn(2, 8, WIDTH))["last.weight"].averaged
