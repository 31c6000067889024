"""Borders: chains of convolutions keep their size on maps of a few positions, zeros around them.

A chain's output is measured over seeds, as the mean of its logarithms: eight layers of 96 to 192
channels spread ln of a mean square by about 0.4, and by 0.2 as a mean of four; the limits are
three of these (false alarms: 0.3 %). Without account of the borders the chains lose factors of 4
to 2000.
"""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import fanin
from fanin.graph import Window

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def chain(rank: int, width: int, kernel: int = 3, **about: object) -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(8):
        layers += [CONVOLUTIONS[rank](width, width, kernel, **about), nn.ReLU()]  # type: ignore[arg-type]
    return nn.Sequential(*layers[:-1])


class Padded(nn.Module):
    """Zeros put around a map by hand, as for strides that do not divide it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(128, 128, 3) for _ in range(8))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(F.pad(F.relu(x), (1, 1, 1, 1)))
        return x


CHAINS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "lines of four": (chain(1, 192, padding=1), (8, 192, 4)),
    "maps of 3x3": (chain(2, 128, padding=1), (8, 128, 3, 3)),
    "maps of 6x6": (chain(2, 128, padding="same"), (4, 128, 6, 6)),
    "maps of one position": (chain(2, 128, padding=1), (16, 128, 1, 1)),
    "volumes of 1x3x3": (chain(3, 96, padding=1), (8, 96, 1, 3, 3)),
    "kernels of 7x7": (chain(2, 96, 7, padding=3), (4, 96, 7, 7)),
    "kernels that are dilated": (chain(2, 128, padding=2, dilation=2), (4, 128, 5, 5)),
    "padded by hand": (Padded(), (8, 128, 3, 3)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_on_a_small_map_keeps_its_size(name: str) -> None:
    model, shape = CHAINS[name]
    torch.manual_seed(0)
    logs = []
    for seed in range(4):
        inputs = torch.randn(shape)
        fanin.initialize(model, seed, inputs)
        logs.append(math.log(float(model(inputs).detach().square().mean())))
    assert sum(logs) / len(logs) == pytest.approx(0, abs=0.6)


def test_a_reason_says_what_the_borders_leave() -> None:
    model = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
    row = fanin.plan(model, torch.zeros(2, 8, 2, 2))["2.weight"]
    said = "0.5, of which 0.44 is left where the kernel reads zeros at borders"
    assert said in row.why


def test_few_zeros_leave_a_weight_as_it_is() -> None:
    model = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
    assert (
        str(fanin.plan(model, torch.zeros(2, 8, 32, 32))["2.weight"].initializer) == "he_normal()"
    )


class Moved(nn.Module):
    """A convolution, a function of its output with the features last or not, and another one."""

    def __init__(self, function: nn.Module, moved: bool) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(8, 8, 3, padding=1) for _ in range(2))
        self.function, self.moved = function, moved

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x = x.movedim(1, -1) if self.moved else x
        x = self.function(x)
        return self.second(x.movedim(-1, 1) if self.moved else x)


def test_maps_are_followed_where_features_come_last() -> None:
    for function in (nn.ReLU(), nn.Identity()):
        plans = [
            fanin.plan(Moved(function, moved), torch.zeros(2, 8, 4, 5)) for moved in (False, True)
        ]
        assert "is left" in plans[0]["second.weight"].why
        assert str(plans[0]) == str(plans[1])


def test_a_normalization_of_each_position_leaves_nothing_of_borders() -> None:
    plan = fanin.plan(Moved(nn.LayerNorm(8), True), torch.zeros(2, 8, 4, 5))
    assert "0.72 is left" in plan["second.weight"].why  # 10/12 x 13/15: of a map of ones


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "before", "dilation"),
    [((5, 4), (3, 3), (1, 1), (1, 1), (1, 1)), ((9, 8), (5, 3), (2, 3), (2, 0), (1, 2))],
)
def test_a_window_reads_what_a_convolution_reads(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    before: tuple[int, ...],
    dilation: tuple[int, ...],
) -> None:
    values = torch.rand(size, dtype=torch.float64)
    ones = torch.ones((1, 1, *kernel), dtype=torch.float64) / math.prod(kernel)
    right = F.conv2d(values[None, None], ones, None, stride, before, dilation)[0, 0]
    found = Window(kernel, stride, before, dilation).mean(values.numpy(), tuple(right.shape))
    np.testing.assert_allclose(found, right.numpy(), rtol=1e-12)
