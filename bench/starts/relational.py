"""Models of pairs, sets and graphs, and of several experts, tasks and heads."""

import itertools

import torch
from torch import Tensor, nn


class Siamese(nn.Module):
    """The same convolutions on two images; whether their codes are near says if they are alike."""

    def __init__(self) -> None:
        super().__init__()
        self.code = nn.Sequential(
            nn.Conv2d(1, 16, 3, 1, 1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 24, 3, 1, 1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(96, 32),
        )
        self.head = nn.Linear(32, 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.head((self.code(first) - self.code(second)).abs())


def _neighbours(side: int = 8) -> Tensor:
    """Which pixels of a square touch, and themselves, (side^2, side^2)."""
    places = torch.cartesian_prod(torch.arange(side), torch.arange(side))
    return ((places[:, None] - places[None]).abs().amax(-1) <= 1).float()


class GraphConvolutions(nn.Module):
    """Pixels as nodes of a grid, degrees normalized (Kipf & Welling 2017), pooled."""

    around: Tensor

    def __init__(self, width: int = 24, depth: int = 4) -> None:
        super().__init__()
        touching = _neighbours()
        degree = touching.sum(1) ** -0.5
        self.register_buffer("around", degree[:, None] * touching * degree)
        sizes = [3] + [width] * depth
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.register_buffer(
            "places", torch.cartesian_prod(torch.linspace(-1, 1, 8), torch.linspace(-1, 1, 8))
        )
        self.head = nn.Linear(2 * width, 10)

    def forward(self, images: Tensor) -> Tensor:
        levels = images.flatten(1)[..., None]
        x = torch.cat([levels, self.places.expand(len(images), -1, -1)], -1)
        for layer in self.layers:
            x = torch.relu(layer(self.around @ x))
        return self.head(torch.cat([x.mean(1), x.amax(1)], -1))


class Messages(nn.Module):
    """Points tell each other what they see in three rounds, each an update with a GRU cell."""

    def __init__(self, width: int = 24, rounds: int = 3) -> None:
        super().__init__()
        self.rounds = rounds
        self.embed = nn.Linear(3, width)
        self.message = nn.Sequential(nn.Linear(2 * width + 1, width), nn.SiLU())
        self.update = nn.GRUCell(width, width)
        self.head = nn.Linear(width, 10)

    def forward(self, points: Tensor) -> Tensor:
        batch, count, _ = points.shape
        far = torch.cdist(points[..., :2], points[..., :2])[..., None]
        x = self.embed(points)
        for _ in range(self.rounds):
            one = x[:, :, None].expand(-1, -1, count, -1)
            other = x[:, None].expand(-1, count, -1, -1)
            told = self.message(torch.cat([one, other, far], -1)).sum(2)
            x = self.update(told.flatten(0, 1), x.flatten(0, 1)).view(batch, count, -1)
        return self.head(x.sum(1))


class Recommender(nn.Module):
    """Embeddings of users and items, their product and a network of both (He et al. 2017)."""

    def __init__(self, users: int = 1797, items: int = 64, width: int = 16) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(users, width), nn.Embedding(items, width)
        self.layers = nn.Sequential(
            nn.Linear(2 * width, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1)
        )

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        one, other = self.users(user), self.items(item)
        product = (one * other).sum(1, keepdim=True)
        return product + self.layers(torch.cat([one, other], 1))


class Experts(nn.Module):
    """Four networks, weighted by a gate, in each of two residual layers."""

    def __init__(self, inputs: int = 64, width: int = 32, experts: int = 4) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.gates = nn.ModuleList(nn.Linear(width, experts) for _ in range(2))
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
            for _ in range(2 * experts)
        )
        self.head = nn.Linear(width, 10)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = self.first(images.flatten(1))
        shares = []
        for number, gate in enumerate(self.gates):
            share = gate(x).softmax(-1)
            experts = list(self.experts)[number :: len(self.gates)]
            made = torch.stack([expert(x) for expert in experts], -1)
            x = x + (made * share[:, None]).sum(-1)
            shares.append(share)
        return self.head(x), torch.cat(shares, -1) / 2


class TwoHeads(nn.Module):
    """One trunk of convolutions, a class and a number."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 16, 3, 1, 1),
            nn.GELU(),
            nn.Conv2d(16, 24, 3, 2, 1),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(384, 48),
            nn.GELU(),
        )
        self.classes = nn.Linear(48, 10)
        self.number = nn.Sequential(nn.Linear(48, 16), nn.GELU(), nn.Linear(16, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.trunk(images)
        return self.classes(hidden), self.number(hidden)


class ActorCritic(nn.Module):
    """What to do and what it will bring, from one trunk."""

    def __init__(self, state: int = 4, width: int = 64, actions: int = 4) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(state, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()
        )
        self.policy = nn.Linear(width, actions)
        self.value = nn.Linear(width, 1)

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.trunk(state)
        return self.policy(hidden), self.value(hidden)
