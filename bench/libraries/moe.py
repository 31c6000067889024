"""A mixture of experts: a router, the best two of four perceptrons, and a residual stream."""

from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import keras
import torch
from flax import nnx

from bench.libraries.port import Ports, batch

INPUTS, WIDTH, WIDE, EXPERTS, BEST, CLASSES = 12, 16, 32, 4, 2, 5


class TorchExperts(torch.nn.Module):
    """A linear map for each expert, on what all see or on what each has of its own."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.empty(EXPERTS, outs, ins))
        self.bias = torch.nn.Parameter(torch.zeros(EXPERTS, outs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        equation = "bi,eoi->beo" if x.ndim == 2 else "bei,eoi->beo"
        return torch.einsum(equation, x, self.weight) + self.bias


class Torch(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Linear(INPUTS, WIDTH)
        self.router = torch.nn.Linear(WIDTH, EXPERTS, bias=False)
        self.first, self.second = TorchExperts(WIDTH, WIDE), TorchExperts(WIDE, WIDTH)
        self.head = torch.nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        gates = self.router(x).softmax(-1)
        least = gates.topk(BEST).values[:, -1:]
        gates = torch.where(gates >= least, gates, 0.0)
        y = self.second(self.first(x).relu())
        return self.head(x + torch.einsum("be,beo->bo", gates, y))


class Equinox(eqx.Module):
    stem: eqx.nn.Linear
    router: eqx.nn.Linear
    first: eqx.nn.Linear
    second: eqx.nn.Linear
    head: eqx.nn.Linear

    def __init__(self) -> None:
        keys = jax.random.split(jax.random.key(0), EXPERTS)
        self.stem = eqx.nn.Linear(INPUTS, WIDTH, key=keys[0])
        self.router = eqx.nn.Linear(WIDTH, EXPERTS, use_bias=False, key=keys[0])
        self.first = eqx.filter_vmap(lambda key: eqx.nn.Linear(WIDTH, WIDE, key=key))(keys)
        self.second = eqx.filter_vmap(lambda key: eqx.nn.Linear(WIDE, WIDTH, key=key))(keys)
        self.head = eqx.nn.Linear(WIDTH, CLASSES, key=keys[0])

    def __call__(self, x: Any) -> Any:
        x = self.stem(x)
        gates = jax.nn.softmax(self.router(x))
        gates = jnp.where(gates >= jax.lax.top_k(gates, BEST)[0][-1:], gates, 0.0)
        y = eqx.filter_vmap(lambda layer: jax.nn.relu(layer(x)))(self.first)
        y = eqx.filter_vmap(lambda layer, own: layer(own))(self.second, y)
        return self.head(x + gates @ y)


def _select(gates: Any) -> Any:
    return jnp.where(gates >= jax.lax.top_k(gates, BEST)[0][:, -1:], gates, 0.0)


class Nnx(nnx.Module):
    def __init__(self) -> None:
        rngs = nnx.Rngs(0)

        @nnx.split_rngs(splits=EXPERTS)
        @nnx.vmap(in_axes=(0, None, None), out_axes=0)
        def experts(rngs: nnx.Rngs, ins: int, outs: int) -> nnx.Linear:
            return nnx.Linear(ins, outs, rngs=rngs)

        self.stem = nnx.Linear(INPUTS, WIDTH, rngs=rngs)
        self.router = nnx.Linear(WIDTH, EXPERTS, use_bias=False, rngs=rngs)
        self.first, self.second = experts(rngs, WIDTH, WIDE), experts(rngs, WIDE, WIDTH)
        self.head = nnx.Linear(WIDTH, CLASSES, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = self.stem(x)
        gates = _select(nnx.softmax(self.router(x)))
        shared = nnx.vmap(lambda layer, x: nnx.relu(layer(x)), in_axes=(0, None), out_axes=1)
        own = nnx.vmap(lambda layer, x: layer(x), in_axes=(0, 1), out_axes=1)
        y = own(self.second, shared(self.first, x))
        return self.head(x + jnp.einsum("be,beo->bo", gates, y))


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        how: dict[str, Any] = {
            "variable_axes": {"params": 0},
            "split_rngs": {"params": True},
            "out_axes": 1,
            "axis_size": EXPERTS,
        }
        x = nn.Dense(WIDTH, name="stem")(x)
        gates = _select(nn.softmax(nn.Dense(EXPERTS, use_bias=False, name="router")(x)))
        y = nn.relu(nn.vmap(nn.Dense, in_axes=None, **how)(WIDE, name="first")(x))
        y = nn.vmap(nn.Dense, in_axes=1, **how)(WIDTH, name="second")(y)
        return nn.Dense(CLASSES, name="head")(x + jnp.einsum("be,beo->bo", gates, y))


class Keras(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        layers = keras.layers
        self.stem = layers.Dense(WIDTH)
        self.router = layers.Dense(EXPERTS, activation="softmax", use_bias=False)
        self.first = layers.EinsumDense(
            "bi,eio->beo", (EXPERTS, WIDE), activation="relu", bias_axes="eo"
        )
        self.second = layers.EinsumDense("bei,eio->beo", (EXPERTS, WIDTH), bias_axes="eo")
        self.head = layers.Dense(CLASSES)

    def call(self, x: Any) -> Any:
        ops = keras.ops
        x = self.stem(x)
        gates = self.router(x)
        gates = ops.where(gates >= ops.top_k(gates, BEST)[0][:, -1:], gates, 0.0)
        y = self.second(self.first(x))
        return self.head(x + ops.einsum("be,beo->bo", gates, y))


PORTS = Ports(
    {"torch": Torch, "equinox": Equinox, "nnx": Nnx, "linen": Linen, "keras": Keras},
    *batch(INPUTS, classes=CLASSES),
    renames={
        "keras": (
            (r"layers\.dense\.", "stem."),
            (r"layers\.dense_1\.", "router."),
            (r"layers\.einsum_dense_1\.", "second."),
        )
    },
    stored={
        "first.weight": "experts",
        "second.weight": "experts",
        "first.bias": "as torch",
        "second.bias": "as torch",
    },
)
