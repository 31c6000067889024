"""A vision transformer: patches, a token of the class, learned places."""

from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import keras
import torch
from flax import nnx

from bench.libraries.blocks import (
    DEPTH,
    RENAMES,
    STORED,
    WIDTH,
    EquinoxBlock,
    KerasBlock,
    LinenBlock,
    NnxBlock,
    TorchBlock,
)
from bench.libraries.port import Ports, batch

SIDE, PATCH, CLASSES = 16, 4, 5
COUNT = (SIDE // PATCH) ** 2


class Torch(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = torch.nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.token = torch.nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.places = torch.nn.Parameter(torch.randn(1, COUNT + 1, WIDTH) * 0.02)
        self.blocks = torch.nn.ModuleList(TorchBlock(causal=False) for _ in range(DEPTH))
        self.norm = torch.nn.LayerNorm(WIDTH)
        self.head = torch.nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class Equinox(eqx.Module):
    patches: eqx.nn.Conv2d
    token: jax.Array
    places: jax.Array
    blocks: list[EquinoxBlock]
    norm: eqx.nn.LayerNorm
    head: eqx.nn.Linear

    def __init__(self) -> None:
        key = jax.random.key(0)
        self.patches = eqx.nn.Conv2d(3, WIDTH, PATCH, PATCH, key=key)
        self.token = jnp.zeros((1, 1, WIDTH))
        self.places = jax.random.normal(key, (1, COUNT + 1, WIDTH)) * 0.02
        self.blocks = [EquinoxBlock(causal=False) for _ in range(DEPTH)]
        self.norm = eqx.nn.LayerNorm(WIDTH)
        self.head = eqx.nn.Linear(WIDTH, CLASSES, key=key)

    def __call__(self, x: Any) -> Any:
        x = self.patches(x).reshape(WIDTH, -1).T
        x = jnp.concatenate([self.token[0], x]) + self.places[0]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[0]))


class Nnx(nnx.Module):
    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.patches = nnx.Conv(3, WIDTH, (PATCH, PATCH), PATCH, rngs=rngs)
        self.token = nnx.Param(jnp.zeros((1, 1, WIDTH)))
        self.places = nnx.Param(rngs.normal((1, COUNT + 1, WIDTH)) * 0.02)
        self.blocks = nnx.List(NnxBlock(causal=False) for _ in range(DEPTH))
        self.norm = nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)
        self.head = nnx.Linear(WIDTH, CLASSES, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = self.patches(x).reshape(len(x), -1, WIDTH)
        token = jnp.broadcast_to(self.token[...], (len(x), 1, WIDTH))
        x = jnp.concatenate([token, x], 1) + self.places[...]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        token = self.param("token", nn.initializers.zeros, (1, 1, WIDTH))
        places = self.param("places", nn.initializers.normal(0.02), (1, COUNT + 1, WIDTH))
        x = nn.Conv(WIDTH, (PATCH, PATCH), PATCH, name="patches")(x).reshape(len(x), -1, WIDTH)
        x = jnp.concatenate([jnp.broadcast_to(token, (len(x), 1, WIDTH)), x], 1) + places
        for at in range(DEPTH):
            x = LinenBlock(causal=False, name=f"blocks_{at}")(x)
        return nn.Dense(CLASSES, name="head")(nn.LayerNorm(epsilon=1e-5, name="norm")(x)[:, 0])


class Keras(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.patches = keras.layers.Conv2D(WIDTH, PATCH, PATCH)
        self.token = self.add_weight((1, 1, WIDTH), initializer="zeros")
        self.places = self.add_weight((1, COUNT + 1, WIDTH), initializer="random_normal")
        self.blocks = [KerasBlock(causal=False) for _ in range(DEPTH)]
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5)
        self.head = keras.layers.Dense(CLASSES)

    def call(self, x: Any) -> Any:
        x = keras.ops.reshape(self.patches(x), (-1, COUNT, WIDTH))
        token = keras.ops.broadcast_to(self.token, (len(x), 1, WIDTH))
        x = keras.ops.concatenate([token, x], axis=1) + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


PORTS = Ports(
    {"torch": Torch, "equinox": Equinox, "nnx": Nnx, "linen": Linen, "keras": Keras},
    *batch(3, SIDE, SIDE, classes=CLASSES),
    renames=RENAMES,
    stored=STORED | {"token": "as torch", "places": "as torch"},
)
