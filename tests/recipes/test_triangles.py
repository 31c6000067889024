"""Factors of maps that are inverted: triangles beside a diagonal, which stay as they were made."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import fanin
from fanin.initializers import Initializer, zeros

WIDTH = 8
EYE = torch.eye(WIDTH)
X = torch.randn(64, WIDTH, generator=torch.Generator().manual_seed(0))


class Rotation(nn.Module):
    """A 1 x 1 convolution of Glow as triangles of one rotation (article, section 3.2)."""

    signs: Tensor

    def __init__(self, inverse: bool = False, buffered: bool = False) -> None:
        super().__init__()
        _, lower, upper = torch.linalg.lu(torch.linalg.qr(torch.randn(WIDTH, WIDTH))[0])
        self.inverse, self.buffered, size = inverse, buffered, upper.diagonal().clone()
        self.lower, self.upper = nn.Parameter(lower), nn.Parameter(torch.triu(upper, 1))
        self.size = nn.Parameter(size.abs().log() if buffered else size)
        if buffered:
            self.register_buffer("signs", size.sign())

    def forward(self, x: Tensor) -> Tensor:
        size = self.signs * self.size.exp() if self.buffered else self.size
        upper = torch.triu(self.upper, 1) + torch.diag(size)
        made = (torch.tril(self.lower, -1) + EYE) @ upper
        return x @ (torch.linalg.inv(made) if self.inverse else made)


@pytest.mark.filterwarnings("ignore:.*the values are the constructor's:fanin.FaninWarning")
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("buffered", [False, True])
def test_a_rotation_in_triangles_stays_one(buffered: bool, inverse: bool) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(*(Rotation(inverse, buffered) for _ in range(4)), nn.Linear(WIDTH, 2))
    made = fanin.initialize(model, 0, X)
    assert all(made[f"1.{name}"].initializer is None for name in ("lower", "upper", "size"))
    assert torch.allclose(model[:4](X).norm(dim=1), X.norm(dim=1), rtol=1e-3)
    head = made["4.weight"].initializer  # whose inputs are of size one
    assert head is not None
    assert head.std((2, WIDTH)) == pytest.approx(WIDTH**-0.5, rel=0.35)
    before = model[0].lower.detach().clone()
    fanin.initialize(model, 1, X)
    assert torch.equal(model[0].lower, before) == buffered  # signs go with one rotation alone


@pytest.mark.filterwarnings("ignore:.*the values are the constructor's:fanin.FaninWarning")
def test_of_one_draw_all_are_drawn_again_or_none() -> None:
    """Among the numbers of this draw is one too far out for a draw to be told by its size."""
    torch.manual_seed(66)
    model = Rotation()
    made = fanin.initialize(model, 0, X)
    assert {made[name].keeps for name in ("lower", "upper", "size")} == {"unseeded"}
    assert torch.allclose(model(X).norm(dim=1), X.norm(dim=1), rtol=1e-3)


class Mixed(nn.Module):
    """x times a function of a square weight, and a head."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.p, self.function = nn.Parameter(torch.randn(WIDTH, WIDTH)), function
        self.head = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x @ self.function(self.p))


def choose(function: Callable[[Tensor], Tensor], recipe: str = "auto") -> Initializer | None:
    return fanin.plan(Mixed(function), X, recipe)["p"].initializer


@pytest.mark.parametrize("recipe", ["auto", "glow"])
@pytest.mark.parametrize(
    "function",
    [
        lambda w: torch.tril(w, -1) + EYE,
        lambda w: torch.triu(w, 1) - 2 * EYE,
        lambda w: torch.tril(w, -1) + torch.diag(F.softplus(w.diagonal())),
        lambda w: torch.linalg.inv(torch.tril(w, -1) + EYE),
    ],
)
def test_triangles_that_stay_invertible_are_kept(
    function: Callable[[Tensor], Tensor], recipe: str
) -> None:
    assert choose(function, recipe) is None


@pytest.mark.parametrize(
    "function",
    [
        lambda w: torch.tril(w),  # mixes positions from left to right
        lambda w: torch.tril(w) + EYE,
        lambda w: w + EYE,
        lambda w: w * torch.tril(torch.ones(WIDTH, WIDTH), -1),  # as MADE masks
        lambda w: EYE + 0 * w,
    ],
)
def test_other_weights_are_drawn(function: Callable[[Tensor], Tensor]) -> None:
    assert choose(function) is not None


class Written(nn.Module):
    """A layer, x L U of entries made zero, and a head; `ones` are put into L's diagonal."""

    def __init__(self, ones: bool = True, solves: bool = False) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.ones, self.solves = ones, solves
        self.lower, self.upper = (nn.Parameter(torch.zeros(WIDTH * 7 // 2)) for _ in range(2))
        self.size = nn.Parameter(torch.full((WIDTH,), 0.5397))

    def forward(self, x: Tensor) -> Tensor:
        lower, upper = torch.zeros(WIDTH, WIDTH), torch.zeros(WIDTH, WIDTH)
        rows, columns = torch.tril_indices(WIDTH, WIDTH, -1)
        lower[rows, columns], upper[columns, rows] = self.lower, self.upper
        upper[range(WIDTH), range(WIDTH)] = F.softplus(self.size)
        if self.ones:
            lower[range(WIDTH), range(WIDTH)] = 1.0
        x = self.first(x)
        if self.solves:
            x = torch.linalg.solve_triangular(upper, x.T, upper=True).T
            return self.head(torch.linalg.solve_triangular(lower, x.T, upper=False).T)
        return self.head(x @ upper @ lower)


@pytest.mark.parametrize("solves", [False, True])
def test_entries_made_zero_beside_others_stay_zero(solves: bool) -> None:
    model = Written(solves=solves)
    made = fanin.initialize(model, 0, X)
    assert made["lower"].initializer == made["upper"].initializer == zeros()
    head = made["head.weight"].initializer
    assert head is not None
    assert head.std((WIDTH, WIDTH)) == pytest.approx(WIDTH**-0.5, rel=0.25)


def test_a_matrix_of_zeros_alone_is_drawn() -> None:
    made = fanin.plan(Written(ones=False), X)
    assert made["upper"].initializer == zeros()
    assert made["lower"].initializer != zeros()
