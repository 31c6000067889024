"""F10: zeros that only wait for another one to move, and zeros that stay."""

import pytest
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


class Scaled(nn.Module):
    """Two layers with a scale of zero between them, and the size of the scale behind both."""

    def __init__(self, last: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.middle, self.head = (nn.Linear(16, 16) for _ in range(3))
        self.scale, self.gain = nn.Parameter(torch.zeros(16)), nn.Parameter(torch.tensor(last))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.inner(x))
        made: Tensor = self.head(h + self.scale * torch.relu(self.middle(h))) * self.gain
        return made


def test_a_zero_scale_waits_for_the_gain_of_the_output() -> None:
    """As in the U-Net of EDM2."""
    assert not found(Scaled(0.0))
    assert not found(Scaled(1.0))
    model = Scaled(0.0)
    model.gain.requires_grad_(False)
    (one,) = found(model)
    assert (one.id, one.severity) == ("F17", "error")
    assert "gain is zero and frozen" in one.why


class Switched(nn.Module):
    """A branch that a frozen mask multiplies, as a KAN's symbolic functions are."""

    def __init__(self, branch: nn.Module, mask: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.head, self.branch = nn.Linear(16, 16), nn.Linear(16, 16), branch
        self.scale = nn.Parameter(torch.zeros(16))
        self.mask = nn.Parameter(torch.full((16,), mask), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.mask * (self.scale * torch.sin(self.branch(x)))
        made: Tensor = self.head(torch.relu(self.inner(x)) + branch)
        return made


def test_a_zero_behind_a_frozen_zero_is_switched_off() -> None:
    assert not found(Switched(nn.Identity(), 0.0))
    assert not found(Switched(nn.Identity(), 1.0))  # the scale moves


@pytest.mark.parametrize(("alone", "severity"), [(False, "warning"), (True, "error")])
def test_weights_that_a_frozen_zero_switches_off(alone: bool, severity: str) -> None:
    class Low(nn.Module):
        """A low-rank update whose last factor is frozen where it starts."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.inner, self.a, self.head = (nn.Linear(16, 16) for _ in range(3))
            self.b = zero(nn.Linear(16, 16)).requires_grad_(False)

        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = self.b(self.a(x))
            return self.head(made if alone else made + torch.relu(self.inner(x)))

    model = Low()
    (one,) = found(model)
    assert (one.id, one.severity, one.layer) == ("F17", severity, "a")
    assert one.fix.startswith("requires_grad_(True) for b.weight")
    model.b.requires_grad_(True)
    assert alone or not found(model)


class Edges(nn.Module):
    """Every edge is a function of its own, beneath a mask of ones."""

    def __init__(self, frozen: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16, 16) / 4)
        self.mask = nn.Parameter(torch.ones(16, 16), requires_grad=not frozen)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = (self.weight * torch.relu(x[..., None]) * self.mask).sum(1)
        return made


def test_a_frozen_mask_has_no_units_to_tell_apart() -> None:
    torch.manual_seed(0)
    assert not found(nn.Sequential(Edges(True), Edges(True)))
    trained = found(nn.Sequential(Edges(False), Edges(False)))
    assert [(one.id, one.layer) for one in trained] == [("F08", "0.mask")]
