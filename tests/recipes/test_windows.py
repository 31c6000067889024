"""Windows: what pools and patches give to a weight is as large as the plan says.

A convolution, the window and the weight that reads it, on maps of 8 x 8 pixels of normal noise
(64 channels, 16 samples, three seeds: the mean squares are sure to about 2 %, the limit is 8 %).
"""

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import fanin

Window = Callable[[Tensor], Tensor]
SIZE = 8


class Reads(nn.Module):
    """A convolution, the window, and a convolution that reads it."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window = window
        channels = window(torch.zeros(1, 64, SIZE, SIZE)).shape[1]
        self.before, self.after = nn.Conv2d(32, 64, 1), nn.Conv2d(channels, 8, 1)
        self.fed = torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        self.fed = self.window(self.before(x))
        return self.after(self.fed)


def patches(h: Tensor, fn: Window = torch.relu) -> Tensor:
    return F.fold(fn(F.unfold(h, 3, padding=1)), h.shape[-2:], 3, padding=1)


def of_four(h: Tensor) -> Tensor:
    return h.unflatten(1, (-1, 4))


WINDOWS: dict[str, Window] = {
    "root of a mean of squares": lambda h: F.lp_pool2d(h, 2.0, 2),
    "of rectified": lambda h: F.lp_pool2d(F.relu(h), 2.0, 2),
    "third root": lambda h: F.lp_pool2d(F.relu(h), 3.0, 2),
    "generalized mean": lambda h: F.avg_pool2d(h.clamp(min=1e-6) ** 3, 2) ** (1 / 3),
    "distance": lambda h: of_four(h).square().sum(2).sqrt(),
    "logarithm of a mean": lambda h: torch.log1p(F.avg_pool2d(h.abs(), 2)),
    "zeros counted": lambda h: F.avg_pool2d(h, 3, 1, 1),
    "zeros counted, of rectified": lambda h: F.avg_pool2d(F.relu(h), 3, 1, 1),
    "zeros counted, far": lambda h: F.avg_pool2d(h, 7, 1, 3),
    "zeros not counted": lambda h: F.avg_pool2d(h, 3, 1, 1, count_include_pad=False),
    "not counted, of rectified": lambda h: F.avg_pool2d(
        F.relu(h), 3, 1, 1, count_include_pad=False
    ),
    "beyond the border": lambda h: F.avg_pool2d(h, 3, 2, ceil_mode=True),
    "another divisor": lambda h: F.avg_pool2d(h, 3, 1, 1, divisor_override=3),
    "one pixel and zeros": lambda h: F.avg_pool2d(h[..., :1, :1], 3, 1, 1),
    "in one dimension": lambda h: F.avg_pool1d(h.flatten(2), 3, 1, 1).view_as(h),
    "to a given size": lambda h: F.adaptive_avg_pool2d(h, 3),
    "to a larger size": lambda h: F.adaptive_avg_pool2d(h[..., :2, :2], 7),
    "largest, to a given size": lambda h: F.adaptive_max_pool2d(h, 3),
    "patches put back": lambda h: patches(h, lambda item: item),
    "rectified patches put back": patches,
    "patches of stride 2": lambda h: F.fold(F.unfold(h, 4, stride=2), (SIZE, SIZE), 4, stride=2),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows(name: str) -> None:
    torch.manual_seed(0)
    model, maps = Reads(WINDOWS[name]), (16, 32, SIZE, SIZE)
    measured = []
    for seed in range(3):
        plan = fanin.initialize(model, seed, torch.randn(maps))
        model(torch.randn(maps))
        measured.append(float(model.fed.detach().square().mean()))
    found = re.search(r"second moment ([0-9.e+-]+)", plan["after.weight"].why)
    assert found is not None
    assert float(found[1]) == pytest.approx(sum(measured) / len(measured), rel=0.08)
