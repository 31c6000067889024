"""A perceptron of three layers."""

import itertools
from typing import Any

import equinox as eqx
import flax.linen
import jax
import keras
import torch
from flax import nnx

from bench.libraries.port import Ports, batch

SIZES = (20, 32, 24, 10)
PAIRS = tuple(itertools.pairwise(SIZES))


class Torch(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(*pair) for pair in PAIRS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


class Equinox(eqx.Module):
    layers: list[eqx.nn.Linear]

    def __init__(self) -> None:
        self.layers = [eqx.nn.Linear(*pair, key=jax.random.key(0)) for pair in PAIRS]

    def __call__(self, x: Any) -> Any:
        for layer in self.layers[:-1]:
            x = jax.nn.relu(layer(x))
        return self.layers[-1](x)


class Nnx(nnx.Module):
    def __init__(self) -> None:
        self.layers = nnx.List(nnx.Linear(*pair, rngs=nnx.Rngs(0)) for pair in PAIRS)

    def __call__(self, x: Any) -> Any:
        for layer in self.layers[:-1]:
            x = nnx.relu(layer(x))
        return self.layers[-1](x)


class Linen(flax.linen.Module):
    @flax.linen.compact
    def __call__(self, x: Any) -> Any:
        for at, size in enumerate(SIZES[1:]):
            x = flax.linen.Dense(size, name=f"layers_{at}")(x if at == 0 else flax.linen.relu(x))
        return x


def make_keras() -> keras.Model:
    layers = [keras.layers.Dense(size, activation="relu") for size in SIZES[1:-1]]
    return keras.Sequential([*layers, keras.layers.Dense(SIZES[-1])])


PORTS = Ports(
    {"torch": Torch, "equinox": Equinox, "nnx": Nnx, "linen": Linen, "keras": make_keras},
    *batch(SIZES[0], classes=SIZES[-1]),
    renames={
        "linen": ((r"layers_(\d)", r"layers.\1"),),
        "keras": ((r"layers.dense\.", "layers.0."), (r"layers.dense_(\d)", r"layers.\1")),
    },
)
