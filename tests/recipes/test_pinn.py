"""The recipe `pinn`: random weight factorization, found by what the run multiplies."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen
from torch import nn

import fanin
from fanin import FaninError, Plan
from fanin.initializers import glorot_normal, log_normal, normal, ones, weight_factorization, zeros
from fanin.recipes import find

X = torch.zeros(4, 2)


class Factored(nn.Module):
    """A dense layer whose weight is scales times the rest."""

    def __init__(self, inputs: int, outputs: int, logarithms: bool = False) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.rand(outputs) + 1)
        self.v = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.logarithms = logarithms

    def kernel(self) -> torch.Tensor:
        return (self.g.exp() if self.logarithms else self.g)[:, None] * self.v

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.kernel(), self.bias)


def net(logarithms: bool = False) -> nn.Sequential:
    sizes = (2, 16), (16, 16), (16, 1)
    first, second, third = (Factored(*size, logarithms) for size in sizes)
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), third)


def test_the_weights_are_glorot_s(tmp_path: Path) -> None:
    """Also of a plan that was saved, with a prefix, and of a part of a weight."""
    model = net()
    plan = fanin.initialize(model, 3, X, "pinn")
    assert not any("pinn" in note for note in plan.notes)
    assert plan["2.g"].initializer == log_normal(1.0, 0.1)
    assert plan["2.v"].initializer == weight_factorization(glorot_normal(), "2.g", 1.0, 0.1)
    assert plan["2.bias"].initializer == zeros()
    plan.verify(model)
    assert plan.audit(model).ok
    for at in (0, 2, 4):
        weight = glorot_normal()(model[at].v.shape, seed=3, name=f"{at}.v")
        assert np.allclose(model[at].kernel().detach(), weight, rtol=1e-6)

    loaded, other = Plan.load(plan.save(tmp_path / "plan.toml")), net()
    loaded.apply(other).verify(other)
    assert all(map(torch.equal, other.parameters(), model.parameters()))
    loaded.apply(other, prefix="critic").verify(other)
    weight = glorot_normal()((16, 16), seed=3, name="critic.2.v")
    assert np.allclose(other[2].kernel().detach(), weight, rtol=1e-6)

    part = net()
    part[2].v = nn.Parameter(torch.zeros(5, 16))
    shards = {"2.v": ((16, 16), (slice(4, 9),))}
    loaded.apply(part, shards=shards).verify(part, shards=shards)
    assert torch.equal(part[2].v, model[2].v[4:9])


def test_scales_may_be_logarithms() -> None:
    model = net(logarithms=True)
    plan = fanin.initialize(model, 3, X, "pinn(0.5, 0.2)")
    assert plan["0.g"].initializer == normal(0.5, 0.2)
    weight = glorot_normal()((16, 16), seed=3, name="2.v")
    assert np.allclose(model[2].kernel().detach(), weight, rtol=1e-6)


def test_both_or_none() -> None:
    made = fanin.plan(net(), X, "pinn", overrides={"2.g": ones()})
    assert made["2.v"].initializer == glorot_normal()
    assert made["0.v"].initializer == weight_factorization(glorot_normal(), "0.g")


def test_without_factors_it_is_glorot() -> None:
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    plan = fanin.plan(model, X, "pinn")
    assert plan["0.weight"].initializer == plan["2.weight"].initializer == glorot_normal()
    (note,) = plan.notes
    assert note.endswith("shows no weight with scales of its own: weights are Glorot normal.")

    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.b, self.out = nn.Linear(2, 8, bias=False), nn.Linear(16, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            z = self.b(x)
            both: torch.Tensor = self.out(torch.cat([torch.cos(z), torch.sin(z)], -1))
            return both

    assert any("give fourier_features(scale)" in n for n in fanin.plan(Features(), X, "pinn").notes)


@pytest.mark.parametrize("recipe", ["pinn", "auto"])
def test_weight_norm_has_the_norms_of_its_rows(recipe: str) -> None:
    """Of a row alone, too."""
    norm = nn.utils.parametrizations.weight_norm
    model = nn.Sequential(norm(nn.Linear(2, 8)), nn.Tanh(), norm(nn.Linear(8, 1)))
    plan = fanin.initialize(model, 0, X, recipe)
    assert plan["2.weight.original0"].role == "magnitude"
    size = model[2].weight.norm().item()
    assert size == pytest.approx(model[2].parametrizations.weight.original0.item(), rel=1e-6)


class Dense(linen.Module):
    """A kernel that is a pair, as jaxpi's is."""

    features: int

    @linen.compact
    def __call__(self, x: Any) -> Any:
        def init(key: Any, shape: tuple[int, ...]) -> Any:
            return jnp.exp(jax.random.normal(key, shape[-1:])), jax.random.normal(key, shape)

        g, v = self.param("kernel", init, (x.shape[-1], self.features))
        return x @ (g * v) + self.param("bias", linen.initializers.zeros, (self.features,))


class Net(linen.Module):
    @linen.compact
    def __call__(self, x: Any) -> Any:
        return Dense(1)(jnp.tanh(Dense(16)(x)))


def test_linen_kernels_may_be_pairs() -> None:
    model, x = Net(), jnp.ones((4, 2))
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)
    variables, plan = fanin.initialize_params(model, shapes, seed=3, inputs=x, recipe="pinn")
    plan.verify(model, params=variables, inputs=x)
    assert jax.tree.structure(variables) == jax.tree.structure(shapes)
    g, v = variables["params"]["Dense_1"]["kernel"]
    weight = glorot_normal()((2, 16), seed=3, name="Dense_1.kernel.1", axes="in out")
    assert np.allclose(g * v, weight, rtol=1e-6)
    assert model.apply(variables, x).shape == (4, 1)
    alone, _ = fanin.initialize_params(model, shapes["params"], seed=3, inputs=x, recipe="pinn")
    assert np.array_equal(alone["Dense_1"]["kernel"][1], v)
    made, _ = fanin.initialize_params(model, seed=3, inputs=x, recipe="pinn")
    assert np.array_equal(made["params"]["Dense_1"]["kernel"][0], g)


def test_equinox_modules() -> None:
    class Layer(eqx.Module):
        g: Any
        v: Any

        def __call__(self, x: Any) -> Any:
            return (self.g[:, None] * self.v) @ x

    layer = Layer(jnp.ones(5), jax.random.normal(jax.random.key(0), (5, 3)))
    made, plan = fanin.initialize_params(layer, seed=3, inputs=jnp.ones(3), recipe="pinn")
    plan.verify(made)
    weight = glorot_normal()((5, 3), seed=3, name="v")
    assert np.allclose(made.g[:, None] * made.v, weight, rtol=1e-6)


def test_wrong_arguments() -> None:
    with pytest.raises(FaninError, match="std of log_normal is -1; give a number above 0"):
        find("pinn(1, -1)")
    with pytest.raises(FaninError, match="recipe 'pinn\\(sigma=1\\)' cannot be made"):
        find("pinn(sigma=1)")
