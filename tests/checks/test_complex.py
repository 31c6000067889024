"""Complex models: their sizes are those of absolute values, and they fall ill as real ones do."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.axes import parse_axes
from fanin.frameworks.observing._values import describe
from fanin.graph import Use

X = torch.randn(64, 16, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))


class Complex(nn.Module):
    """Three layers, with a ReLU of both parts between them; the absolute values of the last."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (16, 32, 32, 4)
        self.layers = nn.ModuleList(
            nn.Linear(fan_in, fan_out, dtype=torch.complex64) for fan_in, fan_out in pairwise(sizes)
        )
        fanin.initialize(self, 0, X)

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.layers
        x = first(x)
        for layer in others:
            x = layer(torch.complex(torch.relu(x.real), torch.relu(x.imag)))
        return x.abs()


def test_a_complex_model_is_measured() -> None:
    model = Complex()
    checkup = fanin.check(model, X)
    assert checkup.findings == ()
    assert all(layer.rms and layer.gradient for layer in checkup.layers)
    by_hand = float(model.layers[0](X).detach().abs().square().mean()) ** 0.5
    assert checkup.layers[0].rms == pytest.approx(by_hand, rel=1e-5)
    assert checkup.layers[1].initializer == "he_normal"


@pytest.mark.parametrize(("factor", "found"), [(0.0, "F10"), (1e6, "F02")])
def test_a_complex_model_falls_ill(factor: float, found: str) -> None:
    model = Complex()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(factor)
    checkup = fanin.check(model, X)
    assert found in {item.id for item in checkup.findings if item.severity == "error"}


def test_frozen_complex_weights_and_alike_units_are_seen() -> None:
    model = Complex().requires_grad_(False)
    with torch.no_grad():
        model.layers[0].weight[1:] = model.layers[0].weight[0]
    checkup = fanin.check(model, X, select="F08")
    assert [item.layer for item in checkup.findings] == ["layers.0"]


@pytest.mark.parametrize("roles", ["out in", "in out"])
def test_parts_are_inputs_of_a_unit(roles: str) -> None:
    values = np.arange(12).reshape(3, 4) * (1 + 2j)
    use = Use("weight", parse_axes(roles, values.shape))
    stats, _ = describe(values, use, 1e-6, 1e38)
    assert stats.shape == values.shape
    assert stats.units == values.shape[roles.split().index("out")]
    assert stats.rms == pytest.approx(float(np.sqrt((np.abs(values) ** 2).mean())))
