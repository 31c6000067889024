"""Functions of a place: physics-informed, sinusoidal, on Fourier features, made by a network."""

import itertools

import torch
from torch import Tensor, nn


def informed() -> nn.Module:
    """Four layers of tanh, whose second derivatives an equation asks for (Raissi et al. 2019)."""
    layers: list[nn.Module] = []
    for fan_in in (2, 32, 32, 32):
        layers += [nn.Linear(fan_in, 32), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(32, 1))


class Sinusoidal(nn.Module):
    """SIREN, with the constructor's own uniform weights (Sitzmann et al. 2020)."""

    def __init__(self, width: int = 96, depth: int = 3, omega: float = 30.0) -> None:
        super().__init__()
        self.omega = omega
        sizes = [2] + [width] * depth
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.head = nn.Linear(width, 1)
        with torch.no_grad():
            for number, layer in enumerate([*self.layers, self.head]):
                fan_in = layer.in_features
                bound = 1 / fan_in if number == 0 else (6 / fan_in) ** 0.5 / omega
                layer.weight.uniform_(-bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.sin(self.omega * layer(x))
        return self.head(x)


class Hypernetwork(nn.Module):
    """The upper half of a digit makes the weights of a small network that reads the lower half."""

    def __init__(self, width: int = 16, hidden: int = 32) -> None:
        super().__init__()
        self.width = width
        self.maker = nn.Sequential(nn.Linear(32, hidden), nn.ReLU())
        self.first = nn.Linear(hidden, 32 * width)
        self.second = nn.Linear(hidden, width * 10)

    def forward(self, images: Tensor) -> Tensor:
        upper, lower = images[:, 0, :4].flatten(1), images[:, 0, 4:].flatten(1)
        hidden = self.maker(upper)
        first = self.first(hidden).view(-1, 32, self.width)
        second = self.second(hidden).view(-1, self.width, 10)
        x = torch.relu(lower[:, None] @ first)
        return (x @ second)[:, 0]
