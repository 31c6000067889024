"""Modulated layers g h + b: sines have their sizes, and b is no stream that g h is added to.

Modulated kernels: a learned map that they read is an activation, of size one.

512 samples of 128 units: standard deviations are sure to about 5 %, the limits are twice.
"""

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.frameworks.torch import trace
from fanin.graph import Structure

WIDTH = 128


class Modulated(nn.Module):
    """Sines of layers that another network modulates, as pi-GAN has them."""

    def __init__(self, depth: int = 4) -> None:
        super().__init__()
        widths = [2, *[WIDTH] * depth]
        self.layers = nn.ModuleList(nn.Linear(n, WIDTH) for n in widths[:-1])
        self.gates = nn.ModuleList(nn.Linear(16, 2 * WIDTH) for _ in widths[:-1])
        self.last = nn.Linear(WIDTH, 1)
        self.angles: list[Tensor] = []

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        self.angles = []
        for layer, gate in zip(self.layers, self.gates, strict=True):
            frequency, phase = gate(style).chunk(2, -1)
            self.angles.append((15 * frequency + 30) * layer(x))
            x = torch.sin(self.angles[-1] + phase)
        return self.last(x)


def test_sines_of_modulated_layers() -> None:
    torch.manual_seed(0)
    model, inputs = Modulated(), (torch.rand(512, 2) * 2 - 1, torch.randn(512, 16))
    plan = fanin.initialize(model, 0, inputs)
    model(*inputs)
    sizes = [float(angle.detach().std()) for angle in model.angles]
    assert all(0.8 < size < 1.2 for size in sizes[1:]), sizes
    assert "the first" in plan["layers.0.weight"].why


def test_a_shift_of_the_gates_own_layer_is_no_stream() -> None:
    graph = trace(Modulated(), (torch.randn(4, 2), torch.randn(4, 16)))
    assert not Structure(graph).residuals


def test_halves_that_couple_are_streams() -> None:
    class Coupling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.layer = nn.Linear(16, 16), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            left, right = self.first(x).chunk(2, -1)
            return left + torch.sigmoid(right) * self.layer(right)

    structure = Structure(trace(Coupling(), (torch.randn(4, 16),)))
    assert len(structure.residuals) == 1


class _ModulatedKernel(nn.Module):
    """A convolution of StyleGAN2: kernels that a style multiplies, one map's each, normalized."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, channels, 3, 3))
        self.style = nn.Linear(16, channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        batch, channels, *size = x.shape
        kernels = self.weight * (1 + self.style(style)[:, None, :, None, None])
        kernels = kernels * torch.rsqrt(kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8)
        maps, kernels = x.reshape(1, -1, *size), kernels.flatten(0, 1)
        made = nn.functional.conv2d(maps, kernels, padding=1, groups=batch)
        return made.view(batch, channels, *size)


def test_a_learned_map_that_made_kernels_read_is_no_kernel() -> None:
    """2048 values of a map: their RMS is sure to about 5 %; a kernel's would be 0.06."""

    class Generator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.map = nn.Parameter(torch.randn(1, 32, 8, 8))
            self.layers = nn.ModuleList(_ModulatedKernel(32) for _ in range(3))
            self.last = nn.Conv2d(32, 3, 1)
            self.sizes: list[float] = []

        def forward(self, style: Tensor) -> Tensor:
            x, self.sizes = self.map.expand(len(style), -1, -1, -1), []
            for layer in self.layers:
                x = layer(x, style)
                self.sizes.append(float(x.detach().square().mean().sqrt()))
                x = 2**0.5 * nn.functional.leaky_relu(x, 0.2)
            return self.last(x)

    torch.manual_seed(0)
    model, style = Generator(), torch.randn(8, 16)
    fanin.initialize(model, 0, style)
    model(style)
    assert float(model.map.detach().square().mean().sqrt()) == pytest.approx(1.0, rel=0.1)
    assert all(0.7 < size < 1.2 for size in model.sizes), model.sizes
