"""The networks that the classics train, on images of 28 x 28; the lab finds them by name."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

WIDTH, NARROW = 128, 64


def _plain(outputs: int, depth: int, width: int, activation: Callable[[], nn.Module]) -> nn.Module:
    """`depth` weights in all, an activation behind all but the last."""
    layers: list[nn.Module] = [nn.Flatten()]
    before = 28 * 28
    for _ in range(depth - 1):
        layers += [nn.Linear(before, width), activation()]
        before = width
    return nn.Sequential(*layers, nn.Linear(before, outputs))


def relu(outputs: int, depth: int) -> nn.Module:
    """Layers of 64 units with ReLU; `depth` weights in all."""
    return _plain(outputs, depth, NARROW, nn.ReLU)


def linear(outputs: int, depth: int) -> nn.Module:
    """The same without an activation."""
    return _plain(outputs, depth, NARROW, nn.Identity)


def tanh(outputs: int, depth: int) -> nn.Module:
    """Layers of 128 units with tanh; `depth` weights in all."""
    return _plain(outputs, depth, WIDTH, nn.Tanh)


class Block(nn.Module):
    """x + W2 relu(W1 relu(x + b) + b) * m + b: a residual block without normalization.

    b and m are the scalars that Fixup adds.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width, bias=False)
        self.outer = nn.Linear(width, width, bias=False)
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(1)) for _ in range(4)])
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """(n, width), in and out."""
        first, second, third, last = self.biases
        hidden = self.inner(torch.relu(x + first) + second)
        after: Tensor = x + self.outer(torch.relu(hidden + third)) * self.scale + last
        return after


def residual(outputs: int, depth: int) -> nn.Module:
    """A weight, `depth` blocks of 64 units, and a head."""
    blocks = [Block(NARROW) for _ in range(depth)]
    return nn.Sequential(
        nn.Flatten(), nn.Linear(28 * 28, NARROW), *blocks, nn.ReLU(), nn.Linear(NARROW, outputs)
    )
