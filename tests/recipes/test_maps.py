"""Maps: pools, resampling, padding and joined branches keep the scale that the plan foresees.

A chain of convolutions on 16 x 16 maps of 32 channels, with borders that wrap around: what feeds
its last layer is compared with the plan (three seeds, four samples). A factor of 1.5 at every
layer would be one of 11 after six; the limit is 2.
"""

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import fanin

WIDTH, LAYERS, SIZE = 32, 6, 16
BLUR = (
    torch.tensor([1.0, 2.0, 1.0]).outer(torch.tensor([1.0, 2.0, 1.0])).expand(WIDTH, 1, 3, 3) / 16
)

Layer = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]


class Chain(nn.Module):
    def __init__(self, layer: Layer, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layer = layer
        self.first, self.last = nn.Conv2d(3, WIDTH, 1), nn.Conv2d(WIDTH, 4, 1)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="circular") for _ in range(LAYERS)
        )
        self.fed = torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        for convolution in self.convolutions:
            h = self.layer(convolution, h)
        self.fed = h
        return self.last(h)


def blurred(h: Tensor) -> Tensor:
    return F.conv2d(F.pad(F.relu(h), (1, 1, 1, 1), mode="circular"), BLUR, groups=WIDTH)


def doubled(h: Tensor, mode: str) -> Tensor:
    return F.interpolate(F.relu(h), scale_factor=2, mode=mode)


# The layer, and the channels that its convolution reads and gives.
LAYER: dict[str, tuple[Layer, int, int]] = {
    "max pool": (lambda c, h: c(F.max_pool2d(F.relu(h), 3, 1, 1)), WIDTH, WIDTH),
    "max pool, nearest": (lambda c, h: c(doubled(F.max_pool2d(h, 2), "nearest")), WIDTH, WIDTH),
    "average pool": (lambda c, h: c(doubled(F.avg_pool2d(h, 2), "nearest")), WIDTH, WIDTH),
    "adaptive": (
        lambda c, h: c(F.interpolate(F.adaptive_avg_pool2d(F.relu(h), 4), size=SIZE)),
        WIDTH,
        WIDTH,
    ),
    "bilinear": (lambda c, h: c(doubled(h, "bilinear"))[..., ::2, ::2], WIDTH, WIDTH),
    "blurred": (lambda c, h: c(blurred(h)), WIDTH, WIDTH),
    "empty channels": (
        lambda c, h: c(F.pad(F.relu(h), (0, 0, 0, 0, 0, WIDTH))),
        2 * WIDTH,
        WIDTH,
    ),
    "branches": (
        lambda c, h: c(torch.cat([F.relu(h), 0.1 * h[:, :8], torch.tanh(h)], 1)),
        2 * WIDTH + 8,
        WIDTH,
    ),
    "dense": (lambda c, h: torch.cat([c(F.relu(h)), h[:, :8]], 1), WIDTH, WIDTH - 8),
    "shuffled": (
        lambda c, h: F.pixel_shuffle(c(F.relu(h)), 2)[..., ::2, ::2],
        WIDTH,
        4 * WIDTH,
    ),
}


@pytest.mark.parametrize("name", LAYER)
def test_scales_last(name: str) -> None:
    torch.manual_seed(0)
    model, measured = Chain(*LAYER[name]), []
    for seed in range(3):
        plan = fanin.initialize(model, seed, torch.randn(4, 3, SIZE, SIZE))
        with torch.no_grad():
            model(torch.randn(4, 3, SIZE, SIZE))
        measured.append(float(model.fed.square().mean()))
    found = re.search(r"second moment ([0-9.e+-]+)", plan["last.weight"].why)
    assert found is not None
    assert 0.5 < float(found[1]) / (sum(measured) / len(measured)) < 2
