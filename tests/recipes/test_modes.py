"""Modes: a weight behind batch normalization serves training and evaluation where both differ.

Wide layers and many positions: the means of squares over four seeds are sure to about 10 %.
"""

import math

import pytest
import torch
from torch import Tensor, nn

import fanin

WIDTH = 128


class Seen(nn.Module):
    """A model that keeps what its last weight gave."""

    seen = torch.zeros(())


class Scaled(Seen):
    """A batch normalization that reads something else than a weight's output."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.first, self.norm = nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH)
        self.last, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.last(self.norm(self.factor * self.first(x)))
        return self.head(torch.relu(self.seen))


class Pooled(Seen):
    """Positions that are alike, as behind many layers, until they are normalized."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv1d(WIDTH, WIDTH, 1)]
        for _ in range(24):
            layers += [nn.ReLU(), nn.Conv1d(WIDTH, WIDTH, 1)]
        self.body, self.norm = nn.Sequential(*layers), nn.BatchNorm1d(WIDTH)
        self.pool, self.last = nn.MaxPool1d(64), nn.Conv1d(WIDTH, WIDTH, 1)
        self.head = nn.Conv1d(WIDTH, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.last(self.pool(torch.relu(self.norm(self.body(x)))))
        return self.head(torch.relu(self.seen))


def sizes(model: Seen, inputs: Tensor) -> tuple[float, float]:
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


class Summed(nn.Module):
    """Means over tokens with the weights of a softmax, which a last weight reads."""

    def __init__(self, mean: str) -> None:
        super().__init__()
        self.mean = mean
        self.values, self.scores = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 1)
        self.skip, self.last = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 4)
        self.gate = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        weights, values = torch.softmax(self.scores(x), 1), self.values(x)
        mean = (weights * values).sum(1, keepdim=True)
        match self.mean:
            case "sum":
                read = mean
            case "sum of two":
                read = mean + 0.5 * mean.tanh()
            case "product":
                read = mean @ torch.randn(WIDTH, WIDTH)
            case "small beside a stream":
                read = 0.3 * mean + self.skip(x)
            case "gate":
                read = self.skip(x) * torch.sigmoid(self.gate(mean))
        return self.last(read)


@pytest.mark.parametrize(
    ("mean", "averaged"),
    [
        ("sum", True),
        ("sum of two", True),
        ("product", True),
        ("small beside a stream", False),
        ("gate", False),
    ],
)
def test_what_is_mostly_an_average_is_one(mean: str, averaged: bool) -> None:
    row = fanin.plan(Summed(mean), torch.randn(2, 8, WIDTH))["last.weight"]
    assert row.averaged is averaged


class Taken(Seen):
    """A stream that adds weights' outputs and itself, normalized, and takes that away again."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first, self.second = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm1d(WIDTH) for _ in range(2))
        self.last, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = 3 * self.stem(x)
        x = self.first(x) + self.second(x) + self.norms[0](x) - self.norms[1](x)
        self.seen = self.last(x)
        return self.head(torch.relu(self.seen))


def test_what_is_added_and_taken_away_again_is_nothing() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(256, WIDTH)
    assert sizes(Taken(), inputs) == pytest.approx((1, 1), rel=0.3)


class Twice(Seen):
    """Two weights behind a batch normalization, of what is not of size one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH)
        self.middle, self.last = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.last(torch.relu(self.middle(self.norm(8 * self.first(x)))))
        return self.head(torch.relu(self.seen))


def test_a_size_between_the_modes_is_seen_by_the_next_weight() -> None:
    torch.manual_seed(0)
    evaluated, trained = sizes(Twice(), torch.randn(256, WIDTH))
    assert evaluated == pytest.approx(8, rel=0.3)  # a ratio of 64, half-way
    assert trained == pytest.approx(1 / 8, rel=0.3)
