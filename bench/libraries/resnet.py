"""A residual network: a stem, a block that keeps the shape and one that halves the map."""

from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import keras
import torch
from flax import nnx

from bench.libraries.port import Ports, batch

CLASSES = 5
BLOCKS = ((16, 16, 1), (16, 32, 2))  # channels in and out, and the stride


class TorchBlock(torch.nn.Module):
    def __init__(self, ins: int, outs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(ins, outs, 3, stride, padding=1, bias=False)
        self.norm1 = torch.nn.BatchNorm2d(outs)
        self.conv2 = torch.nn.Conv2d(outs, outs, 3, padding=1, bias=False)
        self.norm2 = torch.nn.BatchNorm2d(outs)
        self.short = torch.nn.Conv2d(ins, outs, 1, stride, bias=False) if stride > 1 else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(self.conv1(x)).relu()
        y = self.norm2(self.conv2(y))
        return (y + (x if self.short is None else self.short(x))).relu()


class Torch(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm = torch.nn.BatchNorm2d(16)
        self.blocks = torch.nn.ModuleList(TorchBlock(*sizes) for sizes in BLOCKS)
        self.head = torch.nn.Linear(32, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.stem(x)).relu()
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


class EquinoxBlock(eqx.Module):
    conv1: eqx.nn.Conv2d
    norm1: eqx.nn.BatchNorm
    conv2: eqx.nn.Conv2d
    norm2: eqx.nn.BatchNorm
    short: eqx.nn.Conv2d | None

    def __init__(self, ins: int, outs: int, stride: int) -> None:
        how: dict[str, Any] = {"use_bias": False, "key": jax.random.key(0)}
        self.conv1 = eqx.nn.Conv2d(ins, outs, 3, stride, padding=1, **how)
        self.norm1 = eqx.nn.BatchNorm(outs, "batch", mode="batch")
        self.conv2 = eqx.nn.Conv2d(outs, outs, 3, padding=1, **how)
        self.norm2 = eqx.nn.BatchNorm(outs, "batch", mode="batch")
        self.short = eqx.nn.Conv2d(ins, outs, 1, stride, **how) if stride > 1 else None

    def __call__(self, x: Any, state: Any) -> Any:
        y, state = self.norm1(self.conv1(x), state)
        y, state = self.norm2(self.conv2(jax.nn.relu(y)), state)
        return jax.nn.relu(y + (x if self.short is None else self.short(x))), state


class Equinox(eqx.Module):
    stem: eqx.nn.Conv2d
    norm: eqx.nn.BatchNorm
    blocks: list[EquinoxBlock]
    head: eqx.nn.Linear

    def __init__(self) -> None:
        key = jax.random.key(0)
        self.stem = eqx.nn.Conv2d(3, 16, 3, padding=1, use_bias=False, key=key)
        self.norm = eqx.nn.BatchNorm(16, "batch", mode="batch")
        self.blocks = [EquinoxBlock(*sizes) for sizes in BLOCKS]
        self.head = eqx.nn.Linear(32, CLASSES, key=key)

    def __call__(self, x: Any, state: Any) -> Any:
        x, state = self.norm(self.stem(x), state)
        x = jax.nn.relu(x)
        for block in self.blocks:
            x, state = block(x, state)
        return self.head(x.mean((1, 2))), state


class NnxBlock(nnx.Module):
    def __init__(self, ins: int, outs: int, stride: int) -> None:
        how: dict[str, Any] = {"use_bias": False, "rngs": nnx.Rngs(0)}
        self.conv1 = nnx.Conv(ins, outs, (3, 3), stride, padding=1, **how)
        self.norm1 = nnx.BatchNorm(outs, rngs=nnx.Rngs(0))
        self.conv2 = nnx.Conv(outs, outs, (3, 3), padding=1, **how)
        self.norm2 = nnx.BatchNorm(outs, rngs=nnx.Rngs(0))
        self.short = nnx.Conv(ins, outs, (1, 1), stride, **how) if stride > 1 else None

    def __call__(self, x: Any) -> Any:
        y = nnx.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return nnx.relu(y + (x if self.short is None else self.short(x)))


class Nnx(nnx.Module):
    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.stem = nnx.Conv(3, 16, (3, 3), use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        self.blocks = nnx.List(NnxBlock(*sizes) for sizes in BLOCKS)
        self.head = nnx.Linear(32, CLASSES, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = nnx.relu(self.norm(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((1, 2)))


class LinenBlock(nn.Module):
    outs: int
    stride: int

    @nn.compact
    def __call__(self, x: Any, train: bool) -> Any:
        outs, stride = self.outs, self.stride
        y = nn.Conv(outs, (3, 3), stride, padding=1, use_bias=False, name="conv1")(x)
        y = nn.relu(nn.BatchNorm(not train, name="norm1")(y))
        y = nn.Conv(outs, (3, 3), padding=1, use_bias=False, name="conv2")(y)
        y = nn.BatchNorm(not train, name="norm2")(y)
        if stride > 1:
            x = nn.Conv(outs, (1, 1), stride, use_bias=False, name="short")(x)
        return nn.relu(y + x)


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        x = nn.Conv(16, (3, 3), use_bias=False, name="stem")(x)
        x = nn.relu(nn.BatchNorm(not train, name="norm")(x))
        for at, (_, outs, stride) in enumerate(BLOCKS):
            x = LinenBlock(outs, stride, name=f"blocks_{at}")(x, train)
        return nn.Dense(CLASSES, name="head")(x.mean((1, 2)))


class KerasBlock(keras.layers.Layer):
    def __init__(self, outs: int, stride: int) -> None:
        super().__init__()
        layers = keras.layers
        self.pad = layers.ZeroPadding2D(1)  # "same" would pad less before than behind
        self.conv1 = layers.Conv2D(outs, 3, stride, use_bias=False)
        self.norm1 = layers.BatchNormalization(epsilon=1e-5)
        self.conv2 = layers.Conv2D(outs, 3, padding="same", use_bias=False)
        self.norm2 = layers.BatchNormalization(epsilon=1e-5)
        self.short = layers.Conv2D(outs, 1, stride, use_bias=False) if stride > 1 else None

    def call(self, x: Any, training: bool = False) -> Any:
        y = keras.ops.relu(self.norm1(self.conv1(self.pad(x)), training=training))
        y = self.norm2(self.conv2(y), training=training)
        return keras.ops.relu(y + (x if self.short is None else self.short(x)))


class Keras(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.stem = keras.layers.Conv2D(16, 3, padding="same", use_bias=False)
        self.norm = keras.layers.BatchNormalization(epsilon=1e-5)
        self.blocks = [KerasBlock(outs, stride) for _, outs, stride in BLOCKS]
        self.pool = keras.layers.GlobalAveragePooling2D()
        self.head = keras.layers.Dense(CLASSES)

    def call(self, x: Any, training: bool = False) -> Any:
        x = keras.ops.relu(self.norm(self.stem(x), training=training))
        for block in self.blocks:
            x = block(x, training=training)
        return self.head(self.pool(x))


PORTS = Ports(
    {
        "torch": Torch,
        "equinox": eqx.nn.make_with_state(Equinox),
        "nnx": Nnx,
        "linen": Linen,
        "keras": Keras,
    },
    *batch(3, 12, 12, classes=CLASSES),
    renames={
        "linen": ((r"blocks_(\d)", r"blocks.\1"),),
        "keras": (
            (r"layers\.conv2d\.", "stem."),
            (r"layers\.batch_normalization\.", "norm."),
            (r"keras_block\.", "0."),
            (r"keras_block_(\d)", r"\1"),
        ),
    },
)
