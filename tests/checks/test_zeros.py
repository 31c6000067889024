"""F10: zeros that only wait for another one to move, and zeros that stay."""

import torch
from torch import Tensor, nn

import fanin
from fanin.checks import Finding

INPUTS = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
TARGETS = torch.randn(64, 16, generator=torch.Generator().manual_seed(1))


def found(model: nn.Module) -> list[Finding]:
    findings = fanin.check(model, INPUTS, TARGETS, select="F03,F08,F10,F17").findings
    return [one for one in findings if one.severity != "note"]


def zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Modulated(nn.Module):
    """The last layers of a diffusion transformer: modulation and readout both start at zero."""

    def __init__(self, stream: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.condition, self.stream = nn.Linear(16, 32), nn.Linear(16, 32), stream
        self.norm = nn.LayerNorm(32, elementwise_affine=False)
        self.modulation, self.head = zero(nn.Linear(32, 64)), zero(nn.Linear(32, 16))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(torch.relu(self.inner(x)))
        scale, shift = self.modulation(torch.relu(self.condition(x))).chunk(2, -1)
        made: Tensor = self.head(h * (1 + scale) + shift if self.stream else h * scale + shift)
        return made


def test_a_zero_head_learns_from_a_stream_that_zeros_only_modulate() -> None:
    assert not found(Modulated(stream=True))
    (one,) = (one for one in found(Modulated(stream=False)) if one.id == "F10")
    assert (one.severity, one.layer) == ("error", "modulation")
    assert "head.weight is zero too" in one.why
