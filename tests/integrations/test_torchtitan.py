"""torchtitan, which does not install beside these tests: a stand-in for how its models start."""

from typing import Any

import torch
from torch import nn

import fanin


class Titan(nn.Module):
    """As models of torchtitan are: built on meta, sharded, `to_empty`, and then `init_weights`."""

    def __init__(self, size: int = 8) -> None:
        super().__init__()
        self.table = nn.Embedding(50, size)
        self.layers = nn.ModuleDict({"0": nn.Linear(size, size), "1": nn.Linear(size, size)})
        self.output = nn.Linear(size, 50, bias=False)
        self.register_buffer("angles", self.compute_angles(size), persistent=False)

    @staticmethod
    def compute_angles(size: int) -> torch.Tensor:
        return 1.0 / 10000 ** (torch.arange(0, size, 2).float() / size)

    def init_weights(self, buffer_device: torch.device | None = None) -> None:
        with torch.device(buffer_device or self.angles.device):
            self.angles = self.compute_angles(self.output.in_features)
        for parameter in self.parameters():
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, ids: torch.Tensor) -> Any:
        x = self.table(ids) * torch.cat([self.angles, self.angles]).cos()
        for layer in self.layers.values():
            x = x + layer(torch.relu(x))
        return self.output(x)


def test_torchtitan_draws_after_its_own_init_weights() -> None:
    """Which computes the buffers that `to_empty` left as they happened to be."""
    ids = torch.zeros(1, 4, dtype=torch.long)
    with torch.device("meta"):
        model = Titan()
    plan = fanin.plan(model, ids)  # before it is sharded
    model.to_empty(device="cpu")
    model.init_weights(torch.device("cpu"))
    plan.apply(model, 0).verify(model)
    whole = Titan()
    plan.apply(whole, 0)
    for mine, theirs in zip(model.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert torch.equal(model.angles, whole.angles)
