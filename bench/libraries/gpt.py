"""A language model: learned places, causal blocks, and the table of words as the head."""

from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import keras
import numpy as np
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

WORDS, LENGTH = 48, 10


class Torch(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(WORDS, WIDTH)
        self.places = torch.nn.Embedding(LENGTH, WIDTH)
        self.blocks = torch.nn.ModuleList(TorchBlock(causal=True) for _ in range(DEPTH))
        self.norm = torch.nn.LayerNorm(WIDTH)
        self.head = torch.nn.Linear(WIDTH, WORDS, bias=False)
        self.head.weight = self.table.weight

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        x = self.table(words) + self.places(torch.arange(LENGTH))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Equinox(eqx.Module):
    shared: eqx.nn.Shared
    places: eqx.nn.Embedding
    blocks: list[EquinoxBlock]
    norm: eqx.nn.LayerNorm

    def __init__(self) -> None:
        key = jax.random.key(0)
        table = eqx.nn.Embedding(WORDS, WIDTH, key=key)
        head = eqx.nn.Linear(WIDTH, WORDS, use_bias=False, key=key)
        self.shared = eqx.nn.Shared(
            (table, head), lambda pair: pair[1].weight, lambda pair: pair[0].weight
        )
        self.places = eqx.nn.Embedding(LENGTH, WIDTH, key=key)
        self.blocks = [EquinoxBlock(causal=True) for _ in range(DEPTH)]
        self.norm = eqx.nn.LayerNorm(WIDTH)

    def __call__(self, words: Any) -> Any:
        table, head = self.shared()
        x = jax.vmap(table)(words) + jax.vmap(self.places)(jnp.arange(LENGTH))
        for block in self.blocks:
            x = block(x)
        return jax.vmap(head)(jax.vmap(self.norm)(x))


class Nnx(nnx.Module):
    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.table = nnx.Embed(WORDS, WIDTH, rngs=rngs)
        self.places = nnx.Embed(LENGTH, WIDTH, rngs=rngs)
        self.blocks = nnx.List(NnxBlock(causal=True) for _ in range(DEPTH))
        self.norm = nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)

    def __call__(self, words: Any) -> Any:
        x = self.table(words) + self.places(jnp.arange(LENGTH))
        for block in self.blocks:
            x = block(x)
        return self.table.attend(self.norm(x))


class Linen(nn.Module):
    @nn.compact
    def __call__(self, words: Any) -> Any:
        table = nn.Embed(WORDS, WIDTH, name="table")
        x = table(words) + nn.Embed(LENGTH, WIDTH, name="places")(jnp.arange(LENGTH))
        for at in range(DEPTH):
            x = LinenBlock(causal=True, name=f"blocks_{at}")(x)
        return table.attend(nn.LayerNorm(epsilon=1e-5, name="norm")(x))


class Keras(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.table = keras.layers.ReversibleEmbedding(WORDS, WIDTH)
        self.places = keras.layers.Embedding(LENGTH, WIDTH)
        self.blocks = [KerasBlock(causal=True) for _ in range(DEPTH)]
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5)

    def call(self, words: Any) -> Any:
        x = self.table(words) + self.places(keras.ops.arange(LENGTH))
        for block in self.blocks:
            x = block(x)
        return self.table(self.norm(x), reverse=True)


PORTS = Ports(
    {"torch": Torch, "equinox": Equinox, "nnx": Nnx, "linen": Linen, "keras": Keras},
    np.random.default_rng(1).integers(0, WORDS, (8, LENGTH)).astype(np.int32),
    batch(classes=WORDS, steps=(LENGTH,))[1],
    renames=RENAMES | {"equinox": (*RENAMES["equinox"], (r"shared\.0\.", "table."))},
    stored=STORED | {"table.weight": "as torch", "places.weight": "as torch"},
)
