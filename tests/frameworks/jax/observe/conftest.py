"""Twins: chains of torch as models of Equinox, Flax NNX and as functions, with the same weights."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
import torch
from flax import nnx
from torch import nn

Chain = nn.Sequential
Model = tuple[Any, dict[str, Any]]  # with what else fanin.check takes
FUNCTIONS: dict[type[nn.Module], Callable[[Any], Any]] = {
    nn.ReLU: jax.nn.relu,
    nn.Tanh: jnp.tanh,
    nn.Sigmoid: jax.nn.sigmoid,
    nn.GELU: lambda x: jax.nn.gelu(x, approximate=False),
    nn.SELU: jax.nn.selu,
}


class Branch(nn.Module):
    """What a chain makes of its input is added to it."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = x + self.inner(x)
        return made


class BranchOfEquinox(eqx.Module):
    """Its twin."""

    inner: eqx.nn.Sequential

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        return x + self.inner(x)


def array(tensor: torch.Tensor) -> jax.Array:
    """A copy of its values."""
    return jnp.asarray(tensor.detach().numpy().copy())


def as_equinox(chain: Chain) -> Model:
    """A module whose kernels lie as those of torch."""

    def layer(module: nn.Module) -> Any:
        if isinstance(module, nn.Linear):
            sizes = module.in_features, module.out_features
            line = eqx.filter_eval_shape(eqx.nn.Linear, *sizes, key=jax.random.key(0))
            values = array(module.weight), array(module.bias)
            return eqx.tree_at(lambda held: (held.weight, held.bias), line, values)
        if isinstance(module, nn.LayerNorm):
            return eqx.nn.LayerNorm(module.normalized_shape, module.eps)
        if isinstance(module, Branch):
            return BranchOfEquinox(as_equinox(module.inner)[0])
        return eqx.nn.Lambda(FUNCTIONS[type(module)])

    return eqx.nn.Sequential(list(map(layer, chain))), {}


def as_nnx(chain: Chain) -> Model:
    """A module whose kernels are transposed."""

    def layer(module: nn.Module) -> Any:
        rngs = nnx.Rngs(0)
        if isinstance(module, nn.Linear):
            line = nnx.Linear(module.in_features, module.out_features, rngs=rngs)
            line.kernel.set_value(array(module.weight).T)
            assert line.bias is not None
            line.bias.set_value(array(module.bias))
            return line
        if isinstance(module, nn.LayerNorm):
            return nnx.LayerNorm(module.normalized_shape[0], epsilon=module.eps, rngs=rngs)
        return FUNCTIONS[type(module)]

    return nnx.Sequential(*map(layer, chain)), {}


def as_function(chain: Chain) -> Model:
    """A function of a tree of parameters."""
    params = {
        str(at): {
            "kernel": array(module.weight) if module.weight.dim() < 2 else array(module.weight).T,
            "bias": array(module.bias),
        }
        for at, module in enumerate(chain)
        if isinstance(module, (nn.Linear, nn.LayerNorm))
    }

    def apply(tree: Mapping[str, Mapping[str, Any]], x: Any) -> Any:
        for at, module in enumerate(chain):
            held = tree.get(str(at), {})
            if isinstance(module, nn.Linear):
                x = x @ held["kernel"] + held["bias"]
            elif isinstance(module, nn.LayerNorm):
                mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
                x = (x - mean) / jnp.sqrt(variance + module.eps) * held["kernel"] + held["bias"]
            else:
                x = FUNCTIONS[type(module)](x)
        return x

    return apply, {"params": params}


@pytest.fixture
def branch() -> type[nn.Module]:
    """A module of torch that adds to its input what its layers make of it."""
    return Branch


@pytest.fixture(params=[as_equinox, as_nnx, as_function])
def twin(request: pytest.FixtureRequest) -> Callable[[Chain], Model]:
    """Makes a twin of a chain of torch, each kind in turn."""
    made: Callable[[Chain], Model] = request.param
    return made


@pytest.fixture
def mapped_twin() -> Callable[[Chain], Model]:
    """Makes one that is written for one input and mapped over a batch: it differs most."""
    return as_equinox
