"""Ordinary networks that train well: no warning, one cause told once."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin

MADE = torch.Generator().manual_seed(0)


def mlp(inputs: int, width: int, outputs: int, act: type[nn.Module], depth: int) -> nn.Sequential:
    """As people write it, with torch's own weights."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(inputs, width), act()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


class Burgers(nn.Module):
    """A physics-informed network: its loss is made of its derivatives."""

    def __init__(self) -> None:
        super().__init__()
        self.net = mlp(2, 20, 1, nn.Tanh, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        u = self.net(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (curve,) = torch.autograd.grad(slope[:, 1].sum(), x, create_graph=True)
        residual: Tensor = slope[:, :1] + u * slope[:, 1:] - 0.003 * curve[:, 1:]
        return residual.square().mean() + (u - torch.sin(x[:, 1:])).square().mean()


class Poisson(nn.Module):
    """Zero around the unit square by its ansatz, which second derivatives are taken of."""

    def __init__(self) -> None:
        super().__init__()
        self.net = mlp(2, 32, 1, nn.Tanh, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        u = (x * (1 - x)).prod(1, keepdim=True) * self.net(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        curves = [
            torch.autograd.grad(slope[:, at].sum(), x, create_graph=True)[0][:, at] for at in (0, 1)
        ]
        residual: Tensor = sum(curves) + 20 * torch.sin(torch.pi * x).prod(1)
        return residual.square().mean() / 100


class NeuralODE(nn.Module):
    """Twenty steps of Runge and Kutta's method through one small network."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = mlp(2, 50, 2, nn.Tanh, 1)

    def forward(self, y: Tensor) -> Tensor:
        seen = []
        for _ in range(20):
            first = self.slope(y)
            second = self.slope(y + 0.025 * first)
            third = self.slope(y + 0.025 * second)
            last = self.slope(y + 0.05 * third)
            y = y + 0.05 / 6 * (first + 2 * second + 2 * third + last)
            seen.append(y)
        return torch.stack(seen, 1)


def images() -> Tensor:
    return torch.rand(64, 3, 16, 16, generator=MADE)


CNN = (nn.Conv2d(3, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(256, 10))


@pytest.mark.parametrize(
    ("build", "inputs", "targets", "loss"),
    [
        (
            lambda: mlp(64, 64, 10, nn.ReLU, 2),
            torch.randn(128, 64, generator=MADE),
            torch.arange(128) % 10,
            None,
        ),
        (lambda: nn.Sequential(*CNN), images(), torch.arange(64) % 10, None),
        (
            lambda: mlp(4, 24, 2, nn.ReLU, 2),
            torch.randn(64, 4, generator=MADE),
            torch.randn(64, 2, generator=MADE),
            None,
        ),
        (Burgers, 2 * torch.rand(128, 2, generator=MADE) - 1, None, lambda output: output),
        (Poisson, torch.rand(64, 2, generator=MADE), None, lambda output: output),
        (
            NeuralODE,
            torch.randn(64, 2, generator=MADE),
            torch.randn(64, 20, 2, generator=MADE),
            None,
        ),
    ],
    ids=["mlp", "images in [0, 1]", "deep Q-network", "physics-informed", "equation", "neural ODE"],
)
def test_no_warning(build: Any, inputs: Tensor, targets: Any, loss: Any) -> None:
    torch.manual_seed(0)
    found = fanin.check(build(), inputs, targets, loss).findings
    assert not [finding for finding in found if finding.severity != "note"]
    said = [(finding.id, finding.layer, finding.measured) for finding in found]
    assert len(set(said)) == len(said) <= 2
