"""Inner products that are no attention: scores of pairs have variance one, tables act as weights.

300 pairs or more of widths up to 64: their mean squares are sure to about 10 %, over three seeds.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import fanin

WIDTH, ROWS = 64, 200


class Factors(nn.Module):
    """A matrix as the product of two tables, with a bias for every row."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.join = join
        self.left, self.right = nn.Embedding(ROWS, WIDTH), nn.Embedding(ROWS, WIDTH)
        self.bias = nn.Embedding(ROWS, 1)
        nn.init.zeros_(self.bias.weight)

    def forward(self, pairs: Tensor) -> Tensor:
        left, right = pairs.T
        return self.join(self.left(left), self.right(right)) + self.bias(right).squeeze(1)


class Towers(nn.Module):
    def __init__(self, join: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.join = join
        self.left = nn.Sequential(nn.Linear(32, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
        self.right = nn.Sequential(nn.Linear(32, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.join(self.left(x), self.right(y))


def summed(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1)


def by_matrices(a: Tensor, b: Tensor) -> Tensor:
    return torch.bmm(a[:, None], b[:, :, None])[:, 0, 0]


def size(model: nn.Module, inputs: tuple[Tensor, ...]) -> float:
    found = []
    for seed in range(3):
        fanin.initialize(model, seed, inputs)
        found.append(float(model(*inputs).detach().square().mean()))
    return sum(found) / 3


@pytest.mark.parametrize("join", [summed, by_matrices, lambda a, b: torch.sum(b * a, 1)])
def test_scores_of_rows_of_tables(join: Callable[[Tensor, Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    model, pairs = Factors(join), torch.randint(0, ROWS, (1000, 2))
    assert size(model, (pairs,)) == pytest.approx(1.0, rel=0.3)
    assert not model.bias.weight.any()


@pytest.mark.parametrize("join", [summed, lambda a, b: a @ b.T])
def test_scores_of_two_networks(join: Callable[[Tensor, Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(500, 32), torch.randn(500, 32)
    assert size(Towers(join), inputs) == pytest.approx(1.0, rel=0.4)


def test_a_table_of_positions_that_multiplies_is_a_weight() -> None:
    """Lambda layers: every position sums the values of all, weighted by rows of a table."""

    class Lambda(nn.Module):
        def __init__(self, positions: int) -> None:
            super().__init__()
            self.value, self.last = nn.Linear(16, 16), nn.Linear(16, 16)
            self.table = nn.Parameter(torch.randn(2 * positions - 1, 8))
            places = torch.arange(positions)
            self.register_buffer("apart", places[:, None] - places + positions - 1)
            self.summed = torch.zeros(())

        def forward(self, x: Tensor) -> Tensor:
            apart = self.get_buffer("apart")
            self.summed = self.table[apart].transpose(1, 2) @ self.value(x)[:, None]
            return self.last(self.summed)

    torch.manual_seed(0)
    model, x = Lambda(256), torch.randn(4, 256, 16)
    plan = fanin.initialize(model, 0, x)
    model(x)
    assert "second moment 1" in plan["last.weight"].why
    assert float(model.summed.detach().square().mean()) == pytest.approx(1.0, rel=0.2)


def test_rows_that_one_hot_masks_pick_are_as_large_as_they_were() -> None:
    """Tokens sent to the places of experts by a product of masks, as GShard does."""

    class Dispatch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.router, self.expert = nn.Linear(16, 4), nn.Linear(16, 16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            chosen = nn.functional.one_hot(self.router(x).argmax(-1), 4)
            place = ((chosen.cumsum(0) - 1) * chosen).sum(-1).clamp(max=15)
            mask = chosen[..., None] * nn.functional.one_hot(place, 16)[:, None]
            return self.expert(torch.einsum("nec,nd->ecd", mask.float(), x))

    why = fanin.plan(Dispatch(), torch.zeros(64, 16))["expert.weight"].why
    assert why.startswith("input has second moment 1")
