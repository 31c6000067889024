"""Networks for the checks: fully connected, their weights drawn by a rule of torch's."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

Build = Callable[..., nn.Sequential]


@pytest.fixture
def network() -> Build:
    """Makes `depth` linear layers, the last one a readout, biases zero, from seed 0."""

    def build(
        depth: int,
        width: int,
        activation: Callable[[], nn.Module],
        rule: Callable[[Tensor], Any],
        inputs: int = 64,
        outputs: int = 10,
    ) -> nn.Sequential:
        torch.manual_seed(0)
        sizes = [inputs, *[width] * (depth - 1), outputs]
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            line = nn.Linear(before, after)
            rule(line.weight)
            nn.init.zeros_(line.bias)
            layers += [line, activation()]
        return nn.Sequential(*layers[:-1])

    return build


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    """Inputs of mean 0 and variance 1, and labels of ten classes."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(128, 64, generator=generator)
    return inputs, torch.randint(0, 10, (128,), generator=generator)
