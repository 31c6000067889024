"""Two convolutions with batch normalization, pooling and a head."""

from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import keras
import torch
from flax import nnx

from bench.libraries.port import Ports, batch

CLASSES = 5


class Torch(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm1 = torch.nn.BatchNorm2d(16)
        self.conv2 = torch.nn.Conv2d(16, 32, 3, padding=1)
        self.norm2 = torch.nn.BatchNorm2d(32)
        self.head = torch.nn.Linear(32, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.max_pool2d(self.norm1(self.conv1(x)).relu(), 2)
        return self.head(self.norm2(self.conv2(x)).relu().mean((2, 3)))


class Equinox(eqx.Module):
    conv1: eqx.nn.Conv2d
    norm1: eqx.nn.BatchNorm
    pool: eqx.nn.MaxPool2d
    conv2: eqx.nn.Conv2d
    norm2: eqx.nn.BatchNorm
    head: eqx.nn.Linear

    def __init__(self) -> None:
        key = jax.random.key(0)
        self.conv1 = eqx.nn.Conv2d(3, 16, 3, padding=1, use_bias=False, key=key)
        self.norm1 = eqx.nn.BatchNorm(16, "batch", mode="batch")
        self.pool = eqx.nn.MaxPool2d(2, 2)
        self.conv2 = eqx.nn.Conv2d(16, 32, 3, padding=1, key=key)
        self.norm2 = eqx.nn.BatchNorm(32, "batch", mode="batch")
        self.head = eqx.nn.Linear(32, CLASSES, key=key)

    def __call__(self, x: Any, state: Any) -> Any:
        x, state = self.norm1(self.conv1(x), state)
        x = self.pool(jax.nn.relu(x))
        x, state = self.norm2(self.conv2(x), state)
        return self.head(jax.nn.relu(x).mean((1, 2))), state


class Nnx(nnx.Module):
    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.conv1 = nnx.Conv(3, 16, (3, 3), use_bias=False, rngs=rngs)
        self.norm1 = nnx.BatchNorm(16, rngs=rngs)
        self.conv2 = nnx.Conv(16, 32, (3, 3), rngs=rngs)
        self.norm2 = nnx.BatchNorm(32, rngs=rngs)
        self.head = nnx.Linear(32, CLASSES, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = nnx.max_pool(nnx.relu(self.norm1(self.conv1(x))), (2, 2), (2, 2))
        return self.head(nnx.relu(self.norm2(self.conv2(x))).mean((1, 2)))


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        x = nn.Conv(16, (3, 3), use_bias=False, name="conv1")(x)
        x = nn.relu(nn.BatchNorm(not train, name="norm1")(x))
        x = nn.max_pool(x, (2, 2), (2, 2))
        x = nn.Conv(32, (3, 3), name="conv2")(x)
        x = nn.relu(nn.BatchNorm(not train, name="norm2")(x))
        return nn.Dense(CLASSES, name="head")(x.mean((1, 2)))


def make_keras() -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Conv2D(16, 3, padding="same", use_bias=False),
            layers.BatchNormalization(epsilon=1e-5),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same"),
            layers.BatchNormalization(epsilon=1e-5),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES),
        ]
    )


PORTS = Ports(
    {
        "torch": Torch,
        "equinox": eqx.nn.make_with_state(Equinox),
        "nnx": Nnx,
        "linen": Linen,
        "keras": make_keras,
    },
    *batch(3, 12, 12, classes=CLASSES),
    renames={
        "keras": (
            (r"layers\.", ""),
            (r"conv2d_1\.", "conv2."),
            (r"conv2d\.", "conv1."),
            (r"batch_normalization_1\.", "norm2."),
            (r"batch_normalization\.", "norm1."),
            (r"dense\.", "head."),
        )
    },
)
