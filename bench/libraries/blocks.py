"""The block of the transformers here, attention and a perceptron, in every library."""

from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import keras
import torch
from flax import nnx
from torch.nn import functional

WIDTH, HEADS, WIDE, DEPTH = 32, 4, 64, 2
# The attention's four maps have several axes in Flax and Keras.
STORED = {
    "query.weight": "in heads",
    "key.weight": "in heads",
    "value.weight": "in heads",
    "out.weight": "heads out",
}
RENAMES = {
    "equinox": ((r"attention\.(query|key|value)_proj", r"attention.\1"), ("output_proj", "out")),
    "linen": ((r"blocks_(\d)", r"blocks.\1"),),
    "keras": (
        (r"keras_block\.", "0."),
        (r"keras_block_(\d)", r"\1"),
        (r"attention\.(query|key|value)_dense", r"attention.\1"),
        ("output_dense", "out"),
        (r"layers\.layer_normalization\.", "norm."),
        (r"layers\.reversible_embedding\.", "table."),
        (r"layers\.embedding\.", "places."),
        (r"layers\.conv2d\.", "patches."),
    ),
}


class TorchAttention(torch.nn.Module):
    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.query, self.key, self.value, self.out = (
            torch.nn.Linear(WIDTH, WIDTH) for _ in range(4)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            part(x).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(y.transpose(1, 2).flatten(2))


class TorchBlock(torch.nn.Module):
    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.attention = TorchAttention(causal)
        self.wide, self.back = torch.nn.Linear(WIDTH, WIDE), torch.nn.Linear(WIDE, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.back(functional.gelu(self.wide(self.norm2(x))))


class EquinoxBlock(eqx.Module):
    norm1: eqx.nn.LayerNorm
    attention: eqx.nn.MultiheadAttention
    norm2: eqx.nn.LayerNorm
    wide: eqx.nn.Linear
    back: eqx.nn.Linear
    causal: bool = eqx.field(static=True)

    def __init__(self, causal: bool) -> None:
        key, self.causal = jax.random.key(0), causal
        biases = {f"use_{part}_bias": True for part in ("query", "key", "value", "output")}
        self.attention = eqx.nn.MultiheadAttention(HEADS, WIDTH, key=key, **biases)
        self.norm1, self.norm2 = eqx.nn.LayerNorm(WIDTH), eqx.nn.LayerNorm(WIDTH)
        self.wide = eqx.nn.Linear(WIDTH, WIDE, key=key)
        self.back = eqx.nn.Linear(WIDE, WIDTH, key=key)

    def __call__(self, x: Any) -> Any:
        mask = jnp.tril(jnp.ones((len(x), len(x)), bool)) if self.causal else None
        h = jax.vmap(self.norm1)(x)
        x = x + self.attention(h, h, h, mask)
        h = jax.nn.gelu(jax.vmap(self.wide)(jax.vmap(self.norm2)(x)), approximate=False)
        return x + jax.vmap(self.back)(h)


class NnxBlock(nnx.Module):
    def __init__(self, causal: bool) -> None:
        rngs, self.causal = nnx.Rngs(0), causal
        self.norm1 = nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(HEADS, WIDTH, decode=False, rngs=rngs)
        self.norm2 = nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)
        self.wide = nnx.Linear(WIDTH, WIDE, rngs=rngs)
        self.back = nnx.Linear(WIDE, WIDTH, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        mask = nnx.make_causal_mask(x[..., 0]) if self.causal else None
        x = x + self.attention(self.norm1(x), mask=mask)
        return x + self.back(nnx.gelu(self.wide(self.norm2(x)), approximate=False))


class LinenBlock(nn.Module):
    causal: bool

    @nn.compact
    def __call__(self, x: Any) -> Any:
        mask = nn.make_causal_mask(x[..., 0]) if self.causal else None
        h = nn.LayerNorm(epsilon=1e-5, name="norm1")(x)
        x = x + nn.MultiHeadDotProductAttention(HEADS, name="attention")(h, mask=mask)
        h = nn.Dense(WIDE, name="wide")(nn.LayerNorm(epsilon=1e-5, name="norm2")(x))
        return x + nn.Dense(WIDTH, name="back")(nn.gelu(h, approximate=False))


class KerasBlock(keras.layers.Layer):
    def __init__(self, causal: bool) -> None:
        super().__init__()
        layers = keras.layers
        self.causal = causal
        self.norm1 = layers.LayerNormalization(epsilon=1e-5)
        self.attention = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)
        self.norm2 = layers.LayerNormalization(epsilon=1e-5)
        self.wide = layers.Dense(WIDE, activation="gelu")
        self.back = layers.Dense(WIDTH)

    def call(self, x: Any) -> Any:
        h = self.norm1(x)
        x = x + self.attention(h, h, use_causal_mask=self.causal)
        return x + self.back(self.wide(self.norm2(x)))
