"""Adapters as users write them, for several tests of checks."""

import torch
from torch import Tensor, nn


class LowRank(nn.Module):
    """LoRA with both matrices zero."""

    def __init__(self, out: int) -> None:
        super().__init__()
        self.base = nn.Linear(32, out).requires_grad_(False)
        self.a, self.b = nn.Parameter(torch.zeros(32, 4)), nn.Parameter(torch.zeros(4, out))

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.base(x) + x @ self.a @ self.b
        return made
