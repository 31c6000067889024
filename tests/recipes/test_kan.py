"""The recipe `kan`: coefficients of splines and what stands beside them, by their formulas."""

import math
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn

import fanin
from fanin import FaninError, Plan
from fanin.initializers import normal, ones
from fanin.recipes import find

G, ORDER = 5, 3
X = torch.zeros(4, 2)
KNOTS = (torch.arange(-ORDER, G + ORDER + 1) * 2 / G - 1).double()


def splines(x: Any, knots: Any) -> Any:
    """B-splines of every number, along a new last axis."""
    x = x[..., None]
    made = (x >= knots[:-1]) * (x < knots[1:]) * 1.0
    for k in range(1, ORDER + 1):
        left = (x - knots[: -(k + 1)]) / (knots[k:-1] - knots[: -(k + 1)])
        right = (knots[k + 1 :] - x) / (knots[k + 1 :] - knots[1:-k])
        made = left * made[..., :-1] + right * made[..., 1:]
    return made


class Layer(nn.Module):
    """A layer as efficient-kan has it: one product for all splines, each scaled."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("knots", KNOTS.float())
        self.base = nn.Parameter(torch.randn(outputs, inputs))
        self.coefficients = nn.Parameter(torch.randn(outputs, inputs, G + ORDER))
        self.scales = nn.Parameter(torch.randn(outputs, inputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = (self.coefficients * self.scales[..., None]).flatten(1)
        splined = nn.functional.linear(splines(x, self.knots).flatten(1), weight)
        return nn.functional.linear(nn.functional.silu(x), self.base) + splined


class EdgeLayer(nn.Module):
    """A layer as pykan has it: every pair of features by itself, then summed."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("knots", KNOTS.float())
        self.coefficients = nn.Parameter(torch.randn(inputs, outputs, G + ORDER))
        self.base = nn.Parameter(torch.randn(inputs, outputs))
        self.scales = nn.Parameter(torch.ones(inputs, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.einsum("bik,iok->bio", splines(x, self.knots), self.coefficients)
        y = self.base * nn.functional.silu(x)[..., None] + self.scales * y
        return y.sum(1)


def net(layer: Any) -> nn.Sequential:
    return nn.Sequential(layer(2, 6), layer(6, 1))


@pytest.mark.parametrize("layer", [Layer, EdgeLayer])
def test_the_power_law(layer: Any, tmp_path: Path) -> None:
    """(n_in (G + k + 1)) to the power of -0.25 and of -1.75; also of a saved plan, and in parts."""
    model = net(layer)
    plan = fanin.initialize(model, 3, X, "kan")
    for at, features in ((0, 2), (1, 6)):
        terms = features * (G + ORDER + 1)
        assert plan[f"{at}.base"].std == pytest.approx(terms**-0.25)
        assert plan[f"{at}.coefficients"].std == pytest.approx(terms**-1.75)
        assert plan[f"{at}.scales"].initializer == ones()
    assert not any("kan" in note for note in plan.notes)
    plan.verify(model)
    loaded, part = Plan.load(plan.save(tmp_path / "plan.toml")), net(layer)
    shape, rows = tuple(model[1].coefficients.shape), slice(0, 1)
    part[1].coefficients = nn.Parameter(torch.zeros(1, *shape[1:]))
    shards = {"1.coefficients": (shape, (rows,))}
    loaded.apply(part, shards=shards).verify(part, shards=shards)
    assert torch.equal(part[1].coefficients, model[1].coefficients[rows])
    other = fanin.plan(model, X, "kan(alpha=0.5, beta=1)")
    assert other["1.base"].std == pytest.approx(54**-0.5)
    assert other["1.coefficients"].std == pytest.approx(1 / 54)


@pytest.mark.parametrize("layer", [Layer, EdgeLayer])
def test_glorot_s_scheme_measures_the_functions(layer: Any) -> None:
    """Means over (-1, 1) of the functions that the model has, by autograd of them alone."""
    x = torch.linspace(-1, 1, 20_001, dtype=torch.float64)[:-1].requires_grad_()
    many = torch.zeros(64, 2)  # whose functions are read in fewer runs
    plan = fanin.plan(net(layer), many, 'kan("glorot")')
    for name, function in (("base", nn.functional.silu), ("coefficients", splines)):
        values = function(x) if name == "base" else function(x, KNOTS)
        columns = values.reshape(len(x), -1)
        slopes = [
            torch.autograd.grad(column.sum(), x, retain_graph=True)[0] for column in columns.T
        ]
        square, slope = (
            float((item.detach() ** 2).mean()) for item in (columns, torch.stack(slopes))
        )
        for at, features, units in ((0, 2, 6), (1, 6, 1)):
            means = features * square + units * slope
            wanted = math.sqrt(1 / 3) * math.sqrt(2 / means / (G + ORDER + 1))
            assert plan[f"{at}.{name}"].std == pytest.approx(wanted, rel=0.01)


def test_the_baseline() -> None:
    plan = fanin.plan(net(Layer), X, 'kan("baseline")')
    assert plan["0.base"].std == pytest.approx(math.sqrt(2 / 8))
    assert plan["0.coefficients"].initializer == normal(std=0.1)


class JaxLayer(nnx.Module):
    """The first layer in Flax."""

    def __init__(self, inputs: int, outputs: int) -> None:
        values = np.random.default_rng(0)
        self.base = nnx.Param(jnp.asarray(values.normal(size=(outputs, inputs))))
        shape = (outputs, inputs, G + ORDER)
        self.coefficients = nnx.Param(jnp.asarray(values.normal(size=shape)))
        self.scales = nnx.Param(jnp.ones((outputs, inputs)))

    def __call__(self, x: Any) -> Any:
        weight = self.scales[...][..., None] * self.coefficients[...]
        basis = splines(x, jnp.asarray(KNOTS.numpy())).reshape(len(x), -1)
        return nnx.silu(x) @ self.base[...].T + basis @ weight.reshape(len(weight), -1).T


def test_flax_has_torch_s_values() -> None:
    model, torchs, x = JaxLayer(2, 6), Layer(2, 6), jnp.zeros((4, 2))
    plan = fanin.initialize(model, 3, x, "kan")
    plan.verify(model)
    fanin.initialize(torchs, 3, X, "kan")
    for name in ("base", "coefficients", "scales"):
        theirs = getattr(torchs, name).detach().numpy()
        assert np.array_equal(np.asarray(getattr(model, name)[...]), theirs)
    notes = fanin.plan(model, x, 'kan("glorot")').notes
    assert any("the run does not show the functions that splines are made of" in n for n in notes)


def test_what_it_does_not_find() -> None:
    plan = fanin.plan(nn.Sequential(nn.Linear(2, 3), nn.SiLU(), nn.Linear(3, 1)), X, "kan")
    (note,) = plan.notes
    assert "shows no sum of functions of each feature beside one of a single function" in note
    with pytest.raises(FaninError, match=r"scheme of kan is 'lecun'; allowed are power, glorot, b"):
        find('kan("lecun")')
    with pytest.raises(FaninError, match="beta is -1; give a number above"):
        find("kan(beta=-1)")
