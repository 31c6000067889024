"""An LSTM and a head on its last state.

torch, Equinox, NNX's optimized cell and Keras pack the four gates in one order. Only torch has a
second bias: it starts at zero, and the others have none. Linen's cell has a kernel for every gate.
"""

from typing import Any

import equinox as eqx
import flax.linen
import jax
import jax.numpy as jnp
import keras
import numpy as np
import torch
from flax import nnx

from bench.libraries.port import Ports, batch

INPUTS, HIDDEN, CLASSES = 12, 16, 5


class Torch(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(INPUTS, HIDDEN, batch_first=True)
        self.head = torch.nn.Linear(HIDDEN, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class Equinox(eqx.Module):
    lstm: eqx.nn.LSTMCell
    head: eqx.nn.Linear

    def __init__(self) -> None:
        self.lstm = eqx.nn.LSTMCell(INPUTS, HIDDEN, key=jax.random.key(0))
        self.head = eqx.nn.Linear(HIDDEN, CLASSES, key=jax.random.key(1))

    def __call__(self, x: Any) -> Any:
        def step(state: Any, row: Any) -> Any:
            return self.lstm(row, state), None

        (hidden, _), _ = jax.lax.scan(step, (jnp.zeros(HIDDEN), jnp.zeros(HIDDEN)), x)
        return self.head(hidden)


class Nnx(nnx.Module):
    def __init__(self) -> None:
        self.lstm = nnx.RNN(nnx.OptimizedLSTMCell(INPUTS, HIDDEN, rngs=nnx.Rngs(0)))
        self.head = nnx.Linear(HIDDEN, CLASSES, rngs=nnx.Rngs(1))

    def __call__(self, x: Any) -> Any:
        return self.head(self.lstm(x)[:, -1])


class Linen(flax.linen.Module):
    @flax.linen.compact
    def __call__(self, x: Any) -> Any:
        states = flax.linen.RNN(flax.linen.OptimizedLSTMCell(HIDDEN, name="lstm"))(x)
        return flax.linen.Dense(CLASSES, name="head")(states[:, -1])


def make_keras() -> keras.Model:
    return keras.Sequential([keras.layers.LSTM(HIDDEN), keras.layers.Dense(CLASSES)])


def pack(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Torch's weights of a cell of Linen, whose gates have kernels of their own."""
    found = {name: value for name, value in values.items() if name.startswith("head")}
    for end, start, leaf in (("ih", "i", "weight"), ("hh", "h", "weight"), ("hh", "h", "bias")):
        gates = [values[f"lstm.{start}{gate}.{leaf}"] for gate in "ifgo"]
        found[f"lstm.{leaf}_{end}_l0"] = np.concatenate(gates)
    return {**found, "lstm.bias_ih_l0": np.zeros(4 * HIDDEN, np.float32)}


PORTS = Ports(
    {"torch": Torch, "equinox": Equinox, "nnx": Nnx, "linen": Linen, "keras": make_keras},
    *batch(6, INPUTS, classes=CLASSES),
    renames={
        "equinox": (
            (r"lstm\.(weight_..)", r"lstm.\1_l0"),
            (r"lstm\.bias", "lstm.bias_ih_l0"),
        ),
        "nnx": (
            (r"lstm\.cell\.dense_i\.weight", "lstm.weight_ih_l0"),
            (r"lstm\.cell\.dense_h\.weight", "lstm.weight_hh_l0"),
            (r"lstm\.cell\.dense_h\.bias", "lstm.bias_ih_l0"),
        ),
        "keras": (
            (r"layers\.lstm\.cell\.weight", "lstm.weight_ih_l0"),
            (r"layers\.lstm\.cell\.recurrent_kernel", "lstm.weight_hh_l0"),
            (r"layers\.lstm\.cell\.bias", "lstm.bias_ih_l0"),
            (r"layers\.dense\.", "head."),
        ),
    },
    packs={"linen": pack},
)
